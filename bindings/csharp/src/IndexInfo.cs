namespace Ivf
{
    /// <summary>What an index says of itself, at one moment.</summary>
    public sealed class IndexInfo
    {
        internal unsafe IndexInfo(Native.ivf_index_info* info)
        {
            Dim = (int)info->dim;
            Metric = (Metric)info->metric;
            IsTrained = info->trained != 0;
            IsIvf = info->is_ivf != 0;
            ListDim = (int)info->list_dim;
            AllowDuplicateIds = info->allow_duplicate_ids != 0;
            Count = (long)info->count;
            NList = (long)info->nlist;
            NProbe = (long)info->nprobe;
            Dead = (long)info->dead;
            NextId = (long)info->next_id;
            MemoryBytes = (long)info->memory_bytes;
            VectorBytes = (long)info->vector_bytes;
            KFactor = info->k_factor;
            ListOrder = (ListOrder)info->list_order;
            Soar = info->soar;
        }

        /// <summary>Columns of a vector.</summary>
        public int Dim { get; }

        /// <summary>Columns of a centroid: Dim, or what the transforms before the lists make of it.</summary>
        public int ListDim { get; }

        /// <summary>How vectors are compared.</summary>
        public Metric Metric { get; }

        /// <summary>Whether vectors can be added; else it wants training first. A "Flat" index is always trained.</summary>
        public bool IsTrained { get; }

        /// <summary>Whether it has inverted lists; false for "Flat".</summary>
        public bool IsIvf { get; }

        /// <summary>Whether ids given to Add may repeat.</summary>
        public bool AllowDuplicateIds { get; }

        /// <summary>Vectors that can be found.</summary>
        public long Count { get; }

        /// <summary>Inverted lists; 0 until chosen ("IVF,Flat" before training), 1 for "Flat".</summary>
        public long NList { get; }

        /// <summary>Lists that a search looks into unless its options say.</summary>
        public long NProbe { get; }

        /// <summary>Vectors removed whose space is not yet returned; see <see cref="IvfIndex.Compact"/>.</summary>
        public long Dead { get; }

        /// <summary>The id that Add would hand out next.</summary>
        public long NextId { get; }

        /// <summary>Bytes of memory that the index holds in all.</summary>
        public long MemoryBytes { get; }

        /// <summary>Bytes of it that are vectors, norms and ids, with their lists' slack.</summary>
        public long VectorBytes { get; }

        /// <summary>
        /// How many times k candidates a search compares again unless its options say; 0 without a refinement.
        /// </summary>
        public float KFactor { get; }

        /// <summary>How the vectors of a list are ordered, as it was created.</summary>
        public ListOrder ListOrder { get; }

        /// <summary>The lambda by which vectors are kept in a second list too, as it was created; 0 = they are not.</summary>
        public float Soar { get; }
    }
}

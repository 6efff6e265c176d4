using System;

namespace Ivf
{
    /// <summary>The results of a range search: as many as there are for each query, best first.</summary>
    public sealed class RangeNeighbors
    {
        internal unsafe RangeNeighbors(Native.ivf_range_view* view)
        {
            Offsets = new long[Number.Length(view->n + 1, 1)];
            Distances = new float[Number.Length(view->total, 1)];
            Ids = new long[Distances.Length];
            new ReadOnlySpan<long>(view->offsets, Offsets.Length).CopyTo(Offsets);
            new ReadOnlySpan<float>(view->distances, Distances.Length).CopyTo(Distances);
            new ReadOnlySpan<long>(view->ids, Ids.Length).CopyTo(Ids);
        }

        /// <summary>Queries.</summary>
        public int Count
        {
            get { return Offsets.Length - 1; }
        }

        /// <summary>[Count + 1]: query i has the results Offsets[i] to Offsets[i + 1] - 1.</summary>
        public long[] Offsets { get; }

        /// <summary>[total]: squared distances rising (L2), or similarities falling, within each query.</summary>
        public float[] Distances { get; }

        /// <summary>[total]: the ids that belong to the distances; equal distances are in order of id.</summary>
        public long[] Ids { get; }

        /// <summary>The ids of one query's results.</summary>
        /// <param name="query">From 0 to Count - 1.</param>
        /// <exception cref="IndexOutOfRangeException">There is no such query.</exception>
        public ReadOnlySpan<long> IdsOf(int query)
        {
            return new ReadOnlySpan<long>(Ids, (int)Offsets[query], (int)(Offsets[query + 1] - Offsets[query]));
        }

        /// <summary>The distances of one query's results.</summary>
        /// <param name="query">From 0 to Count - 1.</param>
        /// <exception cref="IndexOutOfRangeException">There is no such query.</exception>
        public ReadOnlySpan<float> DistancesOf(int query)
        {
            return new ReadOnlySpan<float>(Distances, (int)Offsets[query], (int)(Offsets[query + 1] - Offsets[query]));
        }
    }
}

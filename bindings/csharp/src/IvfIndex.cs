using System;
using System.Runtime.InteropServices;

namespace Ivf
{
    /// <summary>
    /// An index of vectors: finds the nearest ones of a query. Matrices are float32 [n, dim], row-major, without gaps; ids are
    /// numbers from 0 on. A method that throws has changed nothing. Searches and other questions may run in any number of
    /// threads at once; methods that change the index wait until they are alone with it. Dispose it, for its memory is
    /// outside what the garbage collector knows of; disposing while calls run is safe, the last of them frees it.
    /// </summary>
    /// <remarks>
    /// Any call may throw <see cref="ObjectDisposedException"/>, <see cref="IvfMemoryException"/>, and
    /// <see cref="IvfPanicException"/> for a bug of the library.
    /// </remarks>
    public sealed partial class IvfIndex : IDisposable
    {
        private readonly IndexHandle handle = new IndexHandle();

        /// <summary>Makes an empty index from a description that faiss's users know.</summary>
        /// <param name="dim">Columns of every vector and query, at least 1.</param>
        /// <param name="description">
        /// "Flat" (exact, no training), "IVF1024,Flat" (1024 inverted lists), or "IVF,Flat" (the number of lists is chosen in
        /// training, from the number of points). "SQfp16" or "SQbf16" instead of "Flat" holds vectors in float16 (values up to
        /// 65504) or bfloat16: half the bytes, and faster wherever memory is the limit; "SQ8_direct" whole numbers from 0 to 255
        /// in bytes. Vectors are rounded to the nearest when added; distances are exact ones to the rounded vectors.
        /// </param>
        /// <param name="metric">How vectors are compared.</param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="context">null for the shared default one.</param>
        /// <exception cref="IvfDescriptionException">The description is not understood.</exception>
        /// <exception cref="IvfArgumentException">dim is 0, or there is no such metric.</exception>
        /// <exception cref="DllNotFoundException">The native library is not found.</exception>
        public unsafe IvfIndex(
            int dim, string description, Metric metric = Metric.L2, IndexOptions options = null, IvfContext context = null)
        {
            IvfLibrary.Require();
            options = options ?? new IndexOptions();
            var native = new Native.ivf_index_options
            {
                struct_size = (uint)sizeof(Native.ivf_index_options),
                nprobe = Number.Unsigned(options.NProbe, nameof(options.NProbe)),
                allow_duplicate_ids = options.AllowDuplicateIds ? 1u : 0u,
                k_factor = options.KFactor,
                list_order = (int)options.ListOrder,
                soar = options.Soar,
            };
            using (Borrowed on = IvfContext.Borrow(context))
            fixed (byte* text = Text.Required(description, nameof(description)))
            {
                IntPtr made;
                IvfException.Check(Native.ivf_index_create(
                    on.Pointer, Number.Unsigned(dim, nameof(dim)), (int)metric, text, &native, &made));
                handle.Own(made);
            }
            Dim = dim;
            Metric = metric;
        }

        private IvfIndex(IntPtr made)
        {
            handle.Own(made);
            IndexInfo info = Info;
            Dim = info.Dim;
            Metric = info.Metric;
        }

        /// <summary>Columns of a vector.</summary>
        public int Dim { get; }

        /// <summary>How vectors are compared.</summary>
        public Metric Metric { get; }

        /// <summary>Vectors that can be found.</summary>
        public long Count
        {
            get { return Info.Count; }
        }

        /// <summary>Whether vectors can be added; else it wants training first.</summary>
        public bool IsTrained
        {
            get { return Info.IsTrained; }
        }

        /// <summary>What the index is and holds. Waits for a call that changes it to end.</summary>
        public unsafe IndexInfo Info
        {
            get
            {
                using (Borrowed self = handle.Borrow())
                {
                    var info = new Native.ivf_index_info { struct_size = (uint)sizeof(Native.ivf_index_info) };
                    IvfException.Check(Native.ivf_index_get_info(self.Pointer, &info));
                    return new IndexInfo(&info);
                }
            }
        }

        /// <summary>The description, which the constructor understands: "IVF1024,Flat".</summary>
        public unsafe string Describe()
        {
            using (Borrowed self = handle.Borrow())
            {
                ulong length = 0;
                IvfException.Check(Native.ivf_index_describe(self.Pointer, null, 0, &length));
                var text = new byte[Number.Length(length + 1, 1)];
                fixed (byte* bytes = text)
                {
                    IvfException.Check(Native.ivf_index_describe(self.Pointer, bytes, (ulong)text.Length, &length));
                    return Text.Read(bytes);
                }
            }
        }

        /// <summary>How many vectors that can be found each list holds: [nlist].</summary>
        public unsafe long[] ListSizes()
        {
            using (Borrowed self = handle.Borrow())
            {
                var sizes = new long[Info.NList];
                fixed (long* to = sizes)
                    IvfException.Check(Native.ivf_list_sizes(self.Pointer, (ulong*)to, (ulong)sizes.Length));
                return sizes;
            }
        }

        /// <summary>
        /// The centroids: [nlist, list dim], row-major; of length 1 each for the cosine metric. List i holds the vectors whose
        /// nearest centroid is row i.
        /// </summary>
        /// <exception cref="IvfNotTrainedException">The index has none yet.</exception>
        /// <exception cref="IvfStateException">A "Flat" index has none.</exception>
        public unsafe float[] Centroids()
        {
            using (Borrowed self = handle.Borrow())
            {
                IndexInfo info = Info;
                ulong nlist = (ulong)info.NList;
                var centroids = new float[Number.Length(nlist, (ulong)info.ListDim)];
                fixed (float* to = centroids)
                    IvfException.Check(Native.ivf_centroids(self.Pointer, to, nlist, (uint)info.ListDim));
                return centroids;
            }
        }

        /// <summary>
        /// Gives the index back with all its memory, once calls that use it have ended. A second time does nothing.
        /// </summary>
        public void Dispose()
        {
            handle.Dispose();
        }

        /// <summary>"IvfIndex(IVF1024,Flat, 128 columns, L2, 50000 vectors)".</summary>
        public override string ToString()
        {
            if (handle.IsClosed)
                return "IvfIndex(disposed)";
            return "IvfIndex(" + Describe() + ", " + Dim + " columns, " + Metric + ", " + Count + " vectors)";
        }
    }
}

using System;
using System.Threading;

namespace Ivf
{
    public sealed partial class IvfIndex
    {
        /// <summary>
        /// Finds, for each query, every vector of the lists visited that is strictly better than the radius: squared distance
        /// below it (L2), similarity above it.
        /// </summary>
        /// <param name="queries">[n, dim], row-major.</param>
        /// <param name="radius">Squared for L2, as distances are.</param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="cancellationToken">Ends the call.</param>
        /// <remarks>Cost a query: O((nlist + vectors in the lists) * dim).</remarks>
        /// <exception cref="IvfArgumentException">A radius of NaN.</exception>
        /// <exception cref="IvfNotTrainedException">The index has no centroids yet.</exception>
        /// <exception cref="IvfDimensionException">Rows have another width than the index.</exception>
        /// <exception cref="IvfNotFiniteException">NaN or infinity in a row.</exception>
        /// <exception cref="IvfOverflowException">More results than an array of .NET holds.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public unsafe RangeNeighbors RangeSearch(
            Rows queries, float radius, SearchOptions options = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            ulong n = queries.Count(Dim, out uint dim);
            options = options ?? SearchOptions.Default;
            IntPtr result = IntPtr.Zero;
            try
            {
                using (Call call = Call.Begin(options.Progress, cancellationToken))
                using (Borrowed self = handle.Borrow())
                using (HeldOptions held = options.Hold())
                fixed (float* data = &queries.First)
                {
                    var native = options.ToNative(call, held, null);
                    Call.End(call, Native.ivf_range_search(self.Pointer, data, n, dim, radius, &native, &result));
                }
                var view = new Native.ivf_range_view { struct_size = (uint)sizeof(Native.ivf_range_view) };
                IvfException.Check(Native.ivf_range_result_get(result, &view));
                return new RangeNeighbors(&view);
            }
            finally
            {
                Native.ivf_range_result_destroy(result); // NULL is nothing
            }
        }
    }
}

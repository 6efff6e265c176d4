using System;
using System.Runtime.InteropServices;
using System.Threading;

namespace Ivf
{
    // The calls that read rows, for rows of other types than float.
    public sealed partial class IvfIndex
    {
        /// <summary>Trains from rows of another type than float.</summary>
        /// <param name="x">[n, dim], row-major.</param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="cancellationToken">Ends the call, in which case the index is as before.</param>
        /// <exception cref="IvfTooFewPointsException">Fewer points than centroids.</exception>
        /// <exception cref="IvfStateException">The index holds vectors; <see cref="Reset"/> it first.</exception>
        /// <exception cref="IvfDimensionException">Rows have another width than the index.</exception>
        /// <exception cref="IvfNotFiniteException">NaN or infinity in a row.</exception>
        /// <exception cref="IvfArgumentException">An option is outside its range.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public unsafe void Train(
            TypedRows x, TrainOptions options = null, CancellationToken cancellationToken = default(CancellationToken))
        {
            ulong n = x.Count(Dim, out uint dim);
            options = options ?? TrainOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed self = handle.Borrow())
            fixed (byte* data = &x.First)
            {
                var native = options.ToNative(call);
                Call.End(call, Native.ivf_train_typed(self.Pointer, data, (int)x.Element, n, dim, &native));
            }
        }

        /// <summary>Adds vectors of another type than float.</summary>
        /// <param name="x">[n, dim], row-major. The index keeps a copy, in the type that its description says.</param>
        /// <param name="ids">[n], from 0 on; or empty for the next free ones.</param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="cancellationToken">Ends the call, in which case nothing is added.</param>
        /// <exception cref="IvfDuplicateIdException">An id that is there already.</exception>
        /// <exception cref="IvfArgumentException">A negative id.</exception>
        /// <exception cref="ArgumentException">Another number of ids than of rows.</exception>
        /// <exception cref="IvfNotTrainedException">The index has no centroids yet.</exception>
        /// <exception cref="IvfDimensionException">Rows have another width than the index.</exception>
        /// <exception cref="IvfNotFiniteException">NaN or infinity in a row.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public unsafe void Add(
            TypedRows x, ReadOnlySpan<long> ids = default(ReadOnlySpan<long>), AddOptions options = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            ulong n = x.Count(Dim, out uint dim);
            if (!ids.IsEmpty && (ulong)ids.Length != n)
                throw new ArgumentException("expected " + n + " ids, got " + ids.Length, nameof(ids));
            options = options ?? AddOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed self = handle.Borrow())
            fixed (byte* data = &x.First)
            fixed (long* id = &MemoryMarshal.GetReference(ids))
            {
                var native = options.ToNative(call);
                long* own = ids.IsEmpty ? null : id;
                Call.End(call, Native.ivf_add_typed(self.Pointer, data, (int)x.Element, n, dim, own, &native));
            }
        }

        /// <summary>Finds the k nearest vectors of each query, of another type than float.</summary>
        /// <param name="queries">[n, dim], row-major.</param>
        /// <param name="k">Results a query, at least 1; more than there are vectors is fine.</param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="cancellationToken">Ends the call.</param>
        /// <exception cref="IvfArgumentException">k is 0.</exception>
        /// <exception cref="IvfNotTrainedException">The index has no centroids yet.</exception>
        /// <exception cref="IvfDimensionException">Rows have another width than the index.</exception>
        /// <exception cref="IvfNotFiniteException">NaN or infinity in a row.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public unsafe Neighbors Search(
            TypedRows queries, int k, SearchOptions options = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            ulong n = queries.Count(Dim, out uint dim);
            var found = new Neighbors(n, k);
            options = options ?? SearchOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed self = handle.Borrow())
            using (HeldOptions held = options.Hold())
            fixed (byte* data = &queries.First)
            fixed (float* distance = found.Distances)
            fixed (long* id = found.Ids)
            fixed (long* hit = found.Hits)
            {
                var native = options.ToNative(call, held, hit);
                Call.End(call, Native.ivf_search_typed(
                    self.Pointer, data, (int)queries.Element, n, dim, (uint)k, distance, id, &native));
            }
            return found;
        }

        /// <summary>Finds all vectors within a radius of each query, of another type than float.</summary>
        /// <param name="queries">[n, dim], row-major.</param>
        /// <param name="radius">Squared for L2, as distances are.</param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="cancellationToken">Ends the call.</param>
        /// <exception cref="IvfArgumentException">A radius of NaN.</exception>
        /// <exception cref="IvfNotTrainedException">The index has no centroids yet.</exception>
        /// <exception cref="IvfDimensionException">Rows have another width than the index.</exception>
        /// <exception cref="IvfNotFiniteException">NaN or infinity in a row.</exception>
        /// <exception cref="IvfOverflowException">More results than an array of .NET holds.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public unsafe RangeNeighbors RangeSearch(
            TypedRows queries, float radius, SearchOptions options = null,
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
                fixed (byte* data = &queries.First)
                {
                    var native = options.ToNative(call, held, null);
                    Call.End(call, Native.ivf_range_search_typed(
                        self.Pointer, data, (int)queries.Element, n, dim, radius, &native, &result));
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

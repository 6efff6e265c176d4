using System;
using System.Runtime.InteropServices;
using System.Threading;

namespace Ivf
{
    public sealed partial class IvfIndex
    {
        /// <summary>Replaces vectors under their ids, in place; each goes to the list that it now belongs to.</summary>
        /// <param name="ids">
        /// [n], each once, all of which the index holds. Where ids may repeat, one vector takes the place of all that an id
        /// has.
        /// </param>
        /// <param name="x">[n, dim], row-major, in the order of the ids. The index keeps a copy.</param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="cancellationToken">Ends the call, in which case nothing is changed.</param>
        /// <remarks>Cost: O(n * nlist * dim), and one look at every id.</remarks>
        /// <exception cref="IvfNotFoundException">An id that no vector has; nothing is changed.</exception>
        /// <exception cref="IvfDuplicateIdException">An id that is given twice.</exception>
        /// <exception cref="ArgumentException">Another number of ids than of rows.</exception>
        /// <exception cref="IvfNotTrainedException">The index has no centroids yet.</exception>
        /// <exception cref="IvfDimensionException">Rows have another width than the index.</exception>
        /// <exception cref="IvfNotFiniteException">NaN or infinity in a row.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public unsafe void Update(
            ReadOnlySpan<long> ids, Rows x, AddOptions options = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            ulong n = x.Count(Dim, out uint dim);
            if ((ulong)ids.Length != n)
                throw new ArgumentException("expected " + n + " ids, got " + ids.Length, nameof(ids));
            options = options ?? AddOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed self = handle.Borrow())
            fixed (long* numbers = &MemoryMarshal.GetReference(ids))
            fixed (float* data = &x.First)
            {
                var native = options.ToNative(call);
                Call.End(call, Native.ivf_update(self.Pointer, numbers, data, n, dim, &native));
            }
        }

        /// <summary>Removes the vectors whose ids pass a filter, as <c>Remove</c> does those of given ids.</summary>
        /// <param name="filter">Which ids go.</param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="cancellationToken">Ends the call, in which case nothing is removed.</param>
        /// <returns>The number of vectors removed.</returns>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public unsafe long Remove(
            IvfFilter filter, AddOptions options = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            if (filter == null)
                throw new ArgumentNullException(nameof(filter));
            options = options ?? AddOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed self = handle.Borrow())
            using (Borrowed which = IvfFilter.Borrow(filter))
            {
                ulong removed = 0;
                var native = options.ToNative(call);
                Call.End(call, Native.ivf_remove_filter_v2(self.Pointer, which.Pointer, &removed, &native));
                return (long)removed;
            }
        }

        /// <summary>Adds the vectors of another index, which keeps them, as they are.</summary>
        /// <param name="other">An index of the same dimension, metric, description and centroids.</param>
        /// <param name="addId">Added to the other's ids; 0 keeps them.</param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="cancellationToken">Ends the call, in which case nothing is added.</param>
        /// <returns>The number of vectors added.</returns>
        /// <exception cref="IvfArgumentException">The two differ; the text says in what.</exception>
        /// <exception cref="IvfDimensionException">They differ in their dimension.</exception>
        /// <exception cref="IvfDuplicateIdException">An id that both have, unless this index allows that.</exception>
        /// <exception cref="IvfNotTrainedException">One of them has no centroids yet.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public unsafe long Merge(
            IvfIndex other, long addId = 0, AddOptions options = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            if (other == null)
                throw new ArgumentNullException(nameof(other));
            options = options ?? AddOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed self = handle.Borrow())
            using (Borrowed from = other.handle.Borrow())
            {
                ulong merged = 0;
                var native = options.ToNative(call);
                Call.End(call, Native.ivf_merge(self.Pointer, from.Pointer, addId, &merged, &native));
                return (long)merged;
            }
        }

        /// <summary>
        /// Makes a copy that is an index of its own. Lists that are mapped from a file stay there until they are changed, and
        /// the file must stay as it is while either index lives.
        /// </summary>
        /// <param name="context">What the copy runs on; null for this index's own context.</param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="cancellationToken">Ends the call.</param>
        /// <remarks>Cost: one copy of all memory.</remarks>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public unsafe IvfIndex Clone(
            IvfContext context = null, IOOptions options = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            options = options ?? IOOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed self = handle.Borrow())
            using (Borrowed on = IvfContext.Borrow(context))
            {
                IntPtr made;
                var native = options.ToNative(call);
                int status = Native.ivf_index_clone_v2(self.Pointer, on.Pointer, &made, &native);
                return Made(call, status, made);
            }
        }

        /// <summary>The ids of all vectors, ascending.</summary>
        /// <returns>[Count]</returns>
        /// <exception cref="IvfArgumentException">Another thread adds or removes vectors meanwhile.</exception>
        public unsafe long[] Ids()
        {
            var ids = new long[Number.Length((ulong)Info.Count, 1)];
            using (Borrowed self = handle.Borrow())
            fixed (long* numbers = ids)
                IvfException.Check(Native.ivf_ids(self.Pointer, numbers, (ulong)ids.Length));
            return ids;
        }

        /// <summary>Reads back the vectors of neighbouring ids, as <c>Reconstruct</c> does those of any.</summary>
        /// <param name="first">The first id.</param>
        /// <param name="n">How many ids from it on.</param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="cancellationToken">Ends the call.</param>
        /// <returns>[n, dim], row-major, in the order of the ids.</returns>
        /// <exception cref="IvfNotFoundException">An id that no vector has.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public unsafe float[] ReconstructRange(
            long first, int n, IOOptions options = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            ulong count = Number.Unsigned(n, nameof(n));
            var x = new float[Number.Length(count, (ulong)Dim)];
            options = options ?? IOOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed self = handle.Borrow())
            fixed (float* data = x)
            {
                var native = options.ToNative(call);
                Call.End(
                    call, Native.ivf_reconstruct_range_v2(self.Pointer, first, count, data, (uint)Dim, &native));
            }
            return x;
        }

        /// <summary>Searches like <c>Search</c> and reads back the vector of each result.</summary>
        /// <param name="queries">[n, dim], row-major.</param>
        /// <param name="k">Results a query, at least 1; more than there are vectors is fine.</param>
        /// <param name="vectors">
        /// [n, k, dim], row-major: the vectors in the order of the ids; NaN throughout where a result is missing.
        /// </param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="cancellationToken">Ends the call.</param>
        /// <exception cref="IvfArgumentException">k is 0.</exception>
        /// <exception cref="IvfNotTrainedException">The index has no centroids yet.</exception>
        /// <exception cref="IvfDimensionException">Rows have another width than the index.</exception>
        /// <exception cref="IvfNotFiniteException">NaN or infinity in a row.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public unsafe Neighbors SearchAndReconstruct(
            Rows queries, int k, out float[] vectors, SearchOptions options = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            ulong n = queries.Count(Dim, out uint dim);
            var found = new Neighbors(n, k);
            uint columns = ResultColumns(n, k, found.Distances.Length, found.Ids.Length, found.Hits.Length);
            vectors = new float[Number.Length((ulong)found.Ids.Length, (ulong)Dim)];
            options = options ?? SearchOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed self = handle.Borrow())
            using (HeldOptions held = options.Hold())
            fixed (float* data = &queries.First)
            fixed (float* distance = found.Distances)
            fixed (long* id = found.Ids)
            fixed (long* hit = found.Hits)
            fixed (float* row = vectors)
            {
                var native = options.ToNative(call, held, hit);
                Call.End(call, Native.ivf_search_and_reconstruct(
                    self.Pointer, data, n, dim, columns, distance, id, row, &native));
            }
            return found;
        }
    }
}

using System;
using System.Runtime.InteropServices;
using System.Threading;

namespace Ivf
{
    public sealed partial class IvfIndex
    {
        /// <summary>
        /// Finds the k nearest vectors of each query among those in its nprobe nearest lists; in a "Flat" index, among all.
        /// </summary>
        /// <param name="queries">[n, dim], row-major.</param>
        /// <param name="k">Results a query, at least 1; more than there are vectors is fine.</param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="cancellationToken">Ends the call.</param>
        /// <remarks>
        /// The results are the same on any number of threads. Cost a query: O((nlist + vectors in the lists) * dim).
        /// </remarks>
        /// <exception cref="IvfArgumentException">k is 0.</exception>
        /// <exception cref="IvfNotTrainedException">The index has no centroids yet.</exception>
        /// <exception cref="IvfDimensionException">Rows have another width than the index.</exception>
        /// <exception cref="IvfNotFiniteException">NaN or infinity in a row.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public Neighbors Search(
            Rows queries, int k, SearchOptions options = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            var found = new Neighbors(queries.Count(Dim, out uint _), k);
            Search(queries, k, found.Distances, found.Ids, options, found.Hits, cancellationToken);
            return found;
        }

        /// <summary>The same into buffers of your own, without an allocation.</summary>
        /// <param name="queries">[n, dim], row-major.</param>
        /// <param name="k">Results a query, at least 1; more than there are vectors is fine.</param>
        /// <param name="distances">
        /// [n, k], receives them best first: squared distances rising for L2, similarities falling for inner product and
        /// cosine. A missing result has +infinity (L2) or -infinity.
        /// </param>
        /// <param name="ids">
        /// [n, k], receives the ids that belong to them; equal distances are in order of id. -1 = a missing result.
        /// </param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="hits">[n], receives how many results each query has, at most k; or empty.</param>
        /// <param name="cancellationToken">Ends the call; what it has written by then is unspecified.</param>
        /// <exception cref="ArgumentException">There is too little room in a buffer.</exception>
        /// <exception cref="IvfArgumentException">k is 0.</exception>
        /// <exception cref="IvfNotTrainedException">The index has no centroids yet.</exception>
        /// <exception cref="IvfDimensionException">Rows have another width than the index.</exception>
        /// <exception cref="IvfNotFiniteException">NaN or infinity in a row.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public unsafe void Search(
            Rows queries, int k, Span<float> distances, Span<long> ids, SearchOptions options = null,
            Span<long> hits = default(Span<long>), CancellationToken cancellationToken = default(CancellationToken))
        {
            ulong n = queries.Count(Dim, out uint dim);
            uint columns = ResultColumns(n, k, distances.Length, ids.Length, hits.Length);
            options = options ?? SearchOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed self = handle.Borrow())
            using (HeldOptions held = options.Hold())
            fixed (float* data = &queries.First)
            fixed (float* distance = &MemoryMarshal.GetReference(distances))
            fixed (long* id = &MemoryMarshal.GetReference(ids))
            fixed (long* hit = &MemoryMarshal.GetReference(hits))
            {
                var native = options.ToNative(call, held, hits.IsEmpty ? null : hit);
                Call.End(call, Native.ivf_search(self.Pointer, data, n, dim, columns, distance, id, &native));
            }
        }

        /// <summary>Searches in lists that you chose: the coarse step is yours.</summary>
        /// <param name="queries">[n, dim], row-major.</param>
        /// <param name="k">Results a query, at least 1; more than there are vectors is fine.</param>
        /// <param name="lists">
        /// [n, nprobe], row-major: the lists of each query in the order to look into them, from 0 to nlist - 1; -1 = none.
        /// </param>
        /// <param name="nprobe">Columns of lists, at least 1.</param>
        /// <param name="options">null for the defaults; its own NProbe must be 0.</param>
        /// <param name="cancellationToken">Ends the call.</param>
        /// <exception cref="ArgumentException">There are fewer lists than n * nprobe.</exception>
        /// <exception cref="IvfArgumentException">k or nprobe is 0, or a list does not exist.</exception>
        /// <exception cref="IvfNotTrainedException">The index has no centroids yet.</exception>
        /// <exception cref="IvfDimensionException">Rows have another width than the index.</exception>
        /// <exception cref="IvfNotFiniteException">NaN or infinity in a row.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public Neighbors SearchPreassigned(
            Rows queries, int k, ReadOnlySpan<long> lists, int nprobe, SearchOptions options = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            var found = new Neighbors(queries.Count(Dim, out uint _), k);
            SearchPreassigned(
                queries, k, lists, nprobe, found.Distances, found.Ids, options, found.Hits, cancellationToken);
            return found;
        }

        /// <summary>The same into buffers of your own, without an allocation.</summary>
        /// <param name="queries">[n, dim], row-major.</param>
        /// <param name="k">Results a query, at least 1; more than there are vectors is fine.</param>
        /// <param name="lists">
        /// [n, nprobe], row-major: the lists of each query in the order to look into them, from 0 to nlist - 1; -1 = none.
        /// </param>
        /// <param name="nprobe">Columns of lists, at least 1.</param>
        /// <param name="distances">[n, k], receives the distances as by <c>Search</c>.</param>
        /// <param name="ids">[n, k], receives the ids as by <c>Search</c>.</param>
        /// <param name="options">null for the defaults; its own NProbe must be 0.</param>
        /// <param name="hits">[n], receives how many results each query has, at most k; or empty.</param>
        /// <param name="cancellationToken">Ends the call; what it has written by then is unspecified.</param>
        /// <exception cref="ArgumentException">There is too little room in a buffer, or fewer lists than n * nprobe.
        /// </exception>
        /// <exception cref="IvfArgumentException">k or nprobe is 0, or a list does not exist.</exception>
        /// <exception cref="IvfNotTrainedException">The index has no centroids yet.</exception>
        /// <exception cref="IvfDimensionException">Rows have another width than the index.</exception>
        /// <exception cref="IvfNotFiniteException">NaN or infinity in a row.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public unsafe void SearchPreassigned(
            Rows queries, int k, ReadOnlySpan<long> lists, int nprobe, Span<float> distances, Span<long> ids,
            SearchOptions options = null, Span<long> hits = default(Span<long>),
            CancellationToken cancellationToken = default(CancellationToken))
        {
            ulong n = queries.Count(Dim, out uint dim);
            uint columns = ResultColumns(n, k, distances.Length, ids.Length, hits.Length);
            uint probes = Number.Unsigned(nprobe, nameof(nprobe));
            int expected = Number.Length(n, probes);
            if (lists.Length < expected)
                throw new ArgumentException("expected " + expected + " lists, got " + lists.Length, nameof(lists));
            options = options ?? SearchOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed self = handle.Borrow())
            using (HeldOptions held = options.Hold())
            fixed (float* data = &queries.First)
            fixed (long* list = &MemoryMarshal.GetReference(lists))
            fixed (float* distance = &MemoryMarshal.GetReference(distances))
            fixed (long* id = &MemoryMarshal.GetReference(ids))
            fixed (long* hit = &MemoryMarshal.GetReference(hits))
            {
                var native = options.ToNative(call, held, hits.IsEmpty ? null : hit);
                Call.End(call, Native.ivf_search_preassigned(
                    self.Pointer, data, n, dim, columns, list, probes, distance, id, &native));
            }
        }

        /// <summary>k as the library wants it, once the buffers are known to be long enough.</summary>
        internal static uint ResultColumns(ulong n, int k, int distances, int ids, int hits)
        {
            uint columns = Number.Unsigned(k, nameof(k));
            Number.Room(distances, n, columns, nameof(distances));
            Number.Room(ids, n, columns, nameof(ids));
            if (hits != 0)
                Number.Room(hits, n, 1, nameof(hits));
            return columns;
        }
    }
}

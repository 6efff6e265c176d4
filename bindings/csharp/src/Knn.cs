using System;
using System.Runtime.InteropServices;
using System.Threading;

namespace Ivf
{
    /// <summary>Exact search of data against data, without building an index.</summary>
    public static class Knn
    {
        /// <summary>Finds the k nearest rows of x for each query, exactly. A result's id is its row in x.</summary>
        /// <param name="queries">[n_queries, dim], row-major.</param>
        /// <param name="x">[n, dim], row-major.</param>
        /// <param name="dim">Columns of both, at least 1.</param>
        /// <param name="k">Results a query, at least 1; more than n is fine.</param>
        /// <param name="metric">How vectors are compared.</param>
        /// <param name="options">null for the defaults; NProbe and MaxCodes must be 0.</param>
        /// <param name="context">null for the shared default one.</param>
        /// <param name="cancellationToken">Ends the call.</param>
        /// <remarks>Cost: O(n_queries * n * dim).</remarks>
        /// <exception cref="IvfArgumentException">k or dim is 0, or an option does not suit the call.</exception>
        /// <exception cref="IvfDimensionException">queries or x is no whole number of rows.</exception>
        /// <exception cref="IvfNotFiniteException">NaN or infinity in a row.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public static Neighbors Search(
            ReadOnlySpan<float> queries, ReadOnlySpan<float> x, int dim, int k, Metric metric = Metric.L2,
            SearchOptions options = null, IvfContext context = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            var found = new Neighbors(Number.Rows(queries.Length, dim, nameof(dim)), k);
            Search(
                queries, x, dim, k, found.Distances, found.Ids, metric, options, found.Hits, context, cancellationToken);
            return found;
        }

        /// <summary>The same into buffers of your own, without an allocation.</summary>
        /// <param name="queries">[n_queries, dim], row-major.</param>
        /// <param name="x">[n, dim], row-major.</param>
        /// <param name="dim">Columns of both, at least 1.</param>
        /// <param name="k">Results a query, at least 1; more than n is fine.</param>
        /// <param name="distances">[n_queries, k], receives the distances as by <c>IvfIndex.Search</c>.</param>
        /// <param name="ids">[n_queries, k], receives the rows of x that belong to them; -1 = a missing result.</param>
        /// <param name="metric">How vectors are compared.</param>
        /// <param name="options">null for the defaults; NProbe and MaxCodes must be 0.</param>
        /// <param name="hits">[n_queries], receives how many results each query has, at most k; or empty.</param>
        /// <param name="context">null for the shared default one.</param>
        /// <param name="cancellationToken">Ends the call; what it has written by then is unspecified.</param>
        /// <exception cref="ArgumentException">There is too little room in a buffer.</exception>
        /// <exception cref="IvfArgumentException">k or dim is 0, or an option does not suit the call.</exception>
        /// <exception cref="IvfDimensionException">queries or x is no whole number of rows.</exception>
        /// <exception cref="IvfNotFiniteException">NaN or infinity in a row.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public static unsafe void Search(
            ReadOnlySpan<float> queries, ReadOnlySpan<float> x, int dim, int k, Span<float> distances, Span<long> ids,
            Metric metric = Metric.L2, SearchOptions options = null, Span<long> hits = default(Span<long>),
            IvfContext context = null, CancellationToken cancellationToken = default(CancellationToken))
        {
            IvfLibrary.Require();
            ulong rows = Number.Rows(queries.Length, dim, nameof(dim));
            ulong n = Number.Rows(x.Length, dim, nameof(dim));
            uint columns = IvfIndex.ResultColumns(rows, k, distances.Length, ids.Length, hits.Length);
            options = options ?? SearchOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed on = IvfContext.Borrow(context))
            using (HeldOptions held = options.Hold())
            fixed (float* query = &MemoryMarshal.GetReference(queries))
            fixed (float* data = &MemoryMarshal.GetReference(x))
            fixed (float* distance = &MemoryMarshal.GetReference(distances))
            fixed (long* id = &MemoryMarshal.GetReference(ids))
            fixed (long* hit = &MemoryMarshal.GetReference(hits))
            {
                var native = options.ToNative(call, held, hits.IsEmpty ? null : hit);
                Call.End(call, Native.ivf_knn(
                    on.Pointer, query, rows, data, n, (uint)dim, (int)metric, columns, distance, id, &native));
            }
        }

        /// <summary>The same for rows of another type than float; queries and x may differ in theirs.</summary>
        /// <param name="queries">[n_queries, dim], row-major; as wide as x if it does not say.</param>
        /// <param name="x">[n, dim], row-major; say its columns.</param>
        /// <param name="k">Results a query, at least 1; more than n is fine.</param>
        /// <param name="metric">How vectors are compared.</param>
        /// <param name="options">null for the defaults; NProbe and MaxCodes must be 0.</param>
        /// <param name="context">null for the shared default one.</param>
        /// <param name="cancellationToken">Ends the call.</param>
        /// <exception cref="IvfArgumentException">k or x.Dim is 0, or an option does not suit the call.</exception>
        /// <exception cref="IvfDimensionException">queries or x is no whole number of rows, or they differ in width.</exception>
        /// <exception cref="IvfNotFiniteException">NaN or infinity in a row.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public static unsafe Neighbors Search(
            TypedRows queries, TypedRows x, int k, Metric metric = Metric.L2, SearchOptions options = null,
            IvfContext context = null, CancellationToken cancellationToken = default(CancellationToken))
        {
            IvfLibrary.Require();
            ulong n = x.Count(0, out uint dim);
            ulong rows = queries.Count((int)dim, out uint width);
            if (width != dim)
                throw new IvfDimensionException("queries: expected " + dim + " columns, got " + width);
            var found = new Neighbors(rows, k);
            options = options ?? SearchOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed on = IvfContext.Borrow(context))
            using (HeldOptions held = options.Hold())
            fixed (byte* query = &queries.First)
            fixed (byte* data = &x.First)
            fixed (float* distance = found.Distances)
            fixed (long* id = found.Ids)
            fixed (long* hit = found.Hits)
            {
                var native = options.ToNative(call, held, hit);
                Call.End(call, Native.ivf_knn_typed(
                    on.Pointer, query, (int)queries.Element, rows, data, (int)x.Element, n, dim, (int)metric, (uint)k,
                    distance, id, &native));
            }
            return found;
        }
    }
}

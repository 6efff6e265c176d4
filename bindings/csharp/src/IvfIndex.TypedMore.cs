using System;
using System.Runtime.InteropServices;
using System.Threading;

namespace Ivf
{
    // More calls that read rows, for rows of other types than float.
    public sealed partial class IvfIndex
    {
        /// <summary>
        /// Replaces vectors under their ids by rows of another type than float; each goes to the list that it now
        /// belongs to.
        /// </summary>
        /// <param name="ids">[n], each once, all of which the index holds.</param>
        /// <param name="x">
        /// [n, dim], row-major, in the order of the ids. The index keeps a copy, in the type that its description says.
        /// </param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="cancellationToken">Ends the call, in which case nothing is changed.</param>
        /// <exception cref="IvfNotFoundException">An id that no vector has; nothing is changed.</exception>
        /// <exception cref="IvfDuplicateIdException">An id that is given twice.</exception>
        /// <exception cref="ArgumentException">Another number of ids than of rows.</exception>
        /// <exception cref="IvfNotTrainedException">The index has no centroids yet.</exception>
        /// <exception cref="IvfDimensionException">Rows have another width than the index.</exception>
        /// <exception cref="IvfNotFiniteException">NaN or infinity in a row.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public unsafe void Update(
            ReadOnlySpan<long> ids, TypedRows x, AddOptions options = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            ulong n = x.Count(Dim, out uint dim);
            if ((ulong)ids.Length != n)
                throw new ArgumentException("expected " + n + " ids, got " + ids.Length, nameof(ids));
            options = options ?? AddOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed self = handle.Borrow())
            fixed (long* numbers = &MemoryMarshal.GetReference(ids))
            fixed (byte* data = &x.First)
            {
                var native = options.ToNative(call);
                Call.End(call, Native.ivf_update_typed(
                    self.Pointer, numbers, data, (int)x.Element, n, dim, &native));
            }
        }

        /// <summary>Searches like <c>Search</c>, in lists that you chose, with queries of another type than float.</summary>
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
        public unsafe Neighbors SearchPreassigned(
            TypedRows queries, int k, ReadOnlySpan<long> lists, int nprobe, SearchOptions options = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            ulong n = queries.Count(Dim, out uint dim);
            var found = new Neighbors(n, k);
            uint probes = Number.Unsigned(nprobe, nameof(nprobe));
            int expected = Number.Length(n, probes);
            if (lists.Length < expected)
                throw new ArgumentException("expected " + expected + " lists, got " + lists.Length, nameof(lists));
            options = options ?? SearchOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed self = handle.Borrow())
            using (HeldOptions held = options.Hold())
            fixed (byte* data = &queries.First)
            fixed (long* list = &MemoryMarshal.GetReference(lists))
            fixed (float* distance = found.Distances)
            fixed (long* id = found.Ids)
            fixed (long* hit = found.Hits)
            {
                var native = options.ToNative(call, held, hit);
                Call.End(call, Native.ivf_search_preassigned_typed(
                    self.Pointer, data, (int)queries.Element, n, dim, (uint)k, list, probes, distance, id, &native));
            }
            return found;
        }

        /// <summary>
        /// Searches like <c>Search</c>, with queries of another type than float, and reads back the vector of each
        /// result.
        /// </summary>
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
            TypedRows queries, int k, out float[] vectors, SearchOptions options = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            ulong n = queries.Count(Dim, out uint dim);
            var found = new Neighbors(n, k);
            vectors = new float[Number.Length((ulong)found.Ids.Length, (ulong)Dim)];
            options = options ?? SearchOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed self = handle.Borrow())
            using (HeldOptions held = options.Hold())
            fixed (byte* data = &queries.First)
            fixed (float* distance = found.Distances)
            fixed (long* id = found.Ids)
            fixed (long* hit = found.Hits)
            fixed (float* row = vectors)
            {
                var native = options.ToNative(call, held, hit);
                Call.End(call, Native.ivf_search_and_reconstruct_typed(
                    self.Pointer, data, (int)queries.Element, n, dim, (uint)k, distance, id, row, &native));
            }
            return found;
        }

        /// <summary>Alpha query expansion of queries of another type than float.</summary>
        /// <param name="queries">[n, dim], row-major.</param>
        /// <param name="k">Neighbours a query, at least 1.</param>
        /// <param name="alpha">From 0 on; 3 is usual.</param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="cancellationToken">Ends the call.</param>
        /// <returns>[n, dim], row-major.</returns>
        /// <exception cref="IvfArgumentException">k is 0, or another alpha.</exception>
        /// <exception cref="IvfNotTrainedException">The index has no centroids yet.</exception>
        /// <exception cref="IvfDimensionException">Rows have another width than the index.</exception>
        /// <exception cref="IvfNotFiniteException">NaN or infinity in a row.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public unsafe float[] QueryExpansion(
            TypedRows queries, int k, float alpha = 3, SearchOptions options = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            ulong n = queries.Count(Dim, out uint dim);
            uint columns = Number.Unsigned(k, nameof(k));
            var made = new float[Number.Length(n, dim)];
            options = options ?? SearchOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed self = handle.Borrow())
            using (HeldOptions held = options.Hold())
            fixed (byte* data = &queries.First)
            fixed (float* to = made)
            {
                var native = options.ToNative(call, held, null);
                Call.End(call, Native.ivf_query_expansion_typed(
                    self.Pointer, data, (int)queries.Element, n, dim, columns, alpha, to, &native));
            }
            return made;
        }

        /// <summary>
        /// Blends queries of another type than float with their neighbours: ratio * blend + (1 - ratio) * query.
        /// </summary>
        /// <param name="queries">[n, dim], row-major.</param>
        /// <param name="k">Neighbours a query, at least 1.</param>
        /// <param name="power">From 0 on; 2 is what RVC does.</param>
        /// <param name="ratio">0 (the query) to 1 (the blend).</param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="cancellationToken">Ends the call.</param>
        /// <returns>[n, dim], row-major.</returns>
        /// <exception cref="IvfArgumentException">k is 0, another power or ratio, or inner product.</exception>
        /// <exception cref="IvfNotTrainedException">The index has no centroids yet.</exception>
        /// <exception cref="IvfDimensionException">Rows have another width than the index.</exception>
        /// <exception cref="IvfNotFiniteException">NaN or infinity in a row.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public unsafe float[] Blend(
            TypedRows queries, int k, float power = 2, float ratio = 1, SearchOptions options = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            ulong n = queries.Count(Dim, out uint dim);
            uint columns = Number.Unsigned(k, nameof(k));
            var made = new float[Number.Length(n, dim)];
            options = options ?? SearchOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed self = handle.Borrow())
            using (HeldOptions held = options.Hold())
            fixed (byte* data = &queries.First)
            fixed (float* to = made)
            {
                var native = options.ToNative(call, held, null);
                Call.End(call, Native.ivf_blend_typed(
                    self.Pointer, data, (int)queries.Element, n, dim, columns, power, ratio, to, &native));
            }
            return made;
        }

        /// <summary>Measures recall on sample queries of another type than float.</summary>
        /// <param name="queries">[n, dim], row-major: like those to come, and not among the vectors.</param>
        /// <param name="k">The nearest that recall counts.</param>
        /// <param name="recall">The share of them wanted, above 0; 1 = all.</param>
        /// <param name="truth">[n, k]: ids of the true nearest, -1 for none; empty = found by an exhaustive search.</param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="cancellationToken">Ends the call; the old curve stays.</param>
        /// <exception cref="ArgumentException">Another number of ids than n * k.</exception>
        /// <exception cref="IvfStateException">
        /// A flat index, an empty one, or no number of lists that reaches the recall.
        /// </exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public unsafe Tuned Tune(
            TypedRows queries, int k, double recall, ReadOnlySpan<long> truth = default(ReadOnlySpan<long>),
            TuneOptions options = null, CancellationToken cancellationToken = default(CancellationToken))
        {
            ulong n = queries.Count(Dim, out uint dim);
            uint results = Number.Unsigned(k, nameof(k));
            if (truth.Length != 0 && (ulong)truth.Length != n * results)
                throw new ArgumentException("expected " + n * results + " ids, got " + truth.Length, nameof(truth));
            options = options ?? TuneOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed self = handle.Borrow())
            fixed (long* known = &MemoryMarshal.GetReference(truth))
            fixed (byte* data = &queries.First)
            {
                var native = options.ToNative(call, truth.Length == 0 ? null : known);
                var result = new Native.ivf_tune_result { struct_size = (uint)sizeof(Native.ivf_tune_result) };
                Call.End(call, Native.ivf_tune_typed(
                    self.Pointer, data, (int)queries.Element, n, dim, results, recall, &native, &result));
                return new Tuned
                {
                    NProbe = (long)result.nprobe, Recall = result.recall, KFactor = result.k_factor,
                    ProbeScale = result.probe_scale,
                };
            }
        }
    }
}

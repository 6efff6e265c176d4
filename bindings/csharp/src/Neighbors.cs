using System;

namespace Ivf
{
    /// <summary>The results of a search: the K nearest vectors of each of Count queries, best first.</summary>
    public sealed class Neighbors
    {
        internal Neighbors(ulong count, int k)
        {
            uint columns = Number.Unsigned(k, nameof(k));
            int length = Number.Length(count, columns);
            Count = (int)count;
            K = k;
            Distances = new float[length];
            Ids = new long[length];
            Hits = new long[count];
        }

        /// <summary>Queries.</summary>
        public int Count { get; }

        /// <summary>Results a query, missing ones included.</summary>
        public int K { get; }

        /// <summary>
        /// [Count, K], row-major, best first: squared distances rising for L2, similarities falling for inner product and
        /// cosine. A missing result has +infinity (L2) or -infinity.
        /// </summary>
        public float[] Distances { get; }

        /// <summary>[Count, K], row-major: the ids that belong to the distances; -1 = a missing result.</summary>
        public long[] Ids { get; }

        /// <summary>[Count]: how many results each query has, at most K.</summary>
        public long[] Hits { get; }

        /// <summary>The ids of one query's results, missing ones left out.</summary>
        /// <param name="query">From 0 to Count - 1.</param>
        /// <exception cref="IndexOutOfRangeException">There is no such query.</exception>
        public ReadOnlySpan<long> IdsOf(int query)
        {
            return new ReadOnlySpan<long>(Ids, query * K, (int)Hits[query]);
        }

        /// <summary>The distances of one query's results, missing ones left out.</summary>
        /// <param name="query">From 0 to Count - 1.</param>
        /// <exception cref="IndexOutOfRangeException">There is no such query.</exception>
        public ReadOnlySpan<float> DistancesOf(int query)
        {
            return new ReadOnlySpan<float>(Distances, query * K, (int)Hits[query]);
        }
    }
}

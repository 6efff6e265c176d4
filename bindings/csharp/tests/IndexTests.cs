using System;
using System.Collections.Generic;
using System.Linq;

namespace Ivf.Tests
{
    /// <summary>What an index does when all goes well.</summary>
    public static class IndexTests
    {
        private const int Dim = 8;

        public static void Index_New_IsEmpty()
        {
            using (var index = new IvfIndex(Dim, "IVF4,Flat", Metric.Cosine, new IndexOptions { NProbe = 3, AllowDuplicateIds = true }))
            {
                IndexInfo info = index.Info;
                Check.Equal(Dim, info.Dim, "dim");
                Check.Equal(Metric.Cosine, info.Metric, "metric");
                Check.Equal(0, info.Count, "count");
                Check.Equal(4, info.NList, "nlist");
                Check.Equal(3, info.NProbe, "nprobe");
                Check.Equal(0, info.NextId, "next id");
                Check.True(!info.IsTrained && info.IsIvf && info.AllowDuplicateIds, "an untrained IVF index that allows duplicates");
                Check.Equal("IVF4,Flat", index.Describe(), "description");
                Check.Equal("IvfIndex(IVF4,Flat, 8 columns, Cosine, 0 vectors)", index.ToString(), "text");
            }
        }

        public static void Search_EveryMetric_EqualsPlainComputation()
        {
            float[] x = Data.Random(500, Dim), queries = Data.Random(20, Dim, 2);
            foreach (Metric metric in new[] { Metric.L2, Metric.InnerProduct, Metric.Cosine })
                foreach (string description in new[] { "Flat", "IVF16,Flat" })
                    using (IvfIndex index = Data.Trained(x, Dim, description, metric))
                    {
                        Neighbors found = index.Search(queries, 10, new SearchOptions { NProbe = 16 });
                        Check.Equal(20, found.Count, "queries");
                        Check.Equal(10, found.K, "k");
                        for (int q = 0; q < 20; q++)
                        {
                            float[] distances = Distances(metric, Data.Row(queries, Dim, q), x);
                            int sign = metric == Metric.L2 ? 1 : -1;
                            long[] ids = Enumerable.Range(0, 500).OrderBy(i => sign * distances[i]).Take(10).Select(i => (long)i).ToArray();
                            Check.Sequence(ids, found.IdsOf(q).ToArray(), metric + " " + description + " ids of " + q);
                            Check.Close(ids.Select(i => distances[i]).ToArray(), found.DistancesOf(q).ToArray(), "distances of " + q);
                        }
                    }
        }

        private static float[] Distances(Metric metric, float[] query, float[] x)
        {
            return Enumerable.Range(0, x.Length / Dim).Select(row =>
            {
                double product = 0, distance = 0, a = 0, b = 0;
                for (int i = 0; i < Dim; i++)
                {
                    double u = query[i], v = x[row * Dim + i];
                    product += u * v;
                    distance += (u - v) * (u - v);
                    a += u * u;
                    b += v * v;
                }
                return (float)(metric == Metric.L2 ? distance : metric == Metric.InnerProduct ? product : product / Math.Sqrt(a * b));
            }).ToArray();
        }

        public static void Search_IntoOwnBuffers_WritesWhatSearchReturns()
        {
            float[] x = Data.Random(200, Dim);
            using (IvfIndex index = Data.Trained(x, Dim))
            {
                Neighbors expected = index.Search(x, 5);
                var distances = new float[2000];
                var ids = new long[2000];
                var hits = new long[200];
                // Spans of a larger array: nothing around them is touched.
                index.Search(x, 5, distances.AsSpan(500, 1000), ids.AsSpan(500, 1000), null, hits);
                Check.Sequence(expected.Ids, ids.AsSpan(500, 1000).ToArray(), "ids");
                Check.Sequence(expected.Distances, distances.AsSpan(500, 1000).ToArray(), "distances");
                Check.Sequence(expected.Hits, hits, "hits");
                Check.True(ids.Take(500).Concat(ids.Skip(1500)).All(id => id == 0), "the rest untouched");
            }
        }

#if NET5_0_OR_GREATER
        public static void Search_IntoOwnBuffers_AllocatesNothing()
        {
            float[] x = Data.Random(200, Dim);
            using (IvfIndex index = Data.Trained(x, Dim))
            {
                var options = new SearchOptions { NProbe = 4, Threads = 1 };
                var distances = new float[1000];
                var ids = new long[1000];
                for (int i = 0; i < 3; i++)
                    index.Search(x, 5, distances, ids, options);
                long before = GC.GetAllocatedBytesForCurrentThread();
                for (int i = 0; i < 10; i++)
                    index.Search(x, 5, distances, ids, options);
                Check.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before, "bytes allocated");
            }
        }
#endif

        public static void Search_FewerVectorsThanK_PadsWithMinusOne()
        {
            using (var index = new IvfIndex(Dim, "Flat"))
            {
                index.Add(Data.Random(2, Dim));
                Neighbors found = index.Search(Data.Random(1, Dim), 4);
                Check.Sequence(new[] { 2L }, found.Hits, "hits");
                Check.Sequence(new[] { -1L, -1L }, found.Ids.Skip(2).ToArray(), "ids");
                Check.True(found.Distances.Skip(2).All(float.IsPositiveInfinity), "the worst distance");
                Check.Equal(2, found.IdsOf(0).Length, "results of the query");
            }
        }

        public static void Search_MaxCodes_CutsShort()
        {
            using (IvfIndex index = Data.Trained(Data.Random(100, Dim), Dim))
                Check.Equal(7, index.Search(Data.Random(1, Dim), 50, new SearchOptions { NProbe = 16, MaxCodes = 7 }).Hits[0], "hits");
        }

        public static void SearchPreassigned_EveryList_EqualsSearchOfAll()
        {
            float[] x = Data.Random(300, Dim);
            using (IvfIndex index = Data.Trained(x, Dim))
            {
                float[] query = Data.Row(x, Dim, 7);
                long[] lists = Enumerable.Range(0, 16).Select(list => (long)list).ToArray();
                Neighbors expected = index.Search(query, 9, new SearchOptions { NProbe = 16 });
                Check.Sequence(expected.Ids, index.SearchPreassigned(query, 9, lists, 16).Ids, "ids");
                Check.Equal(0, index.SearchPreassigned(query, 9, new long[] { -1 }, 1).Hits[0], "hits in no list");
            }
        }

        public static void Add_NoRows_DoesNothing()
        {
            using (var index = new IvfIndex(Dim, "Flat"))
            {
                index.Add(new float[0]);
                index.Add(default(ReadOnlySpan<float>));
                index.Add(new float[0], new long[0]);
                Check.Equal(0, index.Count, "count");
                Check.Equal(0, index.Search(new float[0], 3).Count, "queries");
                Check.Equal(0, index.Remove(new long[0]), "removed");
                Check.Equal(0, index.Reconstruct(new long[0]).Length, "rows");
            }
        }

        public static void Add_OwnIds_AreFoundAndRemoved()
        {
            float[] x = Data.Random(3, Dim);
            using (var index = new IvfIndex(Dim, "Flat"))
            {
                index.Add(x, new[] { 70L, 5L, long.MaxValue - 1 });
                Check.Equal(long.MaxValue, index.Info.NextId, "next id");
                Check.Equal(5, index.Search(Data.Row(x, Dim, 1), 1).Ids[0], "id");
                Check.Sequence(Data.Row(x, Dim, 2).Concat(Data.Row(x, Dim, 0)).ToArray(), index.Reconstruct(new[] { long.MaxValue - 1, 70L }), "rows");
                Check.Equal(1, index.Remove(new[] { 5L, 6L }), "removed");
                Check.True(!index.Search(x, 3).Ids.Contains(5), "the removed vector not to be found");
                index.Reset();
                Check.Equal(0, index.Count, "count");
            }
        }

        public static void Compact_AfterRemoval_ReturnsTheSpace()
        {
            using (IvfIndex index = Data.Trained(Data.Random(1000, Dim), Dim))
            {
                index.Remove(Enumerable.Range(0, 100).Select(id => (long)id).ToArray());
                Check.Equal(100, index.Info.Dead, "dead");
                index.Compact();
                Check.Equal(0, index.Info.Dead, "dead after compaction");
                Check.Equal(900, index.Count, "count");
            }
        }

        public static void SetCentroids_OfAnotherIndex_GivesTheSameIndex()
        {
            float[] x = Data.Random(400, Dim);
            using (IvfIndex one = Data.Trained(x, Dim))
            using (var two = new IvfIndex(Dim, "IVF16,Flat"))
            {
                two.SetCentroids(one.Centroids());
                two.Add(x);
                Check.Sequence(one.Centroids(), two.Centroids(), "centroids");
                Check.Sequence(one.ListSizes(), two.ListSizes(), "list sizes");
                Check.Equal(400, two.ListSizes().Sum(), "vectors in all lists");
            }
        }

        public static void Train_OptionsGiven_ReachTheLibrary()
        {
            float[] x = Data.Random(2000, Dim);
            Func<TrainOptions, float[]> centroids = options =>
            {
                using (var index = new IvfIndex(Dim, "IVF8,Flat"))
                {
                    index.Train(x, options);
                    return index.Centroids();
                }
            };
            float[] standard = centroids(null);
            Check.Sequence(standard, centroids(new TrainOptions { Seed = 1234, Iterations = 10, MaxPointsPerCentroid = 256, Threads = 1 }), "the defaults");
            var others = new Dictionary<string, TrainOptions>
            {
                { "seed", new TrainOptions { Seed = -1 } },
                { "iterations", new TrainOptions { Iterations = 1 } },
                { "points", new TrainOptions { MaxPointsPerCentroid = 40 } },
            };
            foreach (KeyValuePair<string, TrainOptions> other in others)
                Check.True(!centroids(other.Value).SequenceEqual(standard), other.Key + " to change the centroids");
            centroids(new TrainOptions { MaxPointsPerCentroid = ClusteringOptions.AllPoints, Restarts = 2, Seeding = Seeding.Random });
        }

        public static void Centroids_BehindTransforms_HaveTheListsWidth()
        {
            float[] x = Data.Random(2000, 8);
            using (IvfIndex index = Data.Trained(x, 8, "PCA3,IVF4,Flat"))
            {
                Check.Equal(8, index.Info.Dim, "columns");
                Check.Equal(3, index.Info.ListDim, "columns of a centroid");
                Check.Equal(4 * 3, index.Centroids().Length, "centroids");
            }
        }
    }
}

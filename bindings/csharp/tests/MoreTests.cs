using System;
using System.IO;
using System.Linq;

namespace Ivf.Tests
{
    /// <summary>Building from files, query expansion and blends.</summary>
    public static class MoreTests
    {
        private const int Dim = 8;
        private static readonly float[] X = Data.Random(400, Dim);

        public static void BuildFile_OfFvecs_IsTrainAndAdd()
        {
            Data.InFolder(folder =>
            {
                string path = Path.Combine(folder, "векторы.fvecs");
                using (var writer = new BinaryWriter(File.Create(path)))
                    for (int row = 0; row < 400; row++)
                    {
                        writer.Write(Dim);
                        foreach (float value in Data.Row(X, Dim, row))
                            writer.Write(value);
                    }
                using (var index = new IvfIndex(Dim, "IVF16,Flat", Metric.L2))
                using (IvfIndex expected = Data.Trained(X, Dim))
                {
                    Check.Throws<IvfNotTrainedException>(() => index.AddFile(path), "not trained");
                    Check.Equal(400L, index.BuildFile(path), "vectors");
                    Check.Sequence(expected.Serialize(), index.Serialize(), "bytes");
                    Check.Equal(400L, index.AddFile(path), "vectors");
                    File.WriteAllBytes(path, new byte[50]);
                    Check.Throws<IvfFormatException>(() => index.AddFile(path), "1 column or more, got 0");
                    Check.Equal(800L, index.Info.Count, "count");
                }
            });
        }

        public static void Soar_VectorsInTwoLists_AreFoundInFewer()
        {
            float[] x = Data.Random(4000, Dim), queries = Data.Random(100, Dim, 2);
            var own = new IndexOptions { Soar = 1 };
            using (IvfIndex once = Data.Trained(x, Dim, "IVF32,Flat"))
            using (var twice = new IvfIndex(Dim, "IVF32,Flat", Metric.L2, own))
            {
                twice.SetCentroids(once.Centroids());
                twice.Add(x);
                Check.Equal(1f, twice.Info.Soar, "lambda");
                Check.Equal(0f, once.Info.Soar, "no lambda");
                long[] exact = once.Search(queries, 10, new SearchOptions { NProbe = 32 }).Ids;
                Check.Sequence(exact, twice.Search(queries, 10, new SearchOptions { NProbe = 32 }).Ids, "ids");
                var few = new SearchOptions { NProbe = 3 };
                Func<IvfIndex, int> found = index => index.Search(queries, 10, few).Ids
                    .Where((id, place) => Array.IndexOf(exact, id, place / 10 * 10, 10) >= 0).Count();
                Check.True(found(twice) > found(once), "found");
            }
            Check.Throws<IvfArgumentException>(
                () => new IvfIndex(Dim, "Flat", Metric.L2, own), "no inverted lists");
        }

        public static void ListOrder_BestFirst_FindsMoreInAsMany()
        {
            float[] x = Data.Random(4000, Dim), queries = Data.Random(100, Dim, 2);
            var own = new IndexOptions { ListOrder = ListOrder.BestFirst };
            using (IvfIndex added = Data.Trained(x, Dim, "IVF8,Flat"))
            using (var ordered = new IvfIndex(Dim, "IVF8,Flat", Metric.L2, own))
            {
                ordered.SetCentroids(added.Centroids());
                ordered.Add(x);
                Check.Equal(ListOrder.BestFirst, ordered.Info.ListOrder, "order");
                Check.Equal(ListOrder.Added, added.Info.ListOrder, "no order");
                long[] exact = added.Search(queries, 10, new SearchOptions { NProbe = 4 }).Ids;
                Check.Sequence(exact, ordered.Search(queries, 10, new SearchOptions { NProbe = 4 }).Ids, "ids");
                var fast = new SearchOptions { NProbe = 4, Profile = Profile.ApproxFast };
                Func<IvfIndex, int> found = index => index.Search(queries, 10, fast).Ids
                    .Where((id, place) => Array.IndexOf(exact, id, place / 10 * 10, 10) >= 0).Count();
                Check.True(found(ordered) > found(added), "found");
            }
            Check.Throws<IvfArgumentException>(
                () => new IvfIndex(Dim, "Flat", Metric.L2, own), "no inverted lists");
        }

        public static void Blend_AndExpansion_AreNeverNaN()
        {
            using (IvfIndex index = Data.Trained(X, Dim))
            using (var empty = new IvfIndex(Dim, "Flat", Metric.L2))
            {
                float[] row = Data.Row(X, Dim, 3);
                Check.Sequence(row, index.Blend(row, 4), "a vector at distance 0");
                Check.Sequence(row, empty.Blend(row, 4), "a query without hits");
                float[] query = row.Select(v => v + 0.25f).ToArray();
                float[] all = index.Blend(query, 4), half = index.Blend(query, 4, 2, 0.5f);
                Check.Close(all.Zip(query, (a, q) => (a + q) / 2).ToArray(), half, "ratio");
                Check.True(index.QueryExpansion(query, 4).All(v => v == v), "numbers");
                Check.Throws<IvfArgumentException>(() => index.QueryExpansion(query, 4, float.NaN), "alpha");
                Check.Throws<IvfArgumentException>(() => index.Blend(query, 0), "k: expected at least 1");
            }
        }
    }
}

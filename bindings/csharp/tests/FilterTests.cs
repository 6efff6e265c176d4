using System;
using System.Linq;

namespace Ivf.Tests
{
    /// <summary>Filters, and searches by radius.</summary>
    public static class FilterTests
    {
        private const int Dim = 8;
        private static readonly float[] X = Data.Random(400, Dim);

        private static void Passes(IvfFilter filter, Func<long, bool> expected)
        {
            using (filter)
            using (IvfIndex index = Data.Trained(X, Dim))
            {
                var options = new SearchOptions { NProbe = 16, Filter = filter };
                Neighbors all = index.Search(Data.Row(X, Dim, 5), 400, new SearchOptions { NProbe = 16 });
                Check.Sequence(all.Ids.Where(expected).ToArray(), index.Search(Data.Row(X, Dim, 5), 400, options).IdsOf(0).ToArray(), "ids");
            }
        }

        public static void Filter_EveryKind_PassesItsIds()
        {
            Passes(IvfFilter.OfRange(10, 20), id => id >= 10 && id < 20);
            Passes(IvfFilter.OfRange(20, 10), id => false);
            Passes(IvfFilter.OfIds(new[] { 399L, 3L, 3L, 1000L }), id => id == 3 || id == 399);
            Passes(IvfFilter.OfIds(new long[0]), id => false);
            Passes(IvfFilter.OfBitmap(new byte[] { 0x81, 0x02 }), id => id == 0 || id == 7 || id == 9);
            Passes(IvfFilter.OfBitmap(new byte[0]), id => false);
        }

        public static void Filter_MadeOfOthers_OutlivesThem()
        {
            IvfFilter made;
            using (IvfFilter low = IvfFilter.OfRange(0, 100), high = IvfFilter.OfRange(90, 400), few = IvfFilter.OfIds(new[] { 7L, 95L, 300L }))
            using (IvfFilter both = low.And(high), notBoth = both.Not())
                made = notBoth.And(few).Or(low.And(few));
            Passes(made, id => id == 7 || id == 95 || id == 300);
            Check.Throws<ArgumentNullException>(() => IvfFilter.OfRange(0, 1).And(null));
            Check.Throws<ArgumentNullException>(() => IvfFilter.OfRange(0, 1).Or(null));
        }

        public static void Knn_Filter_PassesItsRows()
        {
            using (IvfFilter filter = IvfFilter.OfRange(100, 200))
            {
                Neighbors found = Knn.Search(Data.Row(X, Dim, 0), X, Dim, 400, Metric.L2, new SearchOptions { Filter = filter });
                Check.Equal(100, found.Hits[0], "hits");
                Check.True(found.IdsOf(0).ToArray().All(id => id >= 100 && id < 200), "ids of the filter");
            }
        }

        public static void RangeSearch_EveryMetric_EqualsSearchCutAtTheRadius()
        {
            foreach (Metric metric in new[] { Metric.L2, Metric.InnerProduct, Metric.Cosine })
                using (IvfIndex index = Data.Trained(X, Dim, "IVF16,Flat", metric))
                {
                    var options = new SearchOptions { NProbe = 16 };
                    float[] queries = X.AsSpan(0, 30 * Dim).ToArray();
                    Neighbors all = index.Search(queries, 400, options);
                    float radius = all.Distances[40]; // strict: the result at the radius is not among them
                    RangeNeighbors found = index.RangeSearch(queries, radius, options);
                    Check.Equal(30, found.Count, "queries");
                    Check.Equal(40, found.IdsOf(0).Length, "results of the first query");
                    Check.Equal((long)found.Ids.Length, found.Offsets[30], "all results");
                    for (int q = 0; q < 30; q++)
                    {
                        int count = all.DistancesOf(q).ToArray().Count(d => metric == Metric.L2 ? d < radius : d > radius);
                        Check.Sequence(all.IdsOf(q).Slice(0, count).ToArray(), found.IdsOf(q).ToArray(), "ids of " + q);
                        Check.Close(all.DistancesOf(q).Slice(0, count).ToArray(), found.DistancesOf(q).ToArray(), "distances of " + q);
                    }
                }
        }

        public static void RangeSearch_Edges_AreKept()
        {
            using (IvfIndex index = Data.Trained(X, Dim))
            using (IvfFilter filter = IvfFilter.OfRange(3, 5))
            {
                Check.Equal(0, index.RangeSearch(new float[0], 1).Count, "queries");
                Check.Equal(0, index.RangeSearch(X, 0).Ids.Length, "results below 0");
                var options = new SearchOptions { NProbe = 16, Filter = filter };
                Check.Equal(2, index.RangeSearch(Data.Row(X, Dim, 0), float.PositiveInfinity, options).Ids.Length, "results that pass");
                Check.Throws<IvfArgumentException>(() => index.RangeSearch(X, float.NaN), "NaN");
                Check.Throws<IvfDimensionException>(() => index.RangeSearch(new Rows(X, 4), 1), "expected 8 columns, got 4");
            }
        }
    }
}

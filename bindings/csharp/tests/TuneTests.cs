using System;
using System.Linq;

namespace Ivf.Tests
{
    /// <summary>Recall on demand, and what the library says of itself.</summary>
    public static class TuneTests
    {
        private const int Dim = 8;

        public static void Tune_RecallAskedFor_ChoosesLists()
        {
            float[] x = Data.Random(4000, Dim), sample = Data.Random(300, Dim, 5);
            using (IvfIndex index = Data.Trained(x, Dim, "IVF32,Flat"))
            {
                var byRecall = new SearchOptions { TargetRecall = 0.9f };
                Check.Throws<IvfStateException>(() => index.Search(sample, 5, byRecall));
                Check.True(index.Curve == null, "no curve");
                Tuned tuned = index.Tune(sample, 5, 0.9f);
                Check.True(tuned.NProbe >= 1 && tuned.NProbe < 32 && tuned.Recall >= 0.9, "tuned");
                RecallCurve curve = index.Curve;
                Check.True(curve.K == 5 && curve.Queries == 300 && curve.Count == 4000 && !curve.Stale, "curve");
                Check.True(curve.Recall.Last() == 1.0 && curve.Low[0] <= curve.Recall[0], "recalls");
                Check.Sequence(new float[curve.NProbe.Length], curve.KFactor, "no factors");
                Check.True(curve.ProbeScale.Length == curve.NProbe.Length && curve.ProbeScale[0] == tuned.ProbeScale, "scales");
                var byLists = new SearchOptions { NProbe = (int)tuned.NProbe, ProbeScale = tuned.ProbeScale };
                Check.Sequence(index.Search(sample, 5, byLists).Ids, index.Search(sample, 5, byRecall).Ids, "ids");
                Check.Equal(0f, tuned.KFactor, "no factor");
                var few = new SearchOptions { NProbe = 16, ProbeScale = 0.05f, Stats = new SearchStats() };
                index.Search(sample, 5, few);
                Check.True(few.Stats.Lists >= 300 && few.Stats.Lists < 16 * 300, "lists");
                Check.Throws<IvfArgumentException>(() => index.Search(sample, 5, new SearchOptions { ProbeScale = -1 }));
            }
            using (IvfIndex index = Data.Trained(x, Dim, "IVF32,SQ4,RFlat"))
            {
                Tuned tuned = index.Tune(sample, 5, 0.9f);
                var chosen = new SearchOptions
                {
                    NProbe = (int)tuned.NProbe, ProbeScale = tuned.ProbeScale, KFactor = tuned.KFactor,
                };
                Neighbors found = index.Search(sample, 5, new SearchOptions { TargetRecall = 0.9f });
                Check.True(tuned.KFactor >= 1, "a factor");
                Check.Sequence(index.Search(sample, 5, chosen).Ids, found.Ids, "ids of a refined index");
            }
            using (IvfIndex index = Data.Trained(x, Dim, "SQ4,RFlat"))
            {
                Tuned tuned = index.Tune(sample, 5, 0.9f);
                Check.True(tuned.KFactor >= 1 && tuned.NProbe == 1 && tuned.ProbeScale == 0, "a flat one's factor");
            }
        }

        public static void Search_StatsAskedFor_TellsWhatItDid()
        {
            float[] x = Data.Random(4000, Dim), queries = Data.Random(10, Dim, 5);
            using (IvfIndex index = Data.Trained(x, Dim, "IVF32,Flat"))
            using (IvfFilter filter = IvfFilter.OfRange(0, 100))
            {
                var options = new SearchOptions { NProbe = 32, Stats = new SearchStats() };
                index.Search(queries, 5, options);
                SearchStats stats = options.Stats;
                Check.True(stats.Queries == 10 && stats.Lists == 320 && stats.Codes == 40000, "counts");
                Check.True(stats.Scan > TimeSpan.Zero && stats.Coarse > TimeSpan.Zero, "times");
                options.Filter = filter;
                options.MaxCodes = 7;
                index.RangeSearch(queries, 1, options);
                Check.True(stats.Queries == 10 && stats.Codes == 70, "counts of a range search");
            }
        }

        public static void Context_LogGiven_HearsOfFewPoints()
        {
            var heard = new System.Collections.Generic.List<string>();
            var options = new ContextOptions
            {
                Log = (level, text) =>
                {
                    heard.Add(level + ": " + text);
                    throw new InvalidOperationException("dropped");
                },
            };
            IvfIndex index;
            using (var context = new IvfContext(options))
                index = new IvfIndex(Dim, "IVF2,Flat", Metric.L2, null, context);
            using (index)
            {
                index.Train(Data.Random(20, Dim));
                Check.True(heard.Count == 1 && heard[0].StartsWith("Warning: ", StringComparison.Ordinal), "heard");
                Check.True(heard[0].Contains("(39 each), got 20"), heard[0]);
            }
        }

        public static void Search_KFactorGiven_ComparesAgain()
        {
            float[] x = Data.Random(2000, Dim);
            using (IvfIndex index = Data.Trained(x, Dim, "SQ8,RFlat"))
            {
                var options = new SearchOptions { KFactor = 3, Stats = new SearchStats() };
                Check.True(index.Search(x, 1, options).Distances.All(distance => distance == 0), "exact distances");
                Check.True(options.Stats.Refine > TimeSpan.Zero, "time");
                options.KFactor = 0.5f;
                Check.Throws<IvfArgumentException>(() => index.Search(x, 1, options));
                Check.Equal(1.5f, index.Info.KFactor, "chosen");
            }
            using (IvfIndex index = Data.Trained(x, Dim, "IVF8,SQ4,RFlat"))
            {
                index.Tune(Data.Random(300, Dim), 5, 0.9);
                RecallCurve curve = index.Curve;
                Check.Equal(curve.NProbe.Length, curve.KFactor.Length, "points");
                Check.True(curve.KFactor.All(factor => factor >= 1), "factors");
            }
            using (var index = new IvfIndex(Dim, "SQ8,RFlat", Metric.L2, new IndexOptions { KFactor = 2.5f }))
                Check.Equal(2.5f, index.Info.KFactor, "given");
        }
    }
}

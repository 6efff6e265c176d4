using System.Linq;

namespace Ivf.Tests
{
    /// <summary>Recall on demand.</summary>
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
                var byLists = new SearchOptions { NProbe = (int)tuned.NProbe };
                Check.Sequence(index.Search(sample, 5, byLists).Ids, index.Search(sample, 5, byRecall).Ids, "ids");
            }
        }
    }
}

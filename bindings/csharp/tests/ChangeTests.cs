using System;
using System.Linq;

namespace Ivf.Tests
{
    /// <summary>Updating, removing by a filter, and reading back.</summary>
    public static class ChangeTests
    {
        private const int Dim = 8;
        private static readonly float[] X = Data.Random(400, Dim);
        private static readonly SearchOptions All = new SearchOptions { NProbe = 16 };

        public static void Update_ReplacedVectors_AreFoundUnderTheirIds()
        {
            using (IvfIndex index = Data.Trained(X, Dim))
            {
                float[] rows = Data.Random(3, Dim, 77);
                var ids = new[] { 399L, 0L, 250L };
                index.Update(ids, rows);
                Check.Sequence(ids, index.Search(rows, 1, All).Ids, "ids");
                Check.Sequence(rows, index.Reconstruct(ids), "vectors");
                Check.Equal(400L, index.Count, "vectors");
                Check.Throws<IvfNotFoundException>(() => index.Update(new[] { 1L, 400L, 2L }, rows), "400");
                Check.Throws<IvfDuplicateIdException>(() => index.Update(new[] { 1L, 2L, 1L }, rows), "id 1 ");
                Check.Throws<ArgumentException>(() => index.Update(new[] { 1L }, rows), "expected 3 ids, got 1");
                Check.Sequence(rows, index.Reconstruct(ids), "vectors after refusals");
            }
        }

        public static void Remove_Filter_TakesWhatPasses()
        {
            using (IvfIndex index = Data.Trained(X, Dim))
            using (IvfFilter filter = IvfFilter.OfRange(10, 390))
            {
                Check.Equal(380L, index.Remove(filter), "removed");
                Check.Equal(0L, index.Remove(filter), "removed again");
                Check.Sequence(Enumerable.Range(0, 10).Concat(Enumerable.Range(390, 10)).Select(i => (long)i).ToArray(), index.Ids(), "ids");
                Check.Throws<ArgumentNullException>(() => index.Remove((IvfFilter)null));
            }
        }

        public static void Merge_ShiftedIds_AreFound()
        {
            using (IvfIndex index = Data.Trained(X, Dim))
            using (IvfIndex other = index.Clone())
            {
                Check.Throws<IvfDuplicateIdException>(() => index.Merge(other), "in both indexes");
                Check.Throws<IvfArgumentException>(() => index.Merge(index), "the same");
                Check.Throws<ArgumentNullException>(() => index.Merge(null));
                Check.Equal(400L, index.Merge(other, 1000), "merged");
                Check.Equal(800L, index.Count, "vectors");
                Check.Sequence(new[] { 5L, 1005L }, index.Search(Data.Row(X, Dim, 5), 2, All).Ids, "ids");
                Check.Equal(400L, other.Count, "vectors of the other");
            }
        }

        public static void Clone_OnAContext_IsApart()
        {
            using (var context = new IvfContext(new ContextOptions { Threads = 1 }))
            using (IvfIndex index = Data.Trained(X, Dim))
            using (IvfIndex clone = index.Clone(context))
            {
                long[] before = index.Search(X, 3, All).Ids;
                index.Reset();
                Check.Equal(400L, clone.Count, "vectors of the clone");
                Check.Sequence(before, clone.Search(X, 3, All).Ids, "ids");
            }
        }

        public static void ReconstructRange_Ids_GiveTheirRows()
        {
            using (IvfIndex index = Data.Trained(X, Dim))
            {
                Check.Sequence(X.Skip(390 * Dim).ToArray(), index.ReconstructRange(390, 10), "vectors");
                Check.Equal(0, index.ReconstructRange(0, 0).Length, "numbers of no vectors");
                Check.Throws<IvfNotFoundException>(() => index.ReconstructRange(390, 11), "400");
                Check.Throws<ArgumentOutOfRangeException>(() => index.ReconstructRange(0, -1));
            }
        }

        public static void SearchAndReconstruct_MissingResults_AreNaN()
        {
            using (IvfIndex index = Data.Trained(X, Dim))
            using (IvfFilter few = IvfFilter.OfRange(0, 2))
            {
                var options = new SearchOptions { NProbe = 16, Filter = few };
                Neighbors found = index.SearchAndReconstruct(Data.Row(X, Dim, 1), 3, out float[] vectors, options);
                Check.Sequence(new[] { 1L, 0L, -1L }, found.Ids, "ids");
                Check.Equal(2L, found.Hits[0], "hits");
                Check.Sequence(Data.Row(X, Dim, 1).Concat(Data.Row(X, Dim, 0)).ToArray(), vectors.Take(2 * Dim).ToArray(), "vectors");
                Check.True(vectors.Skip(2 * Dim).All(float.IsNaN), "NaN for the missing result");
            }
        }
    }
}

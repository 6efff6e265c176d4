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

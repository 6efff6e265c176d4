using System;
using System.IO;

namespace Ivf.Tests
{
    /// <summary>Inputs: the same on every runtime.</summary>
    internal static class Data
    {
        /// <summary>[n, dim] in [-1, 1).</summary>
        internal static float[] Random(int n, int dim, ulong seed = 1)
        {
            var x = new float[n * dim];
            ulong state = seed * 0x9E3779B97F4A7C15 + 1;
            for (int i = 0; i < x.Length; i++)
            {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                x[i] = (state >> 40) / (float)(1 << 23) - 1;
            }
            return x;
        }

        internal static float[] Row(float[] x, int dim, int row)
        {
            return x.AsSpan(row * dim, dim).ToArray();
        }

        internal static IvfIndex Trained(float[] x, int dim, string description = "IVF16,Flat", Metric metric = Metric.L2)
        {
            var index = new IvfIndex(dim, description, metric);
            index.Train(x);
            index.Add(x);
            return index;
        }

        /// <summary>A folder that is removed with all its files; its name is not ASCII.</summary>
        internal static void InFolder(Action<string> use)
        {
            string folder = Path.Combine(Path.GetTempPath(), "ивф-索引-é-😀-" + Guid.NewGuid().ToString("N"));
            Directory.CreateDirectory(folder);
            try
            {
                use(folder);
            }
            finally
            {
                Directory.Delete(folder, true);
            }
        }
    }
}

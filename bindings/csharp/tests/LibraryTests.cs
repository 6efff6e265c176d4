using System;
using System.Linq;

namespace Ivf.Tests
{
    /// <summary>The library, its devices and contexts; k-means and exact search without an index.</summary>
    public static class LibraryTests
    {
        private const int Dim = 4;

        public static void Library_Version_IsThatOfTheHeader()
        {
            Check.Equal(3, IvfLibrary.Version.Split('.').Length, "parts of " + IvfLibrary.Version);
            Check.Equal(Native.IVF_ABI_VERSION, IvfLibrary.AbiVersion, "ABI");
        }

        public static void Devices_First_IsTheCpu()
        {
            DeviceInfo cpu = IvfLibrary.Devices()[0];
            Check.Equal(DeviceType.Cpu, cpu.Type, "type");
            Check.Equal("cpu", cpu.Backend, "backend");
            Check.True(cpu.Name.Length > 0 && cpu.Kernel.Length > 0 && cpu.Threads >= 1, "a name, a kernel and threads");
            Check.Equal(cpu.Name + " (cpu, " + cpu.Kernel + ")", cpu.ToString(), "text");
        }

        public static void Context_Options_AreKept()
        {
            using (var context = new IvfContext(new ContextOptions { Threads = 3, Device = "cpu", Kernel = "scalar" }))
            {
                Check.Equal(3, context.Info.Threads, "threads");
                Check.Equal("scalar", context.Info.Kernel, "kernel");
                Check.Equal(IvfLibrary.Devices()[0].Name, context.Info.Device, "device");
            }
            Check.True(IvfContext.Default.Info.Threads >= 1, "threads of the default context");
        }

        public static void Context_Unknown_IsRefused()
        {
            Check.Throws<IvfDeviceException>(() => new IvfContext(new ContextOptions { Device = "нет такого" }), "нет такого");
            Check.Throws<IvfArgumentException>(() => new IvfContext(new ContextOptions { Kernel = "sse9" }), "sse9");
            Check.Throws<ArgumentOutOfRangeException>(() => new IvfContext(new ContextOptions { Threads = -1 }));
        }

        public static void KMeans_TwoHeaps_FindsTheirMeans()
        {
            var x = new float[] { 0, 0, 0, 2, 10, 10, 10, 12 };
            KMeans found = KMeans.Fit(x, 2, 2);
            Check.Equal(1.0, found.Objective, "objective");
            Check.Equal(found.Labels[0], found.Labels[1], "label");
            Check.Equal(found.Labels[2], found.Labels[3], "label");
            int second = (int)found.Labels[2];
            Check.Equal(10f, found.Centroids[second * 2], "centroid");
            Check.Equal(11f, found.Centroids[second * 2 + 1], "centroid");
            Check.Equal(2, found.K, "k");
            Check.Equal(2, found.Dim, "dim");
        }

        public static void KMeans_MiniBatchSpherical_GivesUnitCentroids()
        {
            float[] x = Data.Random(3000, Dim);
            KMeans found = KMeans.Fit(x, Dim, 6, new KMeansOptions { Spherical = true, MiniBatch = 256, Iterations = 20 });
            for (int i = 0; i < 6; i++)
                Check.Close(new[] { 1f }, new[] { Data.Row(found.Centroids, Dim, i).Sum(v => v * v) }, "squared length");
            Check.True(found.Labels.Length == 3000 && found.Labels.All(label => label >= 0 && label < 6), "a label a point");
        }

        public static void KMeans_BadArguments_AreRefused()
        {
            Check.Throws<IvfTooFewPointsException>(() => KMeans.Fit(new float[8], Dim, 3), "3");
            Check.Throws<IvfArgumentException>(() => KMeans.Fit(new float[8], Dim, 0));
            Check.Throws<IvfDimensionException>(() => KMeans.Fit(new float[7], Dim, 1), "expected rows of 4 columns, got 7 numbers");
            Check.Throws<ArgumentException>(() => KMeans.Fit(new float[8], Dim, 2, new float[4]), "expected room for 8, got 4");
            Check.Throws<ArgumentException>(() => KMeans.Fit(new float[8], Dim, 1, new float[4], new long[1]), "expected room for 2");
            Check.Throws<ArgumentOutOfRangeException>(() => KMeans.Fit(new float[8], -4, 1));
            Check.Throws<IvfNotFiniteException>(() => KMeans.Fit(new[] { 1f, float.NegativeInfinity }, 1, 1), "row 1");
        }

        public static void Knn_DataAgainstData_EqualsAFlatIndex()
        {
            float[] x = Data.Random(300, Dim), queries = Data.Random(10, Dim, 3);
            foreach (Metric metric in new[] { Metric.L2, Metric.InnerProduct, Metric.Cosine })
                using (IvfIndex index = Data.Trained(x, Dim, "Flat", metric))
                {
                    Neighbors expected = index.Search(queries, 7), found = Knn.Search(queries, x, Dim, 7, metric);
                    Check.Sequence(expected.Ids, found.Ids, "ids");
                    Check.Close(expected.Distances, found.Distances, "distances");
                    Check.Sequence(expected.Hits, found.Hits, "hits");
                }
        }

        public static void Knn_BadArguments_AreRefused()
        {
            Check.Throws<IvfArgumentException>(() => Knn.Search(new float[4], new float[4], Dim, 0));
            Check.Throws<IvfDimensionException>(() => Knn.Search(new float[4], new float[6], Dim, 1));
            Check.Throws<IvfArgumentException>(() => Knn.Search(new float[4], new float[4], Dim, 1, Metric.L2, new SearchOptions { NProbe = 2 }));
            Check.Throws<ArgumentException>(() => Knn.Search(new float[4], new float[4], Dim, 1, new float[0], new long[1]));
            Check.Throws<IvfArgumentException>(() => Knn.Search(new float[4], new float[4], 0, 1), "");
        }
    }
}

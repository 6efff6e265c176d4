using System;
using System.Collections.Generic;
using System.IO;
using System.Runtime.CompilerServices;
using System.Threading;

namespace Ivf.Tests
{
    /// <summary>Who gives native memory back, and when.</summary>
    public static class DisposeTests
    {
        private const int Dim = 16;

        public static void Dispose_Twice_IsFine()
        {
            var index = new IvfIndex(Dim, "Flat");
            index.Dispose();
            index.Dispose();
            var context = new IvfContext();
            context.Dispose();
            context.Dispose();
        }

        public static void Calls_AfterDispose_ThrowObjectDisposed()
        {
            var index = new IvfIndex(Dim, "Flat");
            var context = new IvfContext();
            IvfFilter filter = IvfFilter.OfRange(0, 1), other = IvfFilter.OfRange(0, 1);
            index.Dispose();
            context.Dispose();
            filter.Dispose();
            filter.Dispose();
            var calls = new List<Action>
            {
                () => index.Train(new float[Dim]), () => index.Add(new float[Dim]), () => index.Search(new float[Dim], 1),
                () => index.SetCentroids(new float[Dim]), () => index.SearchPreassigned(new float[Dim], 1, new long[1], 1),
                () => index.Remove(new long[1]), () => index.Reset(), () => index.Compact(), () => index.Reconstruct(new long[1]),
                () => index.Describe(), () => index.ListSizes(), () => index.Centroids(), () => index.Save("never"),
                () => index.ExportFaiss("never"), () => index.Serialize(), () => Check.Equal(0, index.Count, "count"),
                () => Check.True(index.Info == null, "nothing"), () => Check.True(context.Info == null, "nothing"),
                () => new IvfIndex(Dim, "Flat", Metric.L2, null, context), () => IvfIndex.Load("never", null, context),
                () => IvfIndex.Deserialize(new byte[1], null, context), () => KMeans.Fit(new float[4], 1, 1, null, context),
                () => Knn.Search(new float[4], new float[4], 1, 1, Metric.L2, null, context),
                () => Knn.Search(new float[4], new float[4], 1, 1, Metric.L2, new SearchOptions { Filter = filter }),
                () => index.RangeSearch(new float[Dim], 1), () => filter.Not(), () => filter.And(other), () => other.Or(filter),
            };
            foreach (Action call in calls)
                Check.Throws<ObjectDisposedException>(call, "Ivf");
            Check.Equal("IvfIndex(disposed)", index.ToString(), "text");
        }

        public static void Context_DisposedFirst_IndexWorksOn()
        {
            var context = new IvfContext(new ContextOptions { Threads = 2 });
            using (var index = new IvfIndex(Dim, "Flat", Metric.L2, null, context))
            {
                context.Dispose();
                index.Add(Data.Random(100, Dim));
                Check.Equal(3, index.Search(Data.Random(1, Dim), 3).Hits[0], "hits");
            }
        }

        public static void Context_DefaultDisposed_WorksOn()
        {
            IvfContext.Default.Dispose();
            Check.True(IvfContext.Default.Info.Threads >= 1, "threads");
        }

        public static void Finalizer_IndexesLost_GivesTheirMemoryBack()
        {
            LoseIndexes(1); // whatever the runtime takes once
            long before = ResidentBytes();
            LoseIndexes(60); // 8 MB each
            long grown = ResidentBytes() - before;
            Check.True(grown < 200 << 20, "less than 200 MB more in memory, got " + (grown >> 20));
        }

        private static void LoseIndexes(int count)
        {
            for (int i = 0; i < count; i++)
            {
                LoseIndex();
                GC.Collect();
                GC.WaitForPendingFinalizers();
            }
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static void LoseIndex()
        {
            new IvfIndex(Dim, "Flat").Add(Rows);
        }

        private static readonly float[] Rows = Data.Random(131072, Dim);

        private static long ResidentBytes()
        {
            return long.Parse(File.ReadAllText("/proc/self/statm").Split(' ')[1]) * 4096;
        }

        public static void Finalizer_IndexLostDuringCall_WaitsForTheCall()
        {
            // Nothing refers to the index once the call runs: only the call itself keeps the handle.
            using (var stop = new Timer(state => GC.Collect(), null, 0, 1))
                for (int i = 0; i < 20; i++)
                    Check.Equal(20000, new IvfIndex(Dim, "Flat").AddAndCount(Data.Random(20000, Dim)), "hits");
        }

        private static long AddAndCount(this IvfIndex index, float[] x)
        {
            index.Add(x);
            return index.Search(x.AsSpan(0, Dim), 20000).Hits[0];
        }

        public static void Dispose_WhileSearching_EitherFinishesOrThrows()
        {
            float[] x = Data.Random(5000, Dim);
            for (int round = 0; round < 20; round++)
            {
                var index = new IvfIndex(Dim, "Flat");
                index.Add(x);
                long done = 0;
                Parallel.Run(4, thread =>
                {
                    try
                    {
                        if (thread == 0)
                        {
                            SpinWait.SpinUntil(() => Interlocked.Read(ref done) > 2, 5000);
                            index.Dispose();
                        }
                        for (int i = 0; i < 1000 && thread != 0; i++)
                        {
                            Check.Equal(i % 5000, index.Search(Data.Row(x, Dim, i % 5000), 1).Ids[0], "id");
                            Interlocked.Increment(ref done);
                        }
                    }
                    catch (ObjectDisposedException)
                    {
                    }
                });
                Check.Throws<ObjectDisposedException>(() => index.Describe());
            }
        }
    }
}

using System;
using System.Linq;
using System.Threading.Tasks;

namespace Ivf.Tests
{
    /// <summary>One index, many threads.</summary>
    public static class ThreadTests
    {
        private const int Dim = 16;

        public static void Search_ManyThreads_GivesTheSameResults()
        {
            float[] x = Data.Random(3000, Dim);
            using (IvfIndex index = Data.Trained(x, Dim))
            {
                Neighbors expected = index.Search(x, 5);
                Parallel.Run(8, thread =>
                {
                    for (int round = 0; round < 5; round++)
                    {
                        Neighbors found = index.Search(x, 5, new SearchOptions { Threads = thread % 3 });
                        Check.Sequence(expected.Ids, found.Ids, "ids");
                        Check.Sequence(expected.Distances, found.Distances, "distances");
                    }
                });
            }
        }

        public static void Search_WhileOthersWrite_SeesWholeBatches()
        {
            float[] batch = Data.Random(50, Dim);
            using (var index = new IvfIndex(Dim, "Flat"))
            {
                Parallel.Run(6, thread =>
                {
                    for (int i = 0; i < 60; i++)
                    {
                        if (thread == 0)
                            index.Add(batch);
                        else if (thread == 1)
                            Check.True(index.Serialize().Length > 0, "bytes");
                        else
                            Check.Equal(0, index.Search(batch.AsSpan(0, Dim), 5000).Hits[0] % 50, "part of a batch");
                    }
                });
                Check.Equal(3000, index.Count, "count");
            }
        }

        public static void SearchAsync_ManyTasks_AllFinish()
        {
            float[] x = Data.Random(1000, Dim);
            using (IvfIndex index = Data.Trained(x, Dim))
            {
                var tasks = Enumerable.Range(0, 200).Select(i => index.SearchAsync(new ReadOnlyMemory<float>(x, i * Dim, Dim), 1)).ToArray();
                Task.WaitAll(tasks);
                for (int i = 0; i < tasks.Length; i++)
                    Check.Equal(i, tasks[i].Result.Ids[0], "id");
            }
        }

        public static void Context_OneThread_GivesTheSameIndex()
        {
            float[] x = Data.Random(2000, Dim);
            Func<IvfContext, byte[]> bytes = context =>
            {
                using (var index = new IvfIndex(Dim, "IVF32,Flat", Metric.L2, null, context))
                {
                    index.Train(x);
                    index.Add(x);
                    return index.Serialize();
                }
            };
            using (var one = new IvfContext(new ContextOptions { Threads = 1 }))
            using (var many = new IvfContext(new ContextOptions { Threads = 4 }))
            {
                Check.Equal(1, one.Info.Threads, "threads");
                Check.Equal(4, many.Info.Threads, "threads");
                Check.True(bytes(one).AsSpan().SequenceEqual(bytes(many)), "the same bytes");
            }
        }
    }
}

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;

namespace Ivf.Tests
{
    /// <summary>Progress, cancellation, and exceptions that pass native code.</summary>
    public static class CancelTests
    {
        private const int Dim = 64;
        private static readonly float[] Many = Data.Random(40000, Dim);

        /// <summary>Calls a function with every report, on the reporting thread (unlike System.Progress).</summary>
        private sealed class Listener : IProgress<ProgressInfo>
        {
            private readonly Action<ProgressInfo> listen;

            internal Listener(Action<ProgressInfo> listen)
            {
                this.listen = listen;
            }

            public void Report(ProgressInfo value)
            {
                listen(value);
            }
        }

        /// <summary>Minutes of work, unless it is cancelled.</summary>
        private static TrainOptions Endless
        {
            get { return new TrainOptions { Iterations = 1000000, MaxPointsPerCentroid = ClusteringOptions.AllPoints }; }
        }

        public static void Progress_Train_ReportsEveryIteration()
        {
            using (var index = new IvfIndex(Dim, "IVF16,Flat"))
            {
                int thread = Thread.CurrentThread.ManagedThreadId;
                var reports = new List<ProgressInfo>();
                var listener = new Listener(report =>
                {
                    Check.Equal(thread, Thread.CurrentThread.ManagedThreadId, "reporting thread");
                    reports.Add(report);
                });
                index.Train(Many, new TrainOptions { Iterations = 5, Progress = listener });
                Check.True(reports.Count >= 5, "a report an iteration, got " + reports.Count);
                Check.True(reports.All(report => report.Stage == "train" && report.Done <= report.Total), "reports of the training");
                Check.True(reports.Last().Value > 0, "the objective");
                Check.Equal("train " + reports[0].Done + "/" + reports[0].Total, reports[0].ToString(), "text");
            }
        }

        public static void Progress_EveryLongCall_Reports()
        {
            var stages = new List<string>();
            var listener = new Listener(report => stages.Add(report.Stage));
            using (var index = new IvfIndex(Dim, "IVF16,Flat"))
            {
                index.Train(Many, new TrainOptions { Progress = listener });
                index.Add(Many, new AddOptions { Progress = listener });
                index.Search(Many, 3, new SearchOptions { Progress = listener });
                index.RangeSearch(Many, 0.1f, new SearchOptions { Progress = listener });
                Data.InFolder(folder =>
                {
                    index.Save(folder + "/a", new IOOptions { Progress = listener });
                    IvfIndex.Load(folder + "/a", new IOOptions { Progress = listener }).Dispose();
                });
                var adding = new AddOptions { Progress = listener };
                var reading = new IOOptions { Progress = listener };
                index.Clone(null, reading).Dispose();
                index.ReconstructRange(0, 10, reading);
                index.Reconstruct(new long[] { 3, 5 }, new float[2 * Dim], reading);
                index.Serialize(reading);
                index.Remove(new long[] { 1 }, adding);
                using (IvfFilter filter = IvfFilter.OfRange(2, 4))
                    index.Remove(filter, adding);
                index.Compact(adding);
            }
            KMeans.Fit(Many, Dim, 5, new KMeansOptions { Progress = listener });
            Knn.Search(Many.AsSpan(0, 2000 * Dim), Many, Dim, 3, Metric.L2, new SearchOptions { Progress = listener });
            Check.Equal("train add search save load clone reconstruct remove compact kmeans knn", string.Join(" ", stages.Distinct()), "stages");
        }

        public static void Cancel_CopiesAndRemovals_ThrowAndChangeNothing()
        {
            // From a report, which comes when all is done: a copy is given up then, a removal has happened.
            using (var index = new IvfIndex(Dim, "IVF16,Flat"))
            {
                index.Train(Many);
                index.Add(Many);
                var source = new CancellationTokenSource();
                var stop = new IOOptions { Progress = new Listener(report => source.Cancel()) };
                Check.Throws<IvfCancelledException>(() => index.Clone(null, stop, source.Token));
                source = new CancellationTokenSource();
                Check.Throws<IvfCancelledException>(() => index.Serialize(stop, source.Token));
                source = new CancellationTokenSource();
                Check.Throws<IvfCancelledException>(() => index.ReconstructRange(0, 5, stop, source.Token));
                source = new CancellationTokenSource();
                source.Cancel();
                Check.Throws<IvfCancelledException>(() => index.Remove(new long[] { 1 }, null, source.Token));
                Check.Throws<IvfCancelledException>(() => index.Compact(null, source.Token));
                Check.Equal(40000L, index.Count, "vectors");
            }
        }

        public static void SetCentroids_TellsOfGrouping_AndCanBeCancelled()
        {
            using (var index = new IvfIndex(4, "IVF5000_HNSW32,Flat"))
            {
                float[] x = Data.Random(5000, 4);
                var source = new CancellationTokenSource();
                source.Cancel();
                Check.Throws<IvfCancelledException>(() => index.SetCentroids(x, null, source.Token));
                Check.Equal(false, index.IsTrained, "trained");
                var stages = new List<string>();
                var listener = new Listener(report => stages.Add(report.Stage));
                index.SetCentroids(x, new AddOptions { Progress = listener });
                Check.Equal("train", string.Join(" ", stages.Distinct()), "stages");
                Check.Close(x, index.Centroids(), "centroids");
            }
        }

        public static void Progress_Throws_ThatExceptionLeavesTheCall()
        {
            using (var index = new IvfIndex(Dim, "IVF16,Flat"))
            {
                var thrown = new InvalidOperationException("from the callback");
                var options = Endless;
                options.Progress = new Listener(report => { throw thrown; });
                var caught = Check.Throws<InvalidOperationException>(() => index.Train(Many, options), "from the callback");
                Check.True(ReferenceEquals(thrown, caught), "the same exception");
                Check.True(caught.StackTrace.Contains("Listener.Report"), "the trace of where it was thrown");
                Check.True(!index.IsTrained, "an unchanged index");
                index.Train(Many);
                Check.True(index.IsTrained, "the index to work on");
            }
        }

        public static void Progress_ThrowsInLoad_LeaksNoIndex()
        {
            Data.InFolder(folder =>
            {
                using (IvfIndex index = Data.Trained(Many, Dim))
                    index.Save(folder + "/a");
                var options = new IOOptions { Progress = new Listener(report => { throw new FormatException("stop"); }) };
                Check.Throws<FormatException>(() => IvfIndex.Load(folder + "/a", options), "stop");
            });
        }

        public static void Progress_CallsIntoTheIndex_IsRefused()
        {
            using (var index = new IvfIndex(Dim, "IVF16,Flat"))
            {
                Exception refused = null;
                var listener = new Listener(report =>
                {
                    try
                    {
                        index.Add(new float[Dim]);
                    }
                    catch (IvfStateException exception)
                    {
                        refused = exception;
                    }
                });
                index.Train(Many, new TrainOptions { Progress = listener });
                Check.True(refused != null, "IvfStateException");
            }
        }

        public static void Progress_DisposesTheIndex_CallEndsFirst()
        {
            var index = new IvfIndex(Dim, "IVF16,Flat");
            index.Train(Many, new TrainOptions { Progress = new Listener(report => index.Dispose()) });
            Check.Throws<ObjectDisposedException>(() => index.Add(Many));
        }

        public static void Progress_OfSystem_Posts()
        {
            using (var told = new ManualResetEventSlim())
            using (var index = new IvfIndex(Dim, "IVF16,Flat"))
            {
                index.Train(Many, new TrainOptions { Progress = new Progress<ProgressInfo>(report => told.Set()) });
                Check.True(told.Wait(10000), "a report");
            }
        }

        public static void Token_CancelledBefore_CallDoesNotBegin()
        {
            var token = new CancellationToken(true);
            using (var index = new IvfIndex(Dim, "Flat"))
            {
                var caught = Check.Throws<IvfCancelledException>(() => index.Add(Many, null, token));
                Check.Equal(token, caught.CancellationToken, "token");
                Check.Equal(0, index.Count, "count");
            }
        }

        public static void Token_CancelledByAnotherThread_EndsTheNativeCall()
        {
            using (var index = new IvfIndex(Dim, "IVF256,Flat"))
            using (var source = new CancellationTokenSource())
            {
                var clock = new Stopwatch();
                using (new Timer(state =>
                {
                    clock.Start();
                    source.Cancel();
                }, null, 200, Timeout.Infinite))
                {
                    var caught = Check.Throws<IvfCancelledException>(() => index.Train(Many, Endless, source.Token));
                    Check.Equal(source.Token, caught.CancellationToken, "token");
                }
                Check.True(clock.ElapsedMilliseconds < 2000, "an end within 2 s, got " + clock.ElapsedMilliseconds + " ms");
                Check.True(!index.IsTrained, "an unchanged index");
            }
        }

        public static void Token_CancelledInReport_EndsTheCall()
        {
            using (var index = new IvfIndex(Dim, "IVF16,Flat"))
            using (var source = new CancellationTokenSource())
            {
                var options = Endless;
                options.Progress = new Listener(report => source.Cancel());
                Check.Throws<IvfCancelledException>(() => index.Train(Many, options, source.Token));
            }
        }

        public static void Token_NotCancelled_CanBeUsedAgain()
        {
            using (var index = new IvfIndex(Dim, "Flat"))
            using (var source = new CancellationTokenSource())
            {
                for (int i = 0; i < 100; i++)
                    index.Add(Data.Random(1, Dim), null, source.Token);
                source.Cancel(); // no call listens any more
                Check.Equal(100, index.Count, "count");
            }
        }

        public static void SearchAsync_Finished_EqualsSearch()
        {
            using (IvfIndex index = Data.Trained(Many, Dim))
            {
                var memory = new ReadOnlyMemory<float>(Many, 0, 100 * Dim);
                Check.Sequence(index.Search(memory.Span, 5).Ids, index.SearchAsync(memory, 5).Result.Ids, "ids");
            }
        }

        public static void SearchAsync_Cancelled_IsACancelledTask()
        {
            using (var index = new IvfIndex(Dim, "Flat"))
            using (var source = new CancellationTokenSource())
            {
                index.Add(Many);
                // Seconds of work on one thread, of which a little is done.
                Task<Neighbors> task = index.SearchAsync(Many, 100, new SearchOptions { Threads = 1 }, source.Token);
                Thread.Sleep(200);
                Check.True(!task.IsCompleted, "the search to be at work");
                var clock = Stopwatch.StartNew();
                source.Cancel();
                var caught = Check.Throws<AggregateException>(() => task.Wait());
                Check.True(caught.InnerException is OperationCanceledException, "OperationCanceledException, got " + caught.InnerException);
                Check.True(task.IsCanceled, "a cancelled task, got " + task.Status);
                Check.True(clock.ElapsedMilliseconds < 2000, "an end within 2 s, got " + clock.ElapsedMilliseconds + " ms");
            }
        }

        public static void Async_TrainAndAdd_WorkAndFailAsTheirNamesakes()
        {
            using (var index = new IvfIndex(Dim, "IVF16,Flat"))
            {
                index.TrainAsync(Many).Wait();
                index.AddAsync(new ReadOnlyMemory<float>(Many, 0, 10 * Dim)).Wait();
                index.AddAsync(new ReadOnlyMemory<float>(Many, 0, Dim), new[] { 99L }).Wait();
                Check.Equal(11, index.Count, "count");
                var caught = Check.Throws<AggregateException>(() => index.TrainAsync(Many).Wait());
                Check.True(caught.InnerException is IvfStateException, "IvfStateException, got " + caught.InnerException);
                Task cancelled = index.AddAsync(Many, null, new CancellationToken(true));
                Check.Throws<AggregateException>(() => cancelled.Wait());
                Check.True(cancelled.IsCanceled, "a cancelled task, got " + cancelled.Status);
            }
        }
    }
}

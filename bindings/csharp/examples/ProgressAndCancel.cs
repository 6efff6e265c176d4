using System;
using System.IO;
using System.Threading;
using System.Threading.Tasks;
using Ivf;

/// <summary>Trains with progress, stops a training that would take too long, filters, saves and loads.</summary>
public static class ProgressAndCancel
{
    private const int Dim = 64;

    /// <summary>Writes every report at once; System.Progress would pass them on to a user interface's thread.</summary>
    private sealed class ToConsole : IProgress<ProgressInfo>
    {
        public void Report(ProgressInfo report)
        {
            Console.WriteLine(report + (report.Value == 0 ? "" : ", mean squared distance " + report.Value.ToString("0.000")));
        }
    }

    public static void Main()
    {
        Run().Wait();
    }

    private static async Task Run()
    {
        var random = new Random(1);
        var x = new float[50000 * Dim];
        for (int i = 0; i < x.Length; i++)
            x[i] = (float)random.NextDouble();

        Console.WriteLine("libivf " + IvfLibrary.Version + " on " + IvfLibrary.Devices()[0]);
        using (var index = new IvfIndex(Dim, "IVF256,Flat"))
        {
            using (var soon = new CancellationTokenSource(100))
            {
                try
                {
                    var forever = new TrainOptions { Iterations = 1000000, MaxPointsPerCentroid = ClusteringOptions.AllPoints };
                    await index.TrainAsync(x, forever, soon.Token);
                }
                catch (OperationCanceledException)
                {
                    Console.WriteLine("training stopped; trained: " + index.IsTrained);
                }
            }

            await index.TrainAsync(x, new TrainOptions { Iterations = 5, Progress = new ToConsole() });
            await index.AddAsync(x);
            string path = Path.Combine(Path.GetTempPath(), "example-" + Guid.NewGuid().ToString("N") + ".ivf");
            index.Save(path);
            using (IvfIndex loaded = IvfIndex.Load(path))
            using (IvfFilter second = IvfFilter.OfRange(25000, 50000))
            {
                var options = new SearchOptions { NProbe = 16, Filter = second };
                Neighbors found = await loaded.SearchAsync(new ReadOnlyMemory<float>(x, 30000 * Dim, Dim), 3, options);
                Console.WriteLine(loaded + ": ids " + string.Join(", ", found.Ids));
            }
            File.Delete(path);
        }
    }
}

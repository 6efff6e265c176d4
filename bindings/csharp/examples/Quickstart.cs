using System;
using Ivf;

public static class Quickstart
{
    public static void Main()
    {
        var random = new Random(1);
        var x = new float[10000 * 64]; // 10000 vectors of 64 columns, row after row
        for (int i = 0; i < x.Length; i++)
            x[i] = (float)random.NextDouble();

        using (var index = new IvfIndex(64, "IVF64,Flat", Metric.L2))
        {
            index.Train(x);
            index.Add(x);
            Neighbors found = index.Search(x.AsSpan(0, 64), k: 5);
            for (int i = 0; i < found.IdsOf(0).Length; i++)
                Console.WriteLine($"id {found.IdsOf(0)[i]} at squared distance {found.DistancesOf(0)[i]}");
        }
    }
}

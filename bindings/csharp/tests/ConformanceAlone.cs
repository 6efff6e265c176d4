using System;
using System.Collections.Generic;
using System.Linq;

namespace Ivf.Tests
{
    /// <summary>What a case does without its index: k-means and exact neighbours.</summary>
    internal sealed partial class Conformance
    {
        private static readonly string[] Seedings = { "", "random", "plus_plus", "hierarchical" };

        private static KMeansOptions KMeansOptionsOf(Json step)
        {
            return new KMeansOptions
            {
                Seeding = (Seeding)Place(Seedings, step["seeding"]),
                Seed = step["seed"]?.Integer ?? 0,
                Restarts = Number(step, "restarts"),
                Spherical = (step["spherical"]?.Integer ?? 0) != 0,
                MiniBatch = Number(step, "mini_batch"),
            };
        }

        /// <summary>Clusters are numbered by the first appearance of their labels.</summary>
        private void ExpectClusters(Json step, KMeans found)
        {
            List<long> order = found.Labels.Distinct().ToList();
            long[] numbered = found.Labels.Select(label => (long)order.IndexOf(label)).ToArray();
            Check.Sequence(Integers(step, "labels"), numbered, "labels");
            if (step["centroids"] == null)
                return;
            float[] ordered = order.SelectMany(label => Data.Row(found.Centroids, dim, (int)label)).ToArray();
            Check.Close(Floats(step, "centroids"), ordered, "centroids");
            Check.Close(new[] { FloatOf(step["objective"]) }, new[] { (float)found.Objective }, "objective");
        }

        private void Nearest(Json step, Json x)
        {
            SearchOptions options = OptionsOf(step);
            Neighbors found = x["bits"] == null
                ? Knn.Search(Floats(step, "x"), Floats(x, "x"), dim, K(step), metric, options)
                : Knn.Search(TypedOf(step), TypedOf(x), K(step), metric, options);
            ExpectFound(step, found, options);
        }
    }
}

namespace Ivf
{
    /// <summary>How far a call is.</summary>
    public readonly struct ProgressInfo
    {
        internal unsafe ProgressInfo(Native.ivf_progress* progress)
        {
            Stage = Text.Read(progress->stage);
            Done = (long)progress->done;
            Total = (long)progress->total;
            Value = progress->value;
        }

        /// <summary>What is being done: "train", "add", "search", "knn", "kmeans", "save" or "load".</summary>
        public string Stage { get; }

        /// <summary>Units done, out of <see cref="Total"/>.</summary>
        public long Done { get; }

        /// <summary>All units: iterations of k-means, vectors, queries, or bytes of a file.</summary>
        public long Total { get; }

        /// <summary>
        /// "train" and "kmeans": the mean squared distance of a point to its centroid (spherical k-means: the mean similarity),
        /// after this iteration. Else 0.
        /// </summary>
        public double Value { get; }

        /// <summary>"train 3/10".</summary>
        public override string ToString()
        {
            return Stage + " " + Done + "/" + Total;
        }
    }
}

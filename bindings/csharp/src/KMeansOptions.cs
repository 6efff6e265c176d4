namespace Ivf
{
    /// <summary>What the trainings have in common: k-means and its randomness.</summary>
    public abstract class ClusteringOptions : CallOptions
    {
        /// <summary>For <see cref="MaxPointsPerCentroid"/>: use every point.</summary>
        public const int AllPoints = -1;

        internal ClusteringOptions()
        {
        }

        /// <summary>Iterations of k-means; 0 = 10 in training an index, 25 in k-means, 100 with mini-batches.</summary>
        public int Iterations { get; set; }

        /// <summary>Where k-means starts from.</summary>
        public Seeding Seeding { get; set; }

        /// <summary>
        /// Seed of all that is random; 0 = 1234. The same seed and data give the same centroids on any number of threads.
        /// </summary>
        public long Seed { get; set; }

        /// <summary>
        /// Points used for each centroid, drawn at random if there are more; 0 = 256, <see cref="AllPoints"/> = all.
        /// </summary>
        public int MaxPointsPerCentroid { get; set; }

        /// <summary>Runs from different seeds, of which the best is kept; 0 = 1.</summary>
        public int Restarts { get; set; }

        internal uint PointsPerCentroid
        {
            get
            {
                return MaxPointsPerCentroid == AllPoints
                    ? uint.MaxValue
                    : Number.Unsigned(MaxPointsPerCentroid, nameof(MaxPointsPerCentroid));
            }
        }
    }

    /// <summary>How an index is trained.</summary>
    public sealed class TrainOptions : ClusteringOptions
    {
        internal static readonly TrainOptions Default = new TrainOptions();

        internal unsafe Native.ivf_train_options ToNative(Call call)
        {
            var native = new Native.ivf_train_options
            {
                struct_size = (uint)sizeof(Native.ivf_train_options),
                threads = Number.Unsigned(Threads, nameof(Threads)),
                iterations = Number.Unsigned(Iterations, nameof(Iterations)),
                seeding = (int)Seeding,
                seed = unchecked((ulong)Seed),
                max_points_per_centroid = PointsPerCentroid,
                restarts = Number.Unsigned(Restarts, nameof(Restarts)),
            };
            Call.Attach(call, ref native.progress, ref native.progress_data, ref native.cancel);
            return native;
        }
    }

    /// <summary>How k-means goes.</summary>
    public sealed class KMeansOptions : ClusteringOptions
    {
        /// <summary>Centroids of length 1 and assignment by inner product; else by squared distance.</summary>
        public bool Spherical { get; set; }

        /// <summary>Points of each step of mini-batch k-means; 0 = the full algorithm.</summary>
        public int MiniBatch { get; set; }

        internal static readonly KMeansOptions Default = new KMeansOptions();

        internal unsafe Native.ivf_kmeans_options ToNative(Call call)
        {
            var native = new Native.ivf_kmeans_options
            {
                struct_size = (uint)sizeof(Native.ivf_kmeans_options),
                threads = Number.Unsigned(Threads, nameof(Threads)),
                iterations = Number.Unsigned(Iterations, nameof(Iterations)),
                seeding = (int)Seeding,
                seed = unchecked((ulong)Seed),
                max_points_per_centroid = PointsPerCentroid,
                restarts = Number.Unsigned(Restarts, nameof(Restarts)),
                spherical = Spherical ? 1u : 0u,
                mini_batch = Number.Unsigned(MiniBatch, nameof(MiniBatch)),
            };
            Call.Attach(call, ref native.progress, ref native.progress_data, ref native.cancel);
            return native;
        }
    }
}

using System;
using System.Runtime.InteropServices;
using System.Threading;

namespace Ivf
{
    /// <summary>
    /// k-means: every point counts to its nearest centroid, which is their mean. A centroid that loses all points is set again
    /// by splitting the largest.
    /// </summary>
    public sealed class KMeans
    {
        private KMeans(int k, int dim, float[] centroids, long[] labels, double objective)
        {
            K = k;
            Dim = dim;
            Centroids = centroids;
            Labels = labels;
            Objective = objective;
        }

        /// <summary>The number of centroids.</summary>
        public int K { get; }

        /// <summary>Columns of a point and of a centroid.</summary>
        public int Dim { get; }

        /// <summary>[K, Dim], row-major.</summary>
        public float[] Centroids { get; }

        /// <summary>[n]: the nearest centroid of every point, used for training or not.</summary>
        public long[] Labels { get; }

        /// <summary>
        /// The mean squared distance of all n points to their centroids (spherical: the mean similarity).
        /// </summary>
        public double Objective { get; }

        /// <summary>Finds k centroids of the points, the points' labels and the objective.</summary>
        /// <param name="x">[n, dim], row-major.</param>
        /// <param name="dim">Columns of a point, at least 1.</param>
        /// <param name="k">At least 1, at most n.</param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="context">null for the shared default one.</param>
        /// <param name="cancellationToken">Ends the call.</param>
        /// <remarks>Cost: O(iterations * points used * k * dim + n * k * dim).</remarks>
        /// <exception cref="IvfTooFewPointsException">Fewer points than centroids.</exception>
        /// <exception cref="IvfDimensionException">x is no whole number of rows.</exception>
        /// <exception cref="IvfNotFiniteException">NaN or infinity in a row.</exception>
        /// <exception cref="IvfArgumentException">k or dim is 0, or an option is outside its range.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public static KMeans Fit(
            ReadOnlySpan<float> x, int dim, int k, KMeansOptions options = null, IvfContext context = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            var centroids = new float[Number.Length(Number.Unsigned(k, nameof(k)), Number.Unsigned(dim, nameof(dim)))];
            var labels = new long[dim == 0 ? 0 : x.Length / dim];
            double objective = Fit(x, dim, k, centroids, labels, options, context, cancellationToken);
            return new KMeans(k, dim, centroids, labels, objective);
        }

        /// <summary>The same into buffers of your own.</summary>
        /// <param name="x">[n, dim], row-major.</param>
        /// <param name="dim">Columns of a point, at least 1.</param>
        /// <param name="k">At least 1, at most n.</param>
        /// <param name="centroids">[k, dim], row-major, receives them.</param>
        /// <param name="labels">[n], receives the nearest centroid of every point; or empty.</param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="context">null for the shared default one.</param>
        /// <param name="cancellationToken">Ends the call; what it has written by then is unspecified.</param>
        /// <returns>The mean squared distance of all n points to their centroids (spherical: the mean similarity).</returns>
        /// <exception cref="ArgumentException">There is too little room in a buffer.</exception>
        /// <exception cref="IvfTooFewPointsException">Fewer points than centroids.</exception>
        /// <exception cref="IvfDimensionException">x is no whole number of rows.</exception>
        /// <exception cref="IvfNotFiniteException">NaN or infinity in a row.</exception>
        /// <exception cref="IvfArgumentException">k or dim is 0, or an option is outside its range.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public static unsafe double Fit(
            ReadOnlySpan<float> x, int dim, int k, Span<float> centroids, Span<long> labels = default(Span<long>),
            KMeansOptions options = null, IvfContext context = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            IvfLibrary.Require();
            ulong n = Number.Rows(x.Length, dim, nameof(dim));
            Number.Room(centroids.Length, Number.Unsigned(k, nameof(k)), (ulong)dim, nameof(centroids));
            if (!labels.IsEmpty)
                Number.Room(labels.Length, n, 1, nameof(labels));
            options = options ?? KMeansOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed on = IvfContext.Borrow(context))
            fixed (float* data = &MemoryMarshal.GetReference(x))
            fixed (float* centroid = &MemoryMarshal.GetReference(centroids))
            fixed (long* label = &MemoryMarshal.GetReference(labels))
            {
                double objective = 0;
                var native = options.ToNative(call);
                native.labels = labels.IsEmpty ? null : label;
                native.objective = &objective;
                Call.End(call, Native.ivf_kmeans(on.Pointer, data, n, (uint)dim, (uint)k, centroid, &native));
                return objective;
            }
        }

        /// <summary>Finds k centroids of points of another type than float.</summary>
        /// <param name="x">[n, dim], row-major; say its columns.</param>
        /// <param name="k">At least 1, at most n.</param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="context">null for the shared default one.</param>
        /// <param name="cancellationToken">Ends the call.</param>
        /// <exception cref="IvfTooFewPointsException">Fewer points than centroids.</exception>
        /// <exception cref="IvfDimensionException">x is no whole number of rows.</exception>
        /// <exception cref="IvfNotFiniteException">NaN or infinity in a row.</exception>
        /// <exception cref="IvfArgumentException">k or x.Dim is 0, or an option is outside its range.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public static unsafe KMeans Fit(
            TypedRows x, int k, KMeansOptions options = null, IvfContext context = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            IvfLibrary.Require();
            ulong n = x.Count(0, out uint dim);
            var centroids = new float[Number.Length(Number.Unsigned(k, nameof(k)), dim)];
            var labels = new long[n];
            options = options ?? KMeansOptions.Default;
            double objective = 0;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed on = IvfContext.Borrow(context))
            fixed (byte* data = &x.First)
            fixed (float* centroid = centroids)
            fixed (long* label = labels)
            {
                var native = options.ToNative(call);
                native.labels = label;
                native.objective = &objective;
                Call.End(call, Native.ivf_kmeans_typed(
                    on.Pointer, data, (int)x.Element, n, dim, (uint)k, centroid, &native));
            }
            return new KMeans(k, (int)dim, centroids, labels, objective);
        }
    }
}

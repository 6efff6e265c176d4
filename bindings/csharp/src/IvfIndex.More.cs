using System;
using System.Runtime.InteropServices;
using System.Threading;

namespace Ivf
{
    // What is built from a file of vectors, and what is made of neighbours.
    public sealed partial class IvfIndex
    {
        /// <summary>
        /// Adds the vectors of a .npy (float32, float16 or uint8, C order), .fvecs or .bvecs file, read a piece at a time.
        /// </summary>
        /// <param name="path">The file.</param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="cancellationToken">Ends the call, in which case nothing is added.</param>
        /// <returns>How many vectors came.</returns>
        /// <exception cref="IvfNotTrainedException">The index has no centroids yet.</exception>
        /// <exception cref="IvfDimensionException">Rows have another width than the index.</exception>
        /// <exception cref="IvfNotFiniteException">NaN or infinity in a row.</exception>
        /// <exception cref="IvfIOException">The operating system's error, with the path.</exception>
        /// <exception cref="IvfFormatException">A file of another kind, or of values of another type.</exception>
        /// <exception cref="IvfCorruptException">A truncated or damaged file.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public unsafe long AddFile(
            string path, AddOptions options = null, CancellationToken cancellationToken = default(CancellationToken))
        {
            options = options ?? AddOptions.Default;
            ulong added = 0;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed self = handle.Borrow())
            fixed (byte* file = Text.Required(path, nameof(path)))
            {
                var native = options.ToNative(call);
                Call.End(call, Native.ivf_add_file(self.Pointer, file, &native, &added));
            }
            return (long)added;
        }

        /// <summary>
        /// Trains on a sample of a file's rows unless the index is trained already, then adds all of them as
        /// <see cref="AddFile"/> does.
        /// </summary>
        /// <param name="path">The file.</param>
        /// <param name="options">Those of the training; null for the defaults.</param>
        /// <param name="cancellationToken">Ends the call, in which case nothing is added.</param>
        /// <returns>How many vectors came.</returns>
        /// <exception cref="IvfTooFewPointsException">Fewer rows than centroids.</exception>
        /// <exception cref="IvfDimensionException">Rows have another width than the index.</exception>
        /// <exception cref="IvfNotFiniteException">NaN or infinity in a row.</exception>
        /// <exception cref="IvfIOException">The operating system's error, with the path.</exception>
        /// <exception cref="IvfFormatException">A file of another kind, or of values of another type.</exception>
        /// <exception cref="IvfCorruptException">A truncated or damaged file.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public unsafe long BuildFile(
            string path, TrainOptions options = null, CancellationToken cancellationToken = default(CancellationToken))
        {
            options = options ?? TrainOptions.Default;
            ulong added = 0;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed self = handle.Borrow())
            fixed (byte* file = Text.Required(path, nameof(path)))
            {
                var native = options.ToNative(call);
                Call.End(call, Native.ivf_build_file(self.Pointer, file, &native, &added));
            }
            return (long)added;
        }

        /// <summary>
        /// Alpha query expansion: each query's mean with its k best, weighted by similarity to the power of alpha; the query
        /// weighs 1. Of length 1 for inner product and cosine; for L2 the similarity is 1 / (1 + distance).
        /// </summary>
        /// <param name="queries">[n, dim], row-major.</param>
        /// <param name="k">Neighbours a query, at least 1.</param>
        /// <param name="alpha">From 0 on; 3 is usual.</param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="cancellationToken">Ends the call.</param>
        /// <returns>[n, dim], row-major.</returns>
        /// <exception cref="IvfArgumentException">k is 0, or another alpha.</exception>
        /// <exception cref="IvfNotTrainedException">The index has no centroids yet.</exception>
        /// <exception cref="IvfDimensionException">Rows have another width than the index.</exception>
        /// <exception cref="IvfNotFiniteException">NaN or infinity in a row.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public unsafe float[] QueryExpansion(
            Rows queries, int k, float alpha = 3, SearchOptions options = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            ulong n = queries.Count(Dim, out uint dim);
            uint columns = Number.Unsigned(k, nameof(k));
            var made = new float[Number.Length(n, dim)];
            options = options ?? SearchOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed self = handle.Borrow())
            using (HeldOptions held = options.Hold())
            fixed (float* data = &queries.First)
            fixed (float* to = made)
            {
                var native = options.ToNative(call, held, null);
                Call.End(call, Native.ivf_query_expansion(self.Pointer, data, n, dim, columns, alpha, to, &native));
            }
            return made;
        }

        /// <summary>
        /// ratio * blend + (1 - ratio) * query, the blend being the mean of the k nearest vectors, weighted by 1 / distance to
        /// the power of <paramref name="power"/>: of the squared distance for L2, of 1 - similarity for cosine. Vectors at
        /// distance 0 share all the weight; a query without hits stays as it is.
        /// </summary>
        /// <param name="queries">[n, dim], row-major.</param>
        /// <param name="k">Neighbours a query, at least 1.</param>
        /// <param name="power">From 0 on; 2 is what RVC does.</param>
        /// <param name="ratio">0 (the query) to 1 (the blend).</param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="cancellationToken">Ends the call.</param>
        /// <returns>[n, dim], row-major.</returns>
        /// <exception cref="IvfArgumentException">k is 0, another power or ratio, or inner product.</exception>
        /// <exception cref="IvfNotTrainedException">The index has no centroids yet.</exception>
        /// <exception cref="IvfDimensionException">Rows have another width than the index.</exception>
        /// <exception cref="IvfNotFiniteException">NaN or infinity in a row.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public unsafe float[] Blend(
            Rows queries, int k, float power = 2, float ratio = 1, SearchOptions options = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            ulong n = queries.Count(Dim, out uint dim);
            uint columns = Number.Unsigned(k, nameof(k));
            var made = new float[Number.Length(n, dim)];
            options = options ?? SearchOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed self = handle.Borrow())
            using (HeldOptions held = options.Hold())
            fixed (float* data = &queries.First)
            fixed (float* to = made)
            {
                var native = options.ToNative(call, held, null);
                Call.End(call, Native.ivf_blend(self.Pointer, data, n, dim, columns, power, ratio, to, &native));
            }
            return made;
        }
    }
}

using System;
using System.Runtime.InteropServices;
using System.Threading;

namespace Ivf
{
    public sealed partial class IvfIndex
    {
        /// <summary>
        /// Trains an IVF index: chooses its centroids by k-means over points like those it will hold. Instead of it,
        /// <see cref="SetCentroids"/> takes those of your own. For a "Flat" index it only checks its arguments.
        /// </summary>
        /// <param name="x">[n, dim], row-major; a sample is drawn from it where there are more points than are used.</param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="cancellationToken">Ends the call, in which case the index is as before.</param>
        /// <remarks>Cost: O(iterations * points used * nlist * dim).</remarks>
        /// <exception cref="IvfTooFewPointsException">Fewer points than centroids.</exception>
        /// <exception cref="IvfStateException">The index holds vectors; <see cref="Reset"/> it first.</exception>
        /// <exception cref="IvfDimensionException">Rows have another width than the index.</exception>
        /// <exception cref="IvfNotFiniteException">NaN or infinity in a row.</exception>
        /// <exception cref="IvfArgumentException">An option is outside its range.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public unsafe void Train(
            Rows x, TrainOptions options = null, CancellationToken cancellationToken = default(CancellationToken))
        {
            ulong n = x.Count(Dim, out uint dim);
            options = options ?? TrainOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed self = handle.Borrow())
            fixed (float* data = &x.First)
            {
                var native = options.ToNative(call);
                Call.End(call, Native.ivf_train(self.Pointer, data, n, dim, &native));
            }
        }

        /// <summary>
        /// Sets the centroids of an IVF index, which is trained by that; an index that is trained but empty gets new ones.
        /// </summary>
        /// <param name="centroids">
        /// [nlist, list dim], row-major, as many as the description names; any number if it names none ("IVF,Flat").
        /// </param>
        /// <param name="options">null for the defaults; progress is told where thousands of centroids are grouped.</param>
        /// <param name="cancellationToken">Ends the call, in which case the index is as before.</param>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        /// <exception cref="IvfArgumentException">Another number of centroids than the index has lists.</exception>
        /// <exception cref="IvfStateException">The index holds vectors or is "Flat".</exception>
        /// <exception cref="IvfDimensionException">Rows have another width than the index.</exception>
        /// <exception cref="IvfNotFiniteException">NaN or infinity in a row.</exception>
        public unsafe void SetCentroids(
            Rows centroids, AddOptions options = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            options = options ?? AddOptions.Default;
            ulong nlist = centroids.Count(Info.ListDim, out uint dim);
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed self = handle.Borrow())
            fixed (float* data = &centroids.First)
            {
                var native = options.ToNative(call);
                Call.End(call, Native.ivf_set_centroids_v2(self.Pointer, data, nlist, dim, &native));
            }
        }

        /// <summary>
        /// Adds vectors under the next free ids, the first of which is <see cref="IndexInfo.NextId"/>. No id is handed out
        /// twice, not even after its vector is removed.
        /// </summary>
        /// <param name="x">[n, dim], row-major. The index keeps a copy.</param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="cancellationToken">Ends the call, in which case nothing is added.</param>
        /// <remarks>Cost: O(n * nlist * dim).</remarks>
        /// <exception cref="IvfNotTrainedException">The index has no centroids yet.</exception>
        /// <exception cref="IvfDimensionException">Rows have another width than the index.</exception>
        /// <exception cref="IvfNotFiniteException">NaN or infinity in a row.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public unsafe void Add(
            Rows x, AddOptions options = null, CancellationToken cancellationToken = default(CancellationToken))
        {
            ulong n = x.Count(Dim, out uint dim);
            AddRows(x, n, dim, null, options, cancellationToken);
        }

        /// <summary>Adds vectors under ids of your own.</summary>
        /// <param name="x">[n, dim], row-major. The index keeps a copy.</param>
        /// <param name="ids">[n], from 0 on.</param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="cancellationToken">Ends the call, in which case nothing is added.</param>
        /// <remarks>Cost: O(n * nlist * dim).</remarks>
        /// <exception cref="IvfDuplicateIdException">
        /// An id that the batch has twice or the index already, unless the index was created to allow that.
        /// </exception>
        /// <exception cref="IvfArgumentException">A negative id.</exception>
        /// <exception cref="ArgumentException">Another number of ids than of rows.</exception>
        /// <exception cref="IvfNotTrainedException">The index has no centroids yet.</exception>
        /// <exception cref="IvfDimensionException">Rows have another width than the index.</exception>
        /// <exception cref="IvfNotFiniteException">NaN or infinity in a row.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public unsafe void Add(
            Rows x, ReadOnlySpan<long> ids, AddOptions options = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            ulong n = x.Count(Dim, out uint dim);
            if ((ulong)ids.Length != n)
                throw new ArgumentException("expected " + n + " ids, got " + ids.Length, nameof(ids));
            fixed (long* numbers = &MemoryMarshal.GetReference(ids))
                AddRows(x, n, dim, numbers, options, cancellationToken);
        }

        private unsafe void AddRows(
            Rows x, ulong n, uint dim, long* ids, AddOptions options, CancellationToken cancellationToken)
        {
            options = options ?? AddOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed self = handle.Borrow())
            fixed (float* data = &x.First)
            {
                var native = options.ToNative(call);
                Call.End(call, Native.ivf_add(self.Pointer, data, n, dim, ids, &native));
            }
        }

        /// <summary>
        /// Removes vectors by id. No search returns them from then on; their space comes back with <see cref="Compact"/>,
        /// which runs by itself once a fifth of the index is dead.
        /// </summary>
        /// <param name="ids">
        /// [n]. Ids that no vector has are passed over; where ids may repeat, all vectors of one id go.
        /// </param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="cancellationToken">Ends the call, in which case nothing is removed.</param>
        /// <returns>The number of vectors removed.</returns>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public unsafe long Remove(
            ReadOnlySpan<long> ids, AddOptions options = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            options = options ?? AddOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed self = handle.Borrow())
            fixed (long* numbers = &MemoryMarshal.GetReference(ids))
            {
                ulong removed = 0;
                var native = options.ToNative(call);
                Call.End(call, Native.ivf_remove_v2(self.Pointer, numbers, (ulong)ids.Length, &removed, &native));
                return (long)removed;
            }
        }

        /// <summary>Removes all vectors; the training stays, and so does the next id.</summary>
        public void Reset()
        {
            using (Borrowed self = handle.Borrow())
                IvfException.Check(Native.ivf_reset(self.Pointer));
        }

        /// <summary>
        /// Packs the lists: returns the space of removed vectors and the room that the lists keep to grow. Cost: one copy of
        /// the vectors.
        /// </summary>
        /// <param name="options">null for the defaults.</param>
        /// <param name="cancellationToken">Ends the call, in which case the index holds what it held, some of it packed.</param>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public unsafe void Compact(
            AddOptions options = null, CancellationToken cancellationToken = default(CancellationToken))
        {
            options = options ?? AddOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed self = handle.Borrow())
            {
                var native = options.ToNative(call);
                Call.End(call, Native.ivf_compact_v2(self.Pointer, &native));
            }
        }

        /// <summary>Reads vectors back by id, as they were added; with the cosine metric they have length 1.</summary>
        /// <param name="ids">[n]</param>
        /// <param name="x">[n, dim], row-major, receives the vectors in the order of the ids.</param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="cancellationToken">Ends the call.</param>
        /// <exception cref="IvfNotFoundException">An id that no vector has.</exception>
        /// <exception cref="ArgumentException">There is too little room in x.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public unsafe void Reconstruct(
            ReadOnlySpan<long> ids, Span<float> x, IOOptions options = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            Number.Room(x.Length, (ulong)ids.Length, (ulong)Dim, nameof(x));
            options = options ?? IOOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed self = handle.Borrow())
            fixed (long* numbers = &MemoryMarshal.GetReference(ids))
            fixed (float* data = &MemoryMarshal.GetReference(x))
            {
                var native = options.ToNative(call);
                int status = Native.ivf_reconstruct_v2(
                    self.Pointer, numbers, (ulong)ids.Length, data, (uint)Dim, &native);
                Call.End(call, status);
            }
        }

        /// <summary>Reads vectors back by id, as they were added; with the cosine metric they have length 1.</summary>
        /// <param name="ids">[n]</param>
        /// <returns>[n, dim], row-major, in the order of the ids.</returns>
        /// <exception cref="IvfNotFoundException">An id that no vector has.</exception>
        public float[] Reconstruct(ReadOnlySpan<long> ids)
        {
            var x = new float[Number.Length((ulong)ids.Length, (ulong)Dim)];
            Reconstruct(ids, x);
            return x;
        }
    }
}

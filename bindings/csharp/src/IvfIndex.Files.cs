using System;
using System.Runtime.InteropServices;
using System.Threading;

namespace Ivf
{
    public sealed partial class IvfIndex
    {
        /// <summary>
        /// Saves the index in the library's own format: versioned, with checksums, aligned for a memory map. Vectors removed
        /// but not yet compacted are saved as they are; <see cref="Compact"/> first to be rid of their data. Searches go on
        /// meanwhile.
        /// </summary>
        /// <param name="path">
        /// The file is written beside it, synced and renamed, so that a crash leaves the old file or the new.
        /// </param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="cancellationToken">Ends the call, in which case the old file is untouched.</param>
        /// <exception cref="IvfIOException">The operating system's error, with the path.</exception>
        /// <exception cref="IvfArgumentException">An option that is for loading.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public unsafe void Save(
            string path, IOOptions options = null, CancellationToken cancellationToken = default(CancellationToken))
        {
            options = options ?? IOOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed self = handle.Borrow())
            fixed (byte* file = Text.Required(path, nameof(path)))
            {
                var native = options.ToNative(call);
                Call.End(call, Native.ivf_save(self.Pointer, file, &native));
            }
        }

        /// <summary>
        /// Saves the index as a file that faiss reads. "Flat" becomes IndexFlat, within an IndexIDMap2 unless the ids count
        /// from 0; "IVFn,Flat" becomes IndexIVFFlat; a refinement ("RFlat") an IndexRefine around that, within an IndexIDMap2
        /// unless the ids are 0 to n - 1. faiss has no cosine: it becomes inner product over the normalised vectors,
        /// which are then to be searched with normalised queries.
        /// </summary>
        /// <param name="path">The file is written beside it, synced and renamed.</param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="cancellationToken">Ends the call, in which case the old file is untouched.</param>
        /// <exception cref="IvfUnsupportedException">What faiss cannot hold.</exception>
        /// <exception cref="IvfIOException">The operating system's error, with the path.</exception>
        /// <exception cref="IvfArgumentException">An option that is for loading.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public unsafe void ExportFaiss(
            string path, IOOptions options = null, CancellationToken cancellationToken = default(CancellationToken))
        {
            options = options ?? IOOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed self = handle.Borrow())
            fixed (byte* file = Text.Required(path, nameof(path)))
            {
                var native = options.ToNative(call);
                Call.End(call, Native.ivf_export_faiss(self.Pointer, file, &native));
            }
        }

        /// <summary>
        /// Loads an index from a file of <see cref="Save(string, IOOptions, CancellationToken)"/> or of faiss; its first bytes tell which. Nothing in a file can make
        /// this crash, hang, or allocate more than a small multiple of the file's size.
        /// </summary>
        /// <param name="path">The file.</param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="context">null for the shared default one.</param>
        /// <param name="cancellationToken">Ends the call.</param>
        /// <exception cref="IvfIOException">The operating system's error, with the path.</exception>
        /// <exception cref="IvfFormatException">A file of another kind or of a later version.</exception>
        /// <exception cref="IvfCorruptException">A damaged file.</exception>
        /// <exception cref="IvfUnsupportedException">A faiss type not supported, by its name.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public static unsafe IvfIndex Load(
            string path, IOOptions options = null, IvfContext context = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            IvfLibrary.Require();
            options = options ?? IOOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed on = IvfContext.Borrow(context))
            fixed (byte* file = Text.Required(path, nameof(path)))
            {
                var native = options.ToNative(call);
                IntPtr made;
                int status = Native.ivf_load(on.Pointer, file, &native, &made);
                return Made(call, status, made);
            }
        }

        /// <summary>The bytes that <see cref="Save(string, IOOptions, CancellationToken)"/> writes into a file.</summary>
        /// <param name="options">null for the defaults.</param>
        /// <param name="cancellationToken">Ends the call.</param>
        /// <exception cref="IvfOverflowException">More bytes than an array of .NET holds.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public unsafe byte[] Serialize(
            IOOptions options = null, CancellationToken cancellationToken = default(CancellationToken))
        {
            options = options ?? IOOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed self = handle.Borrow())
            {
                var native = options.ToNative(call);
                ulong size = 0;
                IvfException.Check(Native.ivf_serialize(self.Pointer, null, 0, &size));
                while (true)
                {
                    var bytes = new byte[Number.Length(size, 1)];
                    int status;
                    fixed (byte* buffer = bytes)
                        status = Native.ivf_serialize_v2(self.Pointer, buffer, (ulong)bytes.Length, &size, &native);
                    // Another thread may have added vectors since the size was asked for, or removed some.
                    if (status != (int)Status.Ok && size > (ulong)bytes.Length)
                        continue;
                    Call.End(call, status);
                    Array.Resize(ref bytes, Number.Length(size, 1));
                    return bytes;
                }
            }
        }

        /// <summary>Makes an index of bytes of <see cref="Serialize"/> or of a faiss file, which are copied.</summary>
        /// <param name="data">The bytes.</param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="context">null for the shared default one.</param>
        /// <param name="cancellationToken">Ends the call.</param>
        /// <exception cref="IvfFormatException">Bytes of another kind or of a later version.</exception>
        /// <exception cref="IvfCorruptException">Damaged bytes.</exception>
        /// <exception cref="IvfUnsupportedException">A faiss type not supported, by its name.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public static unsafe IvfIndex Deserialize(
            ReadOnlySpan<byte> data, IOOptions options = null, IvfContext context = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            IvfLibrary.Require();
            options = options ?? IOOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed on = IvfContext.Borrow(context))
            fixed (byte* bytes = &MemoryMarshal.GetReference(data))
            {
                var native = options.ToNative(call);
                IntPtr made;
                int status = Native.ivf_deserialize(on.Pointer, bytes, (ulong)data.Length, &native, &made);
                return Made(call, status, made);
            }
        }

        /// <summary>
        /// Throws what <see cref="Load(string, IOOptions, IvfContext, CancellationToken)"/> would throw, without keeping the vectors; for files that nobody vouches for. Success
        /// says that the file can be loaded, not that its vectors fit in memory.
        /// </summary>
        /// <param name="path">The file.</param>
        /// <param name="options">null for the defaults; nothing but threads and progress is for this.</param>
        /// <param name="context">null for the shared default one.</param>
        /// <param name="cancellationToken">Ends the call.</param>
        public static unsafe void Check(
            string path, IOOptions options = null, IvfContext context = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            IvfLibrary.Require();
            options = options ?? IOOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed on = IvfContext.Borrow(context))
            fixed (byte* file = Text.Required(path, nameof(path)))
            {
                var native = options.ToNative(call);
                Call.End(call, Native.ivf_check(on.Pointer, file, &native));
            }
        }

        /// <summary>Throws what <see cref="Deserialize"/> would throw, likewise.</summary>
        /// <param name="data">The bytes.</param>
        /// <param name="options">null for the defaults; nothing but threads and progress is for this.</param>
        /// <param name="context">null for the shared default one.</param>
        /// <param name="cancellationToken">Ends the call.</param>
        public static unsafe void Check(
            ReadOnlySpan<byte> data, IOOptions options = null, IvfContext context = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            IvfLibrary.Require();
            options = options ?? IOOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed on = IvfContext.Borrow(context))
            fixed (byte* bytes = &MemoryMarshal.GetReference(data))
            {
                var native = options.ToNative(call);
                Call.End(call, Native.ivf_check_bytes(on.Pointer, bytes, (ulong)data.Length, &native));
            }
        }

        /// <summary>An index of a handle that a call made, or the exception that belongs to the call.</summary>
        private static IvfIndex Made(Call call, int status, IntPtr made)
        {
            IvfIndex index = status == (int)Status.Ok ? new IvfIndex(made) : null;
            try
            {
                Call.End(call, status);
                return index;
            }
            catch
            {
                // A progress report threw, and the call succeeded all the same.
                if (index != null)
                    index.Dispose();
                throw;
            }
        }
    }
}

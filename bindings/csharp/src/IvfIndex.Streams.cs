using System;
using System.IO;
using System.Threading;

namespace Ivf
{
    public sealed partial class IvfIndex
    {
        /// <summary>Writes the bytes of a saved index into a stream. An exception of the stream's ends the call.</summary>
        /// <param name="stream">The stream, which stays open.</param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="cancellationToken">Ends the call; the stream then holds the beginning of an index.</param>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public unsafe void Save(
            Stream stream, IOOptions options = null, CancellationToken cancellationToken = default(CancellationToken))
        {
            if (stream == null)
                throw new ArgumentNullException(nameof(stream));
            options = options ?? IOOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (var through = new StreamCall(stream))
            using (Borrowed self = handle.Borrow())
            {
                var native = options.ToNative(call);
                int status = Native.ivf_save_stream(self.Pointer, StreamCall.WritePointer, through.UserData, &native);
                through.End();
                Call.End(call, status);
            }
        }

        /// <summary>
        /// Loads an index from a stream. Of the library's own format exactly the index is read, and what follows is left; an
        /// index of faiss's has to be all that still comes. An exception of the stream's ends the call.
        /// </summary>
        /// <param name="stream">The stream, which stays open.</param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="context">null for the shared default one.</param>
        /// <param name="cancellationToken">Ends the call.</param>
        /// <exception cref="IvfFormatException">Bytes of another kind or of a later version.</exception>
        /// <exception cref="IvfCorruptException">Damaged bytes.</exception>
        /// <exception cref="IvfUnsupportedException">A faiss type not supported, by its name.</exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public static unsafe IvfIndex Load(
            Stream stream, IOOptions options = null, IvfContext context = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            if (stream == null)
                throw new ArgumentNullException(nameof(stream));
            IvfLibrary.Require();
            options = options ?? IOOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (var through = new StreamCall(stream))
            using (Borrowed on = IvfContext.Borrow(context))
            {
                var native = options.ToNative(call);
                IntPtr made;
                int status = Native.ivf_load_stream(on.Pointer, StreamCall.ReadPointer, through.UserData, &native, &made);
                through.End();
                return Made(call, status, made);
            }
        }
    }
}

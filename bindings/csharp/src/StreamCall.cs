using System;
using System.IO;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace Ivf
{
    /// <summary>A stream behind the native callbacks, and its exception on its way through native code.</summary>
    internal sealed unsafe class StreamCall : IDisposable
    {
        // Made once and held for ever: native code must not outlive the delegates behind its pointers.
        private static readonly Native.ivf_write_fn WriteDelegate = Write;
        private static readonly Native.ivf_read_fn ReadDelegate = Read;
        internal static readonly IntPtr WritePointer = Marshal.GetFunctionPointerForDelegate(WriteDelegate);
        internal static readonly IntPtr ReadPointer = Marshal.GetFunctionPointerForDelegate(ReadDelegate);

        private readonly Stream stream;
        private readonly byte[] buffer = new byte[1 << 16];
        private GCHandle self;
        private ExceptionDispatchInfo thrown;

        internal StreamCall(Stream stream)
        {
            this.stream = stream;
            self = GCHandle.Alloc(this);
        }

        internal void* UserData
        {
            get { return (void*)GCHandle.ToIntPtr(self); }
        }

        /// <summary>Throws what the stream threw, if it did.</summary>
        internal void End()
        {
            if (thrown != null)
                thrown.Throw();
        }

        public void Dispose()
        {
            self.Free();
        }

        [MonoPInvokeCallback(typeof(Native.ivf_write_fn))]
        private static int Write(void* data, ulong size, void* userData)
        {
            var call = (StreamCall)GCHandle.FromIntPtr((IntPtr)userData).Target;
            try
            {
                for (ulong done = 0; done < size;)
                {
                    int piece = (int)Math.Min(size - done, (ulong)call.buffer.Length);
                    Marshal.Copy((IntPtr)((byte*)data + done), call.buffer, 0, piece);
                    call.stream.Write(call.buffer, 0, piece);
                    done += (ulong)piece;
                }
                return 0;
            }
            catch (Exception exception)
            {
                call.thrown = ExceptionDispatchInfo.Capture(exception);
                return -1;
            }
        }

        [MonoPInvokeCallback(typeof(Native.ivf_read_fn))]
        private static long Read(void* into, ulong size, void* userData)
        {
            var call = (StreamCall)GCHandle.FromIntPtr((IntPtr)userData).Target;
            try
            {
                int read = call.stream.Read(call.buffer, 0, (int)Math.Min(size, (ulong)call.buffer.Length));
                Marshal.Copy(call.buffer, 0, (IntPtr)into, read);
                return read;
            }
            catch (Exception exception)
            {
                call.thrown = ExceptionDispatchInfo.Capture(exception);
                return -1;
            }
        }
    }
}

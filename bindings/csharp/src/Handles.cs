using System;
using System.Runtime.InteropServices;

namespace Ivf
{
    /// <summary>
    /// Owns a handle of the library. The runtime gives it back after Dispose, or at the latest after the garbage collector
    /// found its owner lost, and in either case not before the last call that uses it has ended.
    /// </summary>
    internal abstract class NativeHandle : SafeHandle
    {
        protected NativeHandle()
            : base(IntPtr.Zero, true)
        {
        }

        public override bool IsInvalid
        {
            get { return handle == IntPtr.Zero; }
        }

        /// <summary>The type whose object this handle belongs to, for ObjectDisposedException.</summary>
        protected abstract string OwnerName { get; }

        internal void Own(IntPtr pointer)
        {
            SetHandle(pointer);
        }

        /// <summary>Keeps the handle alive until the result is disposed.</summary>
        internal Borrowed Borrow()
        {
            if (IsClosed)
                throw new ObjectDisposedException(OwnerName);
            return new Borrowed(this);
        }
    }

    /// <summary>A handle for the time of one call; the default is NULL.</summary>
    internal struct Borrowed : IDisposable
    {
        private readonly NativeHandle handle;

        internal Borrowed(NativeHandle handle)
        {
            bool added = false;
            handle.DangerousAddRef(ref added);
            this.handle = handle;
        }

        internal IntPtr Pointer
        {
            get { return handle == null ? IntPtr.Zero : handle.DangerousGetHandle(); }
        }

        public void Dispose()
        {
            if (handle != null)
                handle.DangerousRelease();
        }
    }

    internal sealed class IndexHandle : NativeHandle
    {
        protected override string OwnerName
        {
            get { return nameof(IvfIndex); }
        }

        protected override bool ReleaseHandle()
        {
            Native.ivf_index_destroy(handle);
            return true;
        }
    }

    internal sealed class ContextHandle : NativeHandle
    {
        protected override string OwnerName
        {
            get { return nameof(IvfContext); }
        }

        protected override bool ReleaseHandle()
        {
            Native.ivf_context_destroy(handle);
            return true;
        }
    }

    internal sealed class FilterHandle : NativeHandle
    {
        protected override string OwnerName
        {
            get { return nameof(IvfFilter); }
        }

        protected override bool ReleaseHandle()
        {
            Native.ivf_filter_destroy(handle);
            return true;
        }
    }
}

using System;

namespace Ivf
{
    /// <summary>
    /// The threads and the device that calls run on, shared by any number of indexes and calls. Wherever a method takes a
    /// context, null means the one that the library makes for all who need no other: every core that the process may use, and
    /// the best device. Indexes made with a context stay valid after it is disposed.
    /// </summary>
    public sealed class IvfContext : IDisposable
    {
        private readonly ContextHandle handle; // null = the shared default one

        /// <summary>Makes a context. No thread starts before a call has work for more than one.</summary>
        /// <param name="options">null for the defaults.</param>
        /// <exception cref="IvfArgumentException">A kernel that this CPU does not have, or too many threads.</exception>
        /// <exception cref="IvfDeviceException">No such device.</exception>
        public unsafe IvfContext(ContextOptions options = null)
        {
            IvfLibrary.Require();
            options = options ?? new ContextOptions();
            fixed (byte* device = Text.Bytes(options.Device, nameof(options.Device)))
            fixed (byte* kernel = Text.Bytes(options.Kernel, nameof(options.Kernel)))
            {
                var native = new Native.ivf_context_options
                {
                    struct_size = (uint)sizeof(Native.ivf_context_options),
                    threads = Number.Unsigned(options.Threads, nameof(options.Threads)),
                    device = device,
                    kernel = kernel,
                    device_memory_bytes = Number.Unsigned(options.DeviceMemoryBytes, nameof(options.DeviceMemoryBytes)),
                };
                LogCall.Attach(options.Log, ref native);
                IntPtr made;
                IvfException.Check(Native.ivf_context_create(&native, &made));
                handle = new ContextHandle();
                handle.Own(made);
            }
        }

        private IvfContext(ContextHandle handle)
        {
            this.handle = handle;
        }

        /// <summary>The shared one, the same as null. Disposing it does nothing.</summary>
        public static IvfContext Default { get; } = new IvfContext((ContextHandle)null);

        /// <summary>What this context runs on.</summary>
        /// <exception cref="ObjectDisposedException">The context is disposed.</exception>
        public unsafe ContextInfo Info
        {
            get
            {
                IvfLibrary.Require();
                using (Borrowed self = Borrow(this))
                {
                    var info = new Native.ivf_context_info { struct_size = (uint)sizeof(Native.ivf_context_info) };
                    IvfException.Check(Native.ivf_context_get_info(self.Pointer, &info));
                    return new ContextInfo(&info);
                }
            }
        }

        /// <summary>
        /// Gives the context back, once calls that use it have ended. A second time does nothing.
        /// </summary>
        public void Dispose()
        {
            if (handle != null)
                handle.Dispose();
        }

        /// <summary>The handle for one call; NULL for the shared context.</summary>
        internal static Borrowed Borrow(IvfContext context)
        {
            return context == null || context.handle == null ? default(Borrowed) : context.handle.Borrow();
        }
    }

    /// <summary>What a context runs on.</summary>
    public sealed class ContextInfo
    {
        internal unsafe ContextInfo(Native.ivf_context_info* info)
        {
            Threads = (int)info->threads;
            Device = Text.Read(info->device);
            Kernel = Text.Read(info->kernel);
            DeviceLost = info->device_lost != 0;
            DeviceMemoryBytes = (long)info->device_memory_bytes;
            DeviceCalls = (long)info->device_calls;
        }

        /// <summary>Threads that a call may use, its own included.</summary>
        public int Threads { get; }

        /// <summary>The device's name.</summary>
        public string Device { get; }

        /// <summary>The CPU's kernels in use: "scalar", "avx2", "avx512" or "neon".</summary>
        public string Kernel { get; }

        /// <summary>Whether calls run on the CPU because the device was lost; results are the same.</summary>
        public bool DeviceLost { get; }

        /// <summary>GPU: bytes of its memory that the context holds.</summary>
        public long DeviceMemoryBytes { get; }

        /// <summary>GPU: scans, assignments and rounds of sums that it has done.</summary>
        public long DeviceCalls { get; }
    }
}

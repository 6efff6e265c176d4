using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
#if NET5_0_OR_GREATER
using System.Reflection;
#endif

namespace Ivf
{
    /// <summary>
    /// The native library behind this assembly: libivf.so, ivf.dll or libivf.dylib, looked for where the runtime looks for
    /// native libraries. On .NET 5 and later the environment variable IVF_LIBRARY may name the file instead.
    /// </summary>
    public static class IvfLibrary
    {
        private static readonly object Gate = new object();
        private static volatile bool ready;

        /// <summary>The library's version, "major.minor.patch".</summary>
        /// <exception cref="DllNotFoundException">The native library is not found.</exception>
        public static unsafe string Version
        {
            get
            {
                Require();
                return Text.Read(Native.ivf_version());
            }
        }

        /// <summary>The version of the binary interface, the same as of the one that this assembly was written for.</summary>
        /// <exception cref="DllNotFoundException">The native library is not found.</exception>
        public static int AbiVersion
        {
            get
            {
                Require();
                return (int)Native.ivf_abi_version();
            }
        }

        /// <summary>The devices of this machine: the first is the CPU, GPUs follow.</summary>
        /// <exception cref="DllNotFoundException">The native library is not found.</exception>
        public static unsafe IReadOnlyList<DeviceInfo> Devices()
        {
            Require();
            uint count = 0;
            IvfException.Check(Native.ivf_device_count(&count));
            var all = new DeviceInfo[count];
            for (uint i = 0; i < count; i++)
            {
                var info = new Native.ivf_device_info { struct_size = (uint)sizeof(Native.ivf_device_info) };
                IvfException.Check(Native.ivf_device_get_info(i, &info));
                all[i] = new DeviceInfo(&info);
            }
            return all;
        }

        /// <summary>
        /// Before the first call of the library: says where it is, and refuses one of another binary interface, whose calls
        /// would corrupt memory. Every call that needs no handle begins with it.
        /// </summary>
        internal static void Require()
        {
            if (ready)
                return;
            lock (Gate)
            {
                if (ready)
                    return;
                SetResolver();
                uint version = Native.ivf_abi_version();
                if (version != Native.IVF_ABI_VERSION)
                    throw new BadImageFormatException(
                        "expected a native library ivf of ABI " + Native.IVF_ABI_VERSION + ", got ABI " + version);
                ready = true;
            }
        }

#if NET5_0_OR_GREATER
        private static bool resolverIsSet;

        private static void SetResolver()
        {
            if (resolverIsSet)
                return;
            resolverIsSet = true;
            try
            {
                NativeLibrary.SetDllImportResolver(typeof(IvfLibrary).Assembly, Resolve);
            }
            catch (InvalidOperationException)
            {
                // The program this source is compiled into has a resolver of its own, which then decides.
            }
        }

        private static IntPtr Resolve(string name, Assembly assembly, DllImportSearchPath? searchPath)
        {
            string path = Environment.GetEnvironmentVariable("IVF_LIBRARY");
            return name == "ivf" && !string.IsNullOrEmpty(path) ? NativeLibrary.Load(path) : IntPtr.Zero;
        }
#else
        private static void SetResolver()
        {
        }
#endif
    }
}

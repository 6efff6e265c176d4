using System;
using System.Runtime.InteropServices;

namespace Ivf
{
    /// <summary>A context's log on its way through native code.</summary>
    internal static unsafe class LogCall
    {
        // Made once and held for ever: native code must not outlive the delegates behind its pointers.
        private static readonly Native.ivf_log_fn TellDelegate = Tell;
        private static readonly Native.ivf_log_free_fn FreeDelegate = Free;
        private static readonly IntPtr TellPointer = Marshal.GetFunctionPointerForDelegate(TellDelegate);
        private static readonly IntPtr FreePointer = Marshal.GetFunctionPointerForDelegate(FreeDelegate);

        /// <summary>Fills the options' last three fields. The library frees what holds the log, also if it fails.</summary>
        internal static void Attach(Action<LogLevel, string> log, ref Native.ivf_context_options options)
        {
            if (log == null)
                return;
            options.log = TellPointer;
            options.log_data = (void*)GCHandle.ToIntPtr(GCHandle.Alloc(log));
            options.log_free = FreePointer;
        }

        [MonoPInvokeCallback(typeof(Native.ivf_log_fn))]
        private static void Tell(int level, byte* text, void* userData)
        {
            try
            {
                var log = (Action<LogLevel, string>)GCHandle.FromIntPtr((IntPtr)userData).Target;
                log((LogLevel)level, Text.Read(text));
            }
            catch (Exception)
            {
                // It must not cross native frames, and there is nobody to give it to.
            }
        }

        [MonoPInvokeCallback(typeof(Native.ivf_log_free_fn))]
        private static void Free(void* userData)
        {
            GCHandle.FromIntPtr((IntPtr)userData).Free();
        }
    }
}

using System;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using System.Threading;

namespace Ivf
{
    /// <summary>
    /// What goes along with one long call: its progress reports, its cancellation, and an exception on its way through native
    /// code. A call that has neither reports nor a token needs none, and <see cref="Begin"/> gives null.
    /// </summary>
    internal sealed unsafe class Call : IDisposable
    {
        // Made once and held for ever: native code must not outlive the delegate behind its pointer.
        private static readonly Native.ivf_progress_fn ReportDelegate = Report;
        private static readonly IntPtr ReportPointer = Marshal.GetFunctionPointerForDelegate(ReportDelegate);
        private static readonly Action<object> RaiseFlag = state => Volatile.Write(ref *((Call)state).cancel, 1);

        private readonly IProgress<ProgressInfo> progress;
        private readonly CancellationToken token;
        private CancellationTokenRegistration registration;
        private int* cancel;
        private GCHandle self;
        private ExceptionDispatchInfo thrown;

        private Call(IProgress<ProgressInfo> progress, CancellationToken token)
        {
            this.progress = progress;
            this.token = token;
            cancel = (int*)Marshal.AllocHGlobal(sizeof(int));
            *cancel = 0;
            if (progress != null)
                self = GCHandle.Alloc(this);
        }

        /// <summary>Throws if the token is already cancelled: what has not begun need not be stopped.</summary>
        internal static Call Begin(IProgress<ProgressInfo> progress, CancellationToken token)
        {
            if (token.IsCancellationRequested)
                throw new IvfCancelledException("cancelled before the call began", token);
            if (progress == null && !token.CanBeCanceled)
                return null;
            var call = new Call(progress, token);
            try
            {
                call.registration = token.Register(RaiseFlag, call);
                return call;
            }
            catch // a token whose source is disposed
            {
                call.Dispose();
                throw;
            }
        }

        /// <summary>Fills the three fields that the options struct of every long call has.</summary>
        internal static void Attach(Call call, ref IntPtr progress, ref void* data, ref int* cancel)
        {
            if (call == null)
                return;
            cancel = call.cancel;
            if (call.progress == null)
                return;
            progress = ReportPointer;
            data = (void*)GCHandle.ToIntPtr(call.self);
        }

        /// <summary>Throws what the progress reports threw, else what belongs to the status.</summary>
        internal static void End(Call call, int status)
        {
            if (call == null)
            {
                IvfException.Check(status);
                return;
            }
            if (call.thrown != null)
                call.thrown.Throw();
            IvfException.Check(status, call.token);
        }

        public void Dispose()
        {
            registration.Dispose(); // returns when RaiseFlag does not run any more, so that the flag can go
            if (self.IsAllocated)
                self.Free();
            Marshal.FreeHGlobal((IntPtr)cancel);
            cancel = null;
        }

        // On the thread that made the call. An exception must not cross native frames, so it ends the call and waits in
        // `thrown`.
        [MonoPInvokeCallback(typeof(Native.ivf_progress_fn))]
        private static int Report(Native.ivf_progress* progress, void* userData)
        {
            Call call = (Call)GCHandle.FromIntPtr((IntPtr)userData).Target;
            if (call.thrown != null)
                return 1;
            try
            {
                call.progress.Report(new ProgressInfo(progress));
                return call.token.IsCancellationRequested ? 1 : 0;
            }
            catch (Exception exception)
            {
                call.thrown = ExceptionDispatchInfo.Capture(exception);
                return 1;
            }
        }
    }
}

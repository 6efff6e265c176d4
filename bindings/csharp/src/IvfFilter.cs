using System;
using System.Runtime.InteropServices;

namespace Ivf
{
    /// <summary>
    /// A set of ids that a search may return, given to it by <see cref="SearchOptions.Filter"/>. It never changes; any number
    /// of calls and threads may use one at the same time. Filters made of others stay valid after those are disposed.
    /// </summary>
    public sealed class IvfFilter : IDisposable
    {
        private readonly FilterHandle handle = new FilterHandle();

        private IvfFilter(int status, IntPtr made)
        {
            IvfException.Check(status);
            handle.Own(made);
        }

        /// <summary>The ids from <paramref name="from"/> up to, but without, <paramref name="to"/>.</summary>
        public static unsafe IvfFilter OfRange(long from, long to)
        {
            IvfLibrary.Require();
            IntPtr made;
            int status = Native.ivf_filter_create_range(from, to, &made);
            return new IvfFilter(status, made);
        }

        /// <summary>The ids whose bit is set: id i is bit i % 8 (the lowest is 0) of byte i / 8.</summary>
        /// <param name="bits">[(n + 7) / 8] bytes, copied; ids beyond them do not pass.</param>
        public static unsafe IvfFilter OfBitmap(ReadOnlySpan<byte> bits)
        {
            IvfLibrary.Require();
            IntPtr made;
            int status;
            fixed (byte* bytes = &MemoryMarshal.GetReference(bits))
                status = Native.ivf_filter_create_bitmap(bytes, (ulong)bits.Length * 8, &made);
            return new IvfFilter(status, made);
        }

        /// <summary>These ids.</summary>
        /// <param name="ids">[n], in any order, copied.</param>
        public static unsafe IvfFilter OfIds(ReadOnlySpan<long> ids)
        {
            IvfLibrary.Require();
            IntPtr made;
            int status;
            fixed (long* numbers = &MemoryMarshal.GetReference(ids))
                status = Native.ivf_filter_create_ids(numbers, (ulong)ids.Length, &made);
            return new IvfFilter(status, made);
        }

        /// <summary>The ids that pass both.</summary>
        public unsafe IvfFilter And(IvfFilter other)
        {
            using (Borrowed a = handle.Borrow())
            using (Borrowed b = Required(other))
            {
                IntPtr made;
                int status = Native.ivf_filter_create_and(a.Pointer, b.Pointer, &made);
                return new IvfFilter(status, made);
            }
        }

        /// <summary>The ids that pass one of them or both.</summary>
        public unsafe IvfFilter Or(IvfFilter other)
        {
            using (Borrowed a = handle.Borrow())
            using (Borrowed b = Required(other))
            {
                IntPtr made;
                int status = Native.ivf_filter_create_or(a.Pointer, b.Pointer, &made);
                return new IvfFilter(status, made);
            }
        }

        /// <summary>The ids that do not pass this filter.</summary>
        public unsafe IvfFilter Not()
        {
            using (Borrowed a = handle.Borrow())
            {
                IntPtr made;
                int status = Native.ivf_filter_create_not(a.Pointer, &made);
                return new IvfFilter(status, made);
            }
        }

        /// <summary>Gives the filter back, once calls that use it have ended. A second time does nothing.</summary>
        public void Dispose()
        {
            handle.Dispose();
        }

        /// <summary>The handle for one call; NULL for null.</summary>
        internal static Borrowed Borrow(IvfFilter filter)
        {
            return filter == null ? default(Borrowed) : filter.handle.Borrow();
        }

        private static Borrowed Required(IvfFilter other)
        {
            if (other == null)
                throw new ArgumentNullException(nameof(other));
            return other.handle.Borrow();
        }
    }
}

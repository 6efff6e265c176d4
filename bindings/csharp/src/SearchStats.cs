using System;
using System.Runtime.InteropServices;

namespace Ivf
{
    /// <summary>
    /// What a search did, summed over its queries. Give one to <see cref="SearchOptions.Stats"/>; each search writes it anew,
    /// so that searches at the same time need one each.
    /// </summary>
    public sealed class SearchStats
    {
        // An array can be pinned for the time of a call.
        private readonly Native.ivf_search_stats[] numbers = new Native.ivf_search_stats[1];

        /// <summary>Queries answered.</summary>
        public long Queries => (long)numbers[0].queries;

        /// <summary>Lists visited that held anything to look at; of a flat index the one that it is.</summary>
        public long Lists => (long)numbers[0].lists;

        /// <summary>
        /// Vectors looked at in them, whether a filter let them pass or not. Removed ones do not count, nor what a budget or
        /// MaxCodes cut off.
        /// </summary>
        public long Codes => (long)numbers[0].codes;

        /// <summary>Time spent on making queries ready: widened, normalised, transformed.</summary>
        public TimeSpan Prepare => Span(numbers[0].prepare_ns);

        /// <summary>Time in which the lists were found; zero where a GPU finds and scans them at once, which
        /// <see cref="Scan"/> tells of.</summary>
        public TimeSpan Coarse => Span(numbers[0].coarse_ns);

        /// <summary>Time of the scan and of the selection.</summary>
        public TimeSpan Scan => Span(numbers[0].scan_ns);

        /// <summary>Time in which the best by their codes were compared again ("RFlat", "Refine(...)").</summary>
        public TimeSpan Refine => Span(numbers[0].refine_ns);

        private static TimeSpan Span(ulong nanoseconds)
        {
            return TimeSpan.FromTicks((long)(nanoseconds / 100));
        }

        internal unsafe GCHandle Pin()
        {
            numbers[0].struct_size = (uint)sizeof(Native.ivf_search_stats);
            return GCHandle.Alloc(numbers, GCHandleType.Pinned);
        }
    }

    /// <summary>What a search's options point at, held for the time of one call.</summary>
    internal readonly struct HeldOptions : IDisposable
    {
        private readonly Borrowed filter;
        private readonly GCHandle stats;

        internal HeldOptions(IvfFilter filter, SearchStats stats)
        {
            this.filter = IvfFilter.Borrow(filter);
            this.stats = stats == null ? default(GCHandle) : stats.Pin();
        }

        internal IntPtr Filter => filter.Pointer;

        internal unsafe Native.ivf_search_stats* Stats
        {
            get
            {
                GCHandle pinned = stats;
                return pinned.IsAllocated ? (Native.ivf_search_stats*)pinned.AddrOfPinnedObject() : null;
            }
        }

        public void Dispose()
        {
            filter.Dispose();
            GCHandle pinned = stats;
            if (pinned.IsAllocated)
                pinned.Free();
        }
    }
}

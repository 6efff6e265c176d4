using System;

namespace Ivf
{
    /// <summary>How a context is made.</summary>
    public sealed class ContextOptions
    {
        /// <summary>Threads that a call may use, its own included; 0 = one a core that this process may use.</summary>
        public int Threads { get; set; }

        /// <summary>null, "auto" (for each call what is faster), "cpu", "gpu", "gpu:1" (the second GPU), or part of a device's name.</summary>
        public string Device { get; set; }

        /// <summary>null = the best that the CPU has; "scalar", "avx2", "avx512" or "neon" for tests.</summary>
        public string Kernel { get; set; }

        /// <summary>Bytes that a GPU may be used for; 0 = four fifths of what it has. What does not fit is the CPU's.</summary>
        public long DeviceMemoryBytes { get; set; }

        /// <summary>
        /// Told what is worth a warning, on a thread that is within a call; null = nobody. Calls into an index fail with
        /// <see cref="IvfStateException"/> meanwhile, and an exception of its own is dropped. It is held until the context and
        /// all indexes made with it are gone.
        /// </summary>
        public Action<LogLevel, string> Log { get; set; }
    }

    /// <summary>How an index is made.</summary>
    public sealed class IndexOptions
    {
        /// <summary>How many lists a search looks into unless its options say; 0 = chosen from the number of lists.</summary>
        public int NProbe { get; set; }

        /// <summary>Whether ids given to Add may repeat; else they must be new.</summary>
        public bool AllowDuplicateIds { get; set; }

        /// <summary>
        /// How many times k candidates a search compares again unless its options say, behind a refinement ("RFlat"); 0 = chosen.
        /// </summary>
        public float KFactor { get; set; }

        /// <summary>How the vectors of a list are ordered.</summary>
        public ListOrder ListOrder { get; set; }

        /// <summary>
        /// Above 0: each vector is kept in a second list too (SOAR, Sun et al. 2023), so that a search of as many lists finds
        /// more; 0 = in its nearest list alone. The number is the paper's lambda, 1 is usual. It gains where vectors are
        /// clustered, as embeddings are, and loses where they are not; codes and ids are held twice, rows for a refinement
        /// once, and searches run on the CPU.
        /// </summary>
        public float Soar { get; set; }
    }

    /// <summary>How the vectors of a list are ordered.</summary>
    public enum ListOrder
    {
        /// <summary>As they are added.</summary>
        Added = 0,

        /// <summary>
        /// Those first that are likeliest to be results, the nearest to the list's centroid (of inner products the longest),
        /// kept up whenever vectors come or change: searches that look at the first of each list only (budgets, profiles)
        /// find more in as many; for cosine next to nothing. Adding costs more, the most where few vectors are added at a time.
        /// </summary>
        BestFirst = 1,
    }

    /// <summary>What the options of every long call have.</summary>
    public abstract class CallOptions
    {
        internal CallOptions()
        {
        }

        /// <summary>Threads of this call, at most the context's; 0 = all of them.</summary>
        public int Threads { get; set; }

        /// <summary>
        /// Told now and then how far the call is, on the thread that made it; null = nobody. <see cref="Progress{T}"/> passes
        /// the reports on to the thread of a user interface. Reports must not call into the index that is at work (such a
        /// call fails with <see cref="IvfStateException"/>). An exception of theirs cancels the call and leaves it as it is.
        /// </summary>
        public IProgress<ProgressInfo> Progress { get; set; }
    }

    /// <summary>How vectors are added.</summary>
    public sealed class AddOptions : CallOptions
    {
        internal static readonly AddOptions Default = new AddOptions();

        internal unsafe Native.ivf_add_options ToNative(Call call)
        {
            var native = new Native.ivf_add_options
            {
                struct_size = (uint)sizeof(Native.ivf_add_options),
                threads = Number.Unsigned(Threads, nameof(Threads)),
            };
            Call.Attach(call, ref native.progress, ref native.progress_data, ref native.cancel);
            return native;
        }
    }

    /// <summary>How a search goes.</summary>
    public sealed class SearchOptions : CallOptions
    {
        /// <summary>Lists to look into, nearest first; 0 = the index's default, more than there are = all.</summary>
        public int NProbe { get; set; }

        /// <summary>
        /// Instead of NProbe: the share of the true nearest that is to be found; 0 = not asked for. Wants the curve of
        /// <c>IvfIndex.Tune</c> for this k or a larger one.
        /// </summary>
        public float TargetRecall { get; set; }

        /// <summary>
        /// A query ends after this many vectors, in probe order, even in the middle of a list; 0 = no limit.
        /// </summary>
        public long MaxCodes { get; set; }

        /// <summary>
        /// The ids that may be returned; null = all. It applies inside the scan: k results come back whenever k vectors of the
        /// lists visited pass.
        /// </summary>
        public IvfFilter Filter { get; set; }

        /// <summary>A named set of the options below; what you set beside it replaces the profile's.</summary>
        public Profile Profile { get; set; }

        /// <summary>How a budget is shared out over the lists that a query visits.</summary>
        public Sharing BudgetSharing { get; set; }

        /// <summary>Vectors that a query looks at in all; 0 = by BudgetShare.</summary>
        public long BudgetCodes { get; set; }

        /// <summary>The same as a share of the vectors in the lists visited; 0 = the profile's.</summary>
        public float BudgetShare { get; set; }

        /// <summary>
        /// Whether lists are left out that would get less than 32 vectors, or less than ListMin; null = the profile's.
        /// </summary>
        public bool? DynamicNProbe { get; set; }

        /// <summary>Whether the budget is kept to the vector; null = the profile's.</summary>
        public bool? StrictBudget { get; set; }

        /// <summary>At least so many vectors of each list, as far as the budget goes.</summary>
        public int ListMin { get; set; }

        /// <summary>At most so many vectors of each list; 0 = no limit.</summary>
        public int ListMax { get; set; }

        /// <summary>
        /// How many times k candidates are compared again where the index string ends in a refinement such as "RFlat", at least
        /// 1; 0 = chosen by the code, infinity = all that the search looks at (the kept rows' own results), behind RaBitQ codes
        /// all that their error bound leaves in question (a few in 1000 results are missing). Elsewhere 0.
        /// </summary>
        public float KFactor { get; set; }

        /// <summary>
        /// Above 0: of its NProbe nearest lists a query visits the r-th only while r * exp(gap / ProbeScale) is at most
        /// 4 * NProbe, so that queries in the midst of a list visit few. The gap is how much farther that list is than the nearest, as a
        /// share of the nearest's squared distance; for inner products the difference over the query's length. 0 =
        /// every query visits NProbe lists. <c>IvfIndex.Tune</c> finds what is good.
        /// </summary>
        public float ProbeScale { get; set; }

        /// <summary>Receives what the search did; null = nobody wants to know, and nothing is counted.</summary>
        public SearchStats Stats { get; set; }

        internal static readonly SearchOptions Default = new SearchOptions();

        internal HeldOptions Hold()
        {
            return new HeldOptions(Filter, Stats);
        }

        private static int Switch(bool? on)
        {
            if (!on.HasValue)
                return Native.IVF_SWITCH_DEFAULT;
            return on.Value ? Native.IVF_SWITCH_ON : Native.IVF_SWITCH_OFF;
        }

        internal unsafe Native.ivf_search_options ToNative(Call call, HeldOptions held, long* hits)
        {
            var native = new Native.ivf_search_options
            {
                struct_size = (uint)sizeof(Native.ivf_search_options),
                threads = Number.Unsigned(Threads, nameof(Threads)),
                nprobe = Number.Unsigned(NProbe, nameof(NProbe)),
                target_recall = TargetRecall,
                max_codes = Number.Unsigned(MaxCodes, nameof(MaxCodes)),
                hits = (ulong*)hits,
                filter = held.Filter,
                profile = (int)Profile,
                budget_sharing = (int)BudgetSharing,
                budget_codes = Number.Unsigned(BudgetCodes, nameof(BudgetCodes)),
                budget_share = BudgetShare,
                dynamic_nprobe = Switch(DynamicNProbe),
                strict_budget = Switch(StrictBudget),
                list_min = Number.Unsigned(ListMin, nameof(ListMin)),
                list_max = Number.Unsigned(ListMax, nameof(ListMax)),
                k_factor = KFactor,
                probe_scale = ProbeScale,
                stats = held.Stats,
            };
            Call.Attach(call, ref native.progress, ref native.progress_data, ref native.cancel);
            return native;
        }
    }

    /// <summary>How a curve is measured.</summary>
    public sealed class TuneOptions : CallOptions
    {
        internal static readonly TuneOptions Default = new TuneOptions();

        internal unsafe Native.ivf_tune_options ToNative(Call call, long* truth)
        {
            var native = new Native.ivf_tune_options
            {
                struct_size = (uint)sizeof(Native.ivf_tune_options),
                threads = Number.Unsigned(Threads, nameof(Threads)),
                truth = truth,
            };
            Call.Attach(call, ref native.progress, ref native.progress_data, ref native.cancel);
            return native;
        }
    }

    /// <summary>A named set of budget options.</summary>
    public enum Profile
    {
        /// <summary>No budget.</summary>
        Default = 0,

        /// <summary>No budget: every vector of the lists visited is looked at.</summary>
        Exact = 1,

        /// <summary>The results of Exact, by whatever is fastest.</summary>
        Speed = 2,

        /// <summary>A quarter of the vectors in the lists visited.</summary>
        ApproxFast = 3,

        /// <summary>Half of them.</summary>
        ApproxBalanced = 4,

        /// <summary>Three quarters of them.</summary>
        ApproxQuality = 5,
    }

    /// <summary>How a budget is shared out over the lists that a query visits.</summary>
    public enum Sharing
    {
        /// <summary>
        /// Measured best: where lists are kept best first, weighted by distance for L2 and uniform for inner products, else in
        /// probe order.
        /// </summary>
        Default = 0,

        /// <summary>As many vectors of each list.</summary>
        Uniform = 1,

        /// <summary>More vectors of nearer lists.</summary>
        DistanceWeighted = 2,

        /// <summary>Nearest list first, each in full, until the budget is spent.</summary>
        ProbeOrder = 3,
    }

    /// <summary>How an index is saved or loaded.</summary>
    public sealed class IOOptions : CallOptions
    {
        /// <summary>
        /// Load only: map the lists into memory instead of reading them; the file must stay as it is while the index lives.
        /// </summary>
        public bool MemoryMap { get; set; }

        /// <summary>
        /// Load and Deserialize only: do not check the lists' checksums (the bytes must be your own).
        /// </summary>
        public bool SkipVerify { get; set; }

        internal static readonly IOOptions Default = new IOOptions();

        internal unsafe Native.ivf_io_options ToNative(Call call)
        {
            var native = new Native.ivf_io_options
            {
                struct_size = (uint)sizeof(Native.ivf_io_options),
                threads = Number.Unsigned(Threads, nameof(Threads)),
                memory_map = MemoryMap ? 1u : 0u,
                skip_verify = SkipVerify ? 1u : 0u,
            };
            Call.Attach(call, ref native.progress, ref native.progress_data, ref native.cancel);
            return native;
        }
    }
}

using System;
using System.Runtime.InteropServices;
using System.Threading;

namespace Ivf
{
    /// <summary>What <c>IvfIndex.Tune</c> chose.</summary>
    public struct Tuned
    {
        /// <summary>Lists that a search for this recall looks into, at most.</summary>
        public long NProbe { get; internal set; }

        /// <summary>The recall that the sample had so, or at the next point of the curve.</summary>
        public double Recall { get; internal set; }

        /// <summary>How many times k candidates it compares again; 0 without a refinement.</summary>
        public float KFactor { get; internal set; }

        /// <summary>By what its queries visit fewer lists, see SearchOptions.ProbeScale; 0 = none does.</summary>
        public float ProbeScale { get; internal set; }
    }

    /// <summary>Recall against cost, as <c>IvfIndex.Tune</c> measured it.</summary>
    public sealed class RecallCurve
    {
        internal RecallCurve(in Native.ivf_curve_info info)
        {
            K = (int)info.k;
            Queries = (long)info.queries;
            Count = (long)info.count;
            Changed = (long)info.changed;
            Stale = info.stale != 0;
            NProbe = new ulong[info.points];
            Recall = new double[info.points];
            Low = new double[info.points];
            Cost = new double[info.points];
            KFactor = new float[info.points];
            ProbeScale = new float[info.points];
        }

        /// <summary>The k nearest that recall counts.</summary>
        public int K { get; }

        /// <summary>Sample queries.</summary>
        public long Queries { get; }

        /// <summary>Vectors that the index held.</summary>
        public long Count { get; }

        /// <summary>Vectors added or removed since.</summary>
        public long Changed { get; }

        /// <summary>Whether these are so many that searches by recall fail until Tune measures again.</summary>
        public bool Stale { get; }

        /// <summary>[points]: lists looked into at most, never fewer than before.</summary>
        public ulong[] NProbe { get; }

        /// <summary>[points]: the share of the true nearest that the sample found.</summary>
        public double[] Recall { get; }

        /// <summary>[points]: what other queries' recall is at least, with 95 % confidence.</summary>
        public double[] Low { get; }

        /// <summary>[points]: vectors compared with a query on average, centroids included.</summary>
        public double[] Cost { get; }

        /// <summary>[points]: how many times k candidates were compared again; 0 without a refinement.</summary>
        public float[] KFactor { get; }

        /// <summary>[points]: by what queries visited fewer lists than NProbe; 0 = none did.</summary>
        public float[] ProbeScale { get; }
    }

    public sealed partial class IvfIndex
    {
        /// <summary>
        /// Measures what recall how many lists give, on sample queries; <see cref="SearchOptions.TargetRecall"/> then
        /// chooses by the curve, which the index keeps and saves.
        /// </summary>
        /// <param name="queries">[n, dim], row-major: like those to come, and not among the vectors.</param>
        /// <param name="k">The nearest that recall counts.</param>
        /// <param name="recall">The share of them wanted, above 0; 1 = all.</param>
        /// <param name="truth">[n, k]: ids of the true nearest, -1 for none; empty = found by an exhaustive search.</param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="cancellationToken">Ends the call; the old curve stays.</param>
        /// <exception cref="ArgumentException">Another number of ids than n * k.</exception>
        /// <exception cref="IvfStateException">
        /// A flat index without a refinement, an empty one, or nothing that reaches the recall.
        /// </exception>
        /// <exception cref="IvfCancelledException">The token was cancelled.</exception>
        public unsafe Tuned Tune(
            Rows queries, int k, double recall, ReadOnlySpan<long> truth = default(ReadOnlySpan<long>),
            TuneOptions options = null, CancellationToken cancellationToken = default(CancellationToken))
        {
            ulong n = queries.Count(Dim, out uint dim);
            uint results = Number.Unsigned(k, nameof(k));
            if (truth.Length != 0 && (ulong)truth.Length != n * results)
                throw new ArgumentException("expected " + n * results + " ids, got " + truth.Length, nameof(truth));
            options = options ?? TuneOptions.Default;
            using (Call call = Call.Begin(options.Progress, cancellationToken))
            using (Borrowed self = handle.Borrow())
            fixed (long* known = &MemoryMarshal.GetReference(truth))
            fixed (float* data = &queries.First)
            {
                var native = options.ToNative(call, truth.Length == 0 ? null : known);
                var result = new Native.ivf_tune_result { struct_size = (uint)sizeof(Native.ivf_tune_result) };
                Call.End(call, Native.ivf_tune(self.Pointer, data, n, dim, results, recall, &native, &result));
                return new Tuned
                {
                    NProbe = (long)result.nprobe, Recall = result.recall, KFactor = result.k_factor,
                    ProbeScale = result.probe_scale,
                };
            }
        }

        /// <summary>The curve that Tune measured last; null before, and after training or Reset.</summary>
        public unsafe RecallCurve Curve
        {
            get
            {
                using (Borrowed self = handle.Borrow())
                {
                    var info = new Native.ivf_curve_info { struct_size = (uint)sizeof(Native.ivf_curve_info) };
                    IvfException.Check(Native.ivf_tune_curve(self.Pointer, &info, null, null, null, null, 0));
                    if (info.points == 0)
                        return null;
                    var curve = new RecallCurve(info);
                    fixed (ulong* nprobe = curve.NProbe)
                    fixed (double* recall = curve.Recall)
                    fixed (double* low = curve.Low)
                    fixed (double* cost = curve.Cost)
                        IvfException.Check(Native.ivf_tune_curve(
                            self.Pointer, &info, nprobe, recall, low, cost, (ulong)curve.Cost.Length));
                    fixed (float* factor = curve.KFactor)
                        IvfException.Check(Native.ivf_tune_curve_k_factor(
                            self.Pointer, factor, (ulong)curve.KFactor.Length));
                    fixed (float* scale = curve.ProbeScale)
                        IvfException.Check(Native.ivf_tune_curve_probe_scale(
                            self.Pointer, scale, (ulong)curve.ProbeScale.Length));
                    return curve;
                }
            }
        }
    }
}

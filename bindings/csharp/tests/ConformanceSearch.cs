using System;
using System.Linq;

namespace Ivf.Tests
{
    /// <summary>The searches of a case, and what they say of themselves.</summary>
    internal sealed partial class Conformance
    {
        private static readonly string[] Profiles = { "", "exact", "speed", "approx_fast", "approx_balanced", "approx_quality" };
        private static readonly string[] ListOrders = { "", "best_first" };
        private static readonly string[] Sharings = { "", "uniform", "distance_weighted", "probe_order" };

        private static int K(Json step)
        {
            return (int)step["k"].Integer;
        }

        /// <summary>What a step sets; the lists of a preassigned search count as no nprobe.</summary>
        private SearchOptions OptionsOf(Json step)
        {
            return new SearchOptions
            {
                NProbe = step["lists"] == null ? Number(step, "nprobe") : 0,
                MaxCodes = step["max_codes"]?.Integer ?? 0,
                Profile = (Profile)Place(Profiles, step["profile"]),
                BudgetSharing = (Sharing)Place(Sharings, step["sharing"]),
                BudgetCodes = step["budget_codes"]?.Integer ?? 0,
                BudgetShare = Float(step, "budget_share"),
                DynamicNProbe = Switch(step["dynamic_nprobe"]),
                StrictBudget = Switch(step["strict_budget"]),
                ListMin = Number(step, "list_min"),
                ListMax = Number(step, "list_max"),
                KFactor = Float(step, "k_factor"),
                ProbeScale = Float(step, "probe_scale"),
                TargetRecall = Float(step, "target_recall"),
                Filter = step["filter"] == null ? null : FilterOf(step["filter"]),
                Stats = step["stats"] == null ? null : new SearchStats(),
            };
        }

        /// <summary>The filter that a step's member describes; the case disposes it.</summary>
        private IvfFilter FilterOf(Json member)
        {
            string name = member.Members.Keys.Single();
            Json of = member[name];
            IvfFilter filter;
            switch (name)
            {
                case "ids": filter = IvfFilter.OfIds(Integers(member, name)); break;
                case "range": filter = IvfFilter.OfRange(of.Items[0].Integer, of.Items[1].Integer); break;
                case "bitmap": filter = IvfFilter.OfBitmap(Integers(member, name).Select(value => (byte)value).ToArray()); break;
                case "and": filter = FilterOf(of.Items[0]).And(FilterOf(of.Items[1])); break;
                case "or": filter = FilterOf(of.Items[0]).Or(FilterOf(of.Items[1])); break;
                case "not": filter = FilterOf(of).Not(); break;
                default: throw new Exception("unknown filter " + name);
            }
            filters.Add(filter);
            return filter;
        }

        private static int Place(string[] names, Json name)
        {
            int place = name == null ? 0 : Array.IndexOf(names, name.Text);
            Check.True(place >= 0, "a known name");
            return place;
        }

        private static bool? Switch(Json on)
        {
            return on == null ? (bool?)null : on.Integer != 0;
        }

        private static int Number(Json step, string key)
        {
            return (int)Math.Min(step[key]?.Integer ?? 0, int.MaxValue);
        }

        private float Float(Json step, string key)
        {
            return step[key] == null ? 0 : FloatOf(step[key]);
        }

        private void Search(Json step)
        {
            SearchOptions options = OptionsOf(step);
            Neighbors found = step["lists"] == null
                ? index.Search(RowsOf(step), K(step), options)
                : index.SearchPreassigned(RowsOf(step), K(step), Integers(step, "lists"), Number(step, "nprobe"), options);
            ExpectFound(step, found, options);
        }

        private void SearchAndReconstruct(Json step)
        {
            SearchOptions options = OptionsOf(step);
            Neighbors found = index.SearchAndReconstruct(RowsOf(step), K(step), out float[] vectors, options);
            ExpectFound(step, found, options);
            Check.Close(Floats(step, "vectors"), vectors, "vectors");
        }

        private void RangeSearch(Json step)
        {
            ExpectRange(step, index.RangeSearch(RowsOf(step), FloatOf(step["radius"]), OptionsOf(step)));
        }

        private void ExpectRange(Json step, RangeNeighbors found)
        {
            Check.Sequence(Integers(step, "offsets"), found.Offsets, "offsets");
            Check.Sequence(Integers(step, "ids"), found.Ids, "ids");
            Check.Close(Floats(step, "distances"), found.Distances, "distances");
        }

        private void ExpectFound(Json step, Neighbors found, SearchOptions options)
        {
            if (step["ids"] != null)
                Check.Sequence(Integers(step, "ids"), found.Ids, "ids");
            if (step["distances"] != null)
                Check.Close(Floats(step, "distances"), found.Distances, "distances");
            if (step["hits"] != null)
                Check.Sequence(Integers(step, "hits"), found.Hits, "hits");
            SearchStats stats = options.Stats;
            if (stats != null)
                Check.Sequence(Integers(step, "stats"), new[] { stats.Queries, stats.Lists, stats.Codes }, "stats");
        }

        private void Tune(Json step)
        {
            ExpectTuned(step, index.Tune(RowsOf(step), K(step), step["recall"].Number, Integers(step, "truth")));
        }

        private void ExpectTuned(Json step, Tuned tuned)
        {
            Check.Equal(step["nprobe"].Integer, tuned.NProbe, "nprobe");
            float[] got = { (float)tuned.Recall, tuned.KFactor, tuned.ProbeScale };
            Check.Close(new[] { "reached", "k_factor", "probe_scale" }.Select(key => FloatOf(step[key])).ToArray(), got, "tuned");
        }

        private void ExpectCurve(Json step, RecallCurve curve)
        {
            long[] about = Integers(step, "about");
            if (curve == null)
            {
                Check.True(about.All(number => number == 0), "a curve");
                return;
            }
            long stale = curve.Stale ? 1 : 0;
            Check.Sequence(about, new[] { curve.K, curve.Queries, curve.Count, curve.Changed, stale }, "about");
            Check.Sequence(Integers(step, "nprobe"), curve.NProbe.Select(lists => (long)lists).ToArray(), "nprobe");
            Check.Close(Floats(step, "recall"), Narrow(curve.Recall), "recall");
            Check.Close(Floats(step, "low"), Narrow(curve.Low), "low");
            Check.Close(Floats(step, "cost"), Narrow(curve.Cost), "cost");
            Check.Close(Floats(step, "k_factor"), curve.KFactor, "k_factor");
            Check.Close(Floats(step, "probe_scale"), curve.ProbeScale, "probe_scale");
        }

        private static float[] Narrow(double[] values)
        {
            return values.Select(value => (float)value).ToArray();
        }
    }
}

using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;

namespace Ivf.Tests
{
    /// <summary>
    /// The cases that every language passes, tests/conformance.json, and those of this binding in cases.json beside this file.
    /// </summary>
    internal sealed partial class Conformance : IDisposable
    {
        private readonly Metric metric;
        private readonly int dim;
        private readonly List<IvfFilter> filters = new List<IvfFilter>();
        private IvfIndex index;

        internal static void RunAll(Action<string, Action> run)
        {
            string here = Path.Combine(Program.Root, "bindings/csharp/tests/cases.json");
            string shared = Path.Combine(Program.Root, "tests/conformance.json");
            foreach (string path in new[] { here, shared })
            {
                Json file = Json.Parse(File.ReadAllText(path));
                Check.Equal(1, file["format"].Integer, "format of " + path);
                foreach (Json one in file["cases"].Items)
                    run("conformance " + one["name"].Text, () => RunCase(one));
            }
        }

        private static void RunCase(Json one)
        {
            string expected = one["create_status"]?.Text;
            string got = null;
            try
            {
                using (var running = new Conformance(one))
                {
                    int number = 0;
                    foreach (Json step in one["steps"]?.Items ?? new List<Json>())
                        running.RunStep(step, number++);
                }
            }
            catch (IvfException exception) when (expected != null)
            {
                got = exception.StatusName;
            }
            Check.Equal(expected, got, "create_status");
        }

        private Conformance(Json one)
        {
            string name = one["metric"].Text;
            metric = name == "l2" ? Metric.L2 : name == "ip" ? Metric.InnerProduct : Metric.Cosine;
            Check.True(metric != Metric.Cosine || name == "cosine", "a metric, got " + name);
            dim = (int)one["dim"].Integer;
            var options = new IndexOptions
            {
                AllowDuplicateIds = (one["allow_duplicate_ids"]?.Integer ?? 0) != 0,
                ListOrder = (ListOrder)Place(ListOrders, one["list_order"]),
            };
            index = new IvfIndex(dim, one["index"].Text, metric, options);
        }

        public void Dispose()
        {
            index.Dispose();
            foreach (IvfFilter filter in filters)
                filter.Dispose();
        }

        private void RunStep(Json step, int number)
        {
            string op = step["op"].Text;
            string expected = step["status"]?.Text;
            byte[] before = expected == null ? null : index.Serialize();
            try
            {
                Do(step, op);
                Check.Equal(expected, null, "status");
            }
            catch (IvfException exception) when (expected != null)
            {
                Check.Equal(expected, exception.StatusName, "status");
                string text = step["error"]?.Text ?? "";
                Check.True(exception.Message.Contains(text), "\"" + text + "\" in \"" + exception.Message + "\"");
                Check.True(index.Serialize().AsSpan().SequenceEqual(before), "a failed call to change nothing");
            }
            catch (Exception exception)
            {
                throw new Exception("step " + number + ", " + op + ": " + exception.Message, exception);
            }
        }

        private void Do(Json step, string op)
        {
            switch (op)
            {
                case "set_centroids": index.SetCentroids(RowsOf(step)); break;
                case "train": index.Train(RowsOf(step)); break;
                case "add": Add(step); break;
                case "remove": Check.Equal(step["removed"]?.Integer ?? 0, index.Remove(Integers(step, "ids")), "removed"); break;
                case "update": index.Update(Integers(step, "ids"), RowsOf(step)); break;
                case "remove_range": RemoveRange(step); break;
                case "ids": Check.Sequence(Integers(step, "ids"), index.Ids(), "ids"); break;
                case "reconstruct_range":
                    Check.Close(
                        Floats(step, "x"), index.ReconstructRange(step["first"].Integer, (int)step["count"].Integer), "x");
                    break;
                case "merge_copy": MergeCopy(step); break;
                case "clone": GoOnWith(index.Clone()); break;
                case "reset": index.Reset(); break;
                case "compact": index.Compact(); break;
                case "search":
                case "search_preassigned": Search(step); break;
                case "range_search": RangeSearch(step); break;
                case "search_and_reconstruct": SearchAndReconstruct(step); break;
                case "query_expansion":
                    Check.Close(
                        Floats(step, "out"),
                        index.QueryExpansion(RowsOf(step), K(step), FloatOf(step["alpha"]), OptionsOf(step)), "out");
                    break;
                case "blend":
                    Check.Close(
                        Floats(step, "out"),
                        index.Blend(
                            RowsOf(step), K(step), FloatOf(step["power"]), FloatOf(step["ratio"]), OptionsOf(step)), "out");
                    break;
                case "tune": Tune(step); break;
                case "curve": ExpectCurve(step, index.Curve); break;
                case "check": CheckDamaged(step); break;
                case "kmeans": ExpectClusters(step, KMeans.Fit(Floats(step, "x"), dim, K(step), KMeansOptionsOf(step))); break;
                case "kmeans_typed": ExpectClusters(step, KMeans.Fit(TypedOf(step), K(step), KMeansOptionsOf(step))); break;
                case "knn":
                case "knn_typed": Nearest(step, step["base"]); break;
                case "centroids": Check.Close(Floats(step, "x"), index.Centroids(), "x"); break;
                case "add_file": FromFile(step, path => index.AddFile(path)); break;
                case "build_file": FromFile(step, path => index.BuildFile(path)); break;
                case "reconstruct": Check.Close(Floats(step, "x"), index.Reconstruct(Integers(step, "ids")), "x"); break;
                case "info": ExpectInfo(step, index.Info); break;
                case "list_sizes": Check.Sequence(Integers(step, "sizes"), index.ListSizes(), "sizes"); break;
                case "describe": Check.Equal(step["text"].Text, index.Describe(), "text"); break;
                case "reload": GoOnWith(IvfIndex.Deserialize(index.Serialize())); break;
                case "save_load": ThroughFile(path => index.Save(path)); break;
                case "map_load": ThroughFile(path => index.Save(path), new IOOptions { MemoryMap = true }); break;
                case "stream_load": ThroughStream(); break;
                case "export_faiss_load": ThroughFile(path => index.ExportFaiss(path)); break;
                default: DoTyped(step, op); break;
            }
        }

        private void Add(Json step)
        {
            if (step["ids"] == null)
                index.Add(RowsOf(step));
            else
                index.Add(RowsOf(step), Integers(step, "ids"));
        }

        private void RemoveRange(Json step)
        {
            using (IvfFilter filter = IvfFilter.OfRange(step["first"].Integer, step["end"].Integer))
                Check.Equal(step["removed"].Integer, index.Remove(filter), "removed");
        }

        private void MergeCopy(Json step)
        {
            using (IvfIndex copy = index.Clone())
            {
                long merged = index.Merge(copy, step["add_id"].Integer);
                Check.Equal(step["merged"].Integer, merged, "merged");
            }
        }

        private static void ExpectInfo(Json step, IndexInfo info)
        {
            var got = new Dictionary<string, long>
            {
                { "dim", info.Dim }, { "trained", info.IsTrained ? 1 : 0 }, { "count", info.Count }, { "nlist", info.NList },
                { "nprobe", info.NProbe }, { "dead", info.Dead }, { "next_id", info.NextId }, { "is_ivf", info.IsIvf ? 1 : 0 },
            };
            foreach (KeyValuePair<string, Json> member in step.Members)
                if (member.Key != "op")
                    Check.Equal(member.Value.Integer, got[member.Key], member.Key);
        }

        private void GoOnWith(IvfIndex copy)
        {
            index.Dispose();
            index = copy;
        }

        private Rows RowsOf(Json step)
        {
            return new Rows(Floats(step, "x"), (int)(step["dim"]?.Integer ?? dim));
        }

        private float[] Floats(Json step, string key)
        {
            return (step[key]?.Items ?? new List<Json>()).Select(FloatOf).ToArray();
        }

        private float FloatOf(Json value)
        {
            switch (value.IsString ? value.Text : "")
            {
                case "": return (float)double.Parse(value.Text, CultureInfo.InvariantCulture);
                case "nan": return float.NaN;
                case "inf": return float.PositiveInfinity;
                case "-inf": return float.NegativeInfinity;
                case "worst": return metric == Metric.L2 ? float.PositiveInfinity : float.NegativeInfinity;
                default: throw new Exception("expected a number, got " + value.Text);
            }
        }

        private static long[] Integers(Json step, string key)
        {
            return (step[key]?.Items ?? new List<Json>()).Select(value => value.Integer).ToArray();
        }
    }
}

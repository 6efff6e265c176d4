using System;
using System.Linq;

namespace Ivf.Tests
{
    /// <summary>The calls of a case whose rows are of another type than float.</summary>
    internal sealed partial class Conformance
    {
        private void DoTyped(Json step, string op)
        {
            Neighbors found;
            switch (op)
            {
                case "train_typed": index.Train(TypedOf(step)); break;
                case "add_typed": AddTyped(step); break;
                case "update_typed": index.Update(Integers(step, "ids"), TypedOf(step)); break;
                case "search_typed": ExpectFound(step, index.Search(TypedOf(step), K(step), OptionsOf(step)), NoStats); break;
                case "search_preassigned_typed":
                    found = index.SearchPreassigned(
                        TypedOf(step), K(step), Integers(step, "lists"), Number(step, "nprobe"), OptionsOf(step));
                    ExpectFound(step, found, NoStats);
                    break;
                case "search_and_reconstruct_typed":
                    found = index.SearchAndReconstruct(TypedOf(step), K(step), out float[] vectors, OptionsOf(step));
                    ExpectFound(step, found, NoStats);
                    Check.Close(Floats(step, "vectors"), vectors, "vectors");
                    break;
                case "range_search_typed":
                    ExpectRange(step, index.RangeSearch(TypedOf(step), FloatOf(step["radius"]), OptionsOf(step)));
                    break;
                case "query_expansion_typed":
                    Check.Close(
                        Floats(step, "out"),
                        index.QueryExpansion(TypedOf(step), K(step), FloatOf(step["alpha"]), OptionsOf(step)), "out");
                    break;
                case "blend_typed":
                    Check.Close(
                        Floats(step, "out"),
                        index.Blend(
                            TypedOf(step), K(step), FloatOf(step["power"]), FloatOf(step["ratio"]), OptionsOf(step)), "out");
                    break;
                case "tune_typed":
                    ExpectTuned(step, index.Tune(TypedOf(step), K(step), step["recall"].Number));
                    break;
                default: throw new Exception("unknown op");
            }
        }

        private static readonly SearchOptions NoStats = new SearchOptions();

        private void AddTyped(Json step)
        {
            if (step["ids"] == null)
                index.Add(TypedOf(step));
            else
                index.Add(TypedOf(step), Integers(step, "ids"));
        }

        private TypedRows TypedOf(Json step)
        {
            long[] bits = Integers(step, "bits");
            switch (step["element"].Text)
            {
                case "f16": return TypedRows.OfFloat16(bits.Select(value => (ushort)value).ToArray(), dim);
                case "bf16": return TypedRows.OfBFloat16(bits.Select(value => (ushort)value).ToArray(), dim);
                case "u8": return new TypedRows(bits.Select(value => (byte)value).ToArray(), dim);
                default: throw new Exception("unknown element");
            }
        }
    }
}

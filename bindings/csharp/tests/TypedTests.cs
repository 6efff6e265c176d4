using System;
using System.Linq;

namespace Ivf.Tests
{
    /// <summary>Rows of other types than float: the same results as the same values as float.</summary>
    public static class TypedTests
    {
        private const int Dim = 8;
        private static readonly byte[] Bytes = Data.Random(400, Dim).Select(v => (byte)(v * 127 + 128)).ToArray();
        private static readonly float[] Floats = Bytes.Select(v => (float)v).ToArray();

        private static void Equal(Neighbors expected, Neighbors got)
        {
            Check.Sequence(expected.Ids, got.Ids, "ids");
            Check.Sequence(expected.Distances, got.Distances, "distances");
            Check.Sequence(expected.Hits, got.Hits, "hits");
        }

        public static void Index_OfBytes_IsThatOfFloats()
        {
            using (var index = new IvfIndex(Dim, "IVF16,Flat"))
            using (IvfIndex wide = Data.Trained(Floats, Dim))
            {
                index.Train(Bytes);
                index.Add(Bytes);
                Check.Sequence(wide.Serialize(), index.Serialize(), "bytes");
                Equal(wide.Search(Floats, 5), index.Search(Bytes, 5));
                RangeNeighbors expected = wide.RangeSearch(Floats, 9000), got = index.RangeSearch(Bytes, 9000);
                Check.True(expected.IdsOf(3).Length > 0, "a hit");
                Check.Sequence(expected.IdsOf(3).ToArray(), got.IdsOf(3).ToArray(), "range");
                long[] lists = Enumerable.Repeat(2L, 400).ToArray();
                Equal(wide.SearchPreassigned(Floats, 3, lists, 1), index.SearchPreassigned(Bytes, 3, lists, 1));
                Check.Throws<ArgumentException>(() => index.SearchPreassigned(Bytes, 3, lists, 2), "expected 800 lists, got 400");
                Equal(
                    wide.SearchAndReconstruct(Floats, 3, out float[] vectors),
                    index.SearchAndReconstruct(Bytes, 3, out float[] same));
                Check.Sequence(vectors, same, "vectors");
                Check.Sequence(wide.QueryExpansion(Floats, 3), index.QueryExpansion(Bytes, 3), "expanded");
                Check.Sequence(wide.Blend(Floats, 3, 2, 0.5f), index.Blend(Bytes, 3, 2, 0.5f), "blended");
                Check.Equal(wide.Tune(Floats, 3, 0.9).NProbe, index.Tune(Bytes, 3, 0.9).NProbe, "lists");
                Check.Throws<ArgumentException>(() => index.Tune(Bytes, 3, 0.9, new[] { 1L }), "expected 1200 ids, got 1");
                index.Update(new[] { 7L, 3L }, Bytes.Take(2 * Dim).ToArray());
                wide.Update(new[] { 7L, 3L }, Floats.Take(2 * Dim).ToArray());
                Check.Sequence(wide.Serialize(), index.Serialize(), "updated");
                Check.Throws<ArgumentException>(() => index.Update(new[] { 1L }, Bytes), "expected 400 ids, got 1");
                index.Add(new TypedRows(new byte[Dim], Dim), new[] { 4000L });
                Check.Equal(4001L, index.Info.NextId, "next id");
                Check.Throws<ArgumentException>(() => index.Add(Bytes, new[] { 1L }), "expected 400 ids, got 1");
                Check.Throws<IvfDimensionException>(() => index.Add(new TypedRows(Bytes, 16)), "expected 8 columns, got 16");
            }
        }

        /// <summary>Multiples of 1/8 below 16, which both half types hold.</summary>
        private static readonly float[] Short = Bytes.Select(v => (v >> 3) / 8f).ToArray();

        private static readonly ushort[] Brain =
            Short.Select(v => (ushort)(BitConverter.ToUInt32(BitConverter.GetBytes(v), 0) >> 16)).ToArray();

        /// <summary>Of a float that float16 holds without subnormals.</summary>
        private static ushort HalfBits(float value)
        {
            uint bits = BitConverter.ToUInt32(BitConverter.GetBytes(value), 0);
            return value == 0 ? (ushort)0 : (ushort)((bits >> 16 & 0x8000) | (((bits >> 23 & 0xff) - 112) << 10) | (bits >> 13 & 0x3ff));
        }

        public static void Rows_OfHalves_AreTheirValues()
        {
            ushort[] half = Short.Select(HalfBits).ToArray();
            using (var index = new IvfIndex(Dim, "Flat", Metric.L2))
            {
                index.Add(TypedRows.OfFloat16(half));
                index.Add(TypedRows.OfBFloat16(Brain, Dim));
                var again = new float[Dim];
                foreach (long id in new[] { 7L, 407L })
                {
                    index.Reconstruct(new[] { id }, again);
                    Check.Sequence(Data.Row(Short, Dim, 7), again, "vector " + id);
                }
                Equal(index.Search(Short, 3), index.Search(TypedRows.OfBFloat16(Brain), 3));
#if NET5_0_OR_GREATER
                Half[] halves = Short.Select(v => (Half)v).ToArray();
                Equal(index.Search(Short, 3), index.Search(halves, 3));
                Equal(index.Search(Short, 3), index.Search(new TypedRows(halves, Dim), 3));
#endif
            }
        }

        public static void Functions_OfBytes_AreThoseOfFloats()
        {
            KMeans expected = KMeans.Fit(Floats, Dim, 6), got = KMeans.Fit(new TypedRows(Bytes, Dim), 6);
            Check.Sequence(expected.Centroids, got.Centroids, "centroids");
            Check.Sequence(expected.Labels, got.Labels, "labels");
            Equal(Knn.Search(Floats, Floats, Dim, 4), Knn.Search(Bytes, new TypedRows(Bytes, Dim), 4));
        }

        public static void Rows_ThatAreNotFinite_AreRefused()
        {
            using (var index = new IvfIndex(Dim, "Flat", Metric.L2))
            {
                ushort[] infinite = Enumerable.Repeat((ushort)0x7c00, Dim).ToArray();
                Check.Throws<IvfNotFiniteException>(() => index.Add(TypedRows.OfFloat16(infinite)), "row 0");
            }
        }
    }
}

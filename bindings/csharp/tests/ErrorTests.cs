using System;
using System.Linq;
using System.Threading;

namespace Ivf.Tests
{
    /// <summary>Every failure is an exception of its own that says what was expected and what came.</summary>
    public static class ErrorTests
    {
        private const int Dim = 4;

        public static void Exceptions_EveryStatus_HasAClassOfItsOwn()
        {
            var types = Enum.GetValues(typeof(Status)).Cast<Status>().Where(status => status != Status.Ok).Select(status =>
            {
                Exception exception = IvfException.Of(status, "text", CancellationToken.None);
                Check.Equal("text", exception.Message, "message of " + status);
                if (status == Status.Cancelled)
                {
                    Check.Equal(status, ((IvfCancelledException)exception).Status, "status");
                }
                else
                {
                    Check.Equal(status, ((IvfException)exception).Status, "status");
                    Check.Equal("IVF_E_", ((IvfException)exception).StatusName.Substring(0, 6), "name");
                    Check.Equal("Ivf" + (status == Status.Io ? "IO" : status.ToString()) + "Exception", exception.GetType().Name, "class");
                }
                return exception.GetType();
            }).ToList();
            Check.Equal(types.Count, types.Distinct().Count(), "classes");
        }

        public static void Exceptions_UnknownStatus_IsTheBaseClass()
        {
            Exception exception = IvfException.Of((Status)9999, "text", CancellationToken.None);
            Check.Equal(typeof(IvfException), exception.GetType(), "class");
            Check.Equal("IVF_E_UNKNOWN", ((IvfException)exception).StatusName, "name");
        }

        public static void Create_BadArguments_AreRefused()
        {
            Check.Throws<IvfArgumentException>(() => new IvfIndex(0, "Flat"));
            Check.Throws<IvfArgumentException>(() => new IvfIndex(Dim, "Flat", (Metric)77), "77");
            Check.Throws<IvfDescriptionException>(() => new IvfIndex(Dim, "IVF4,Flatt"), "Flatt");
            Check.Throws<ArgumentOutOfRangeException>(() => new IvfIndex(-1, "Flat"), "got -1");
            Check.Throws<ArgumentNullException>(() => new IvfIndex(Dim, null));
            Check.Throws<ArgumentException>(() => new IvfIndex(Dim, "Flat\0junk"), "NUL");
            Check.Throws<ArgumentOutOfRangeException>(() => new IvfIndex(Dim, "Flat", Metric.L2, new IndexOptions { NProbe = -1 }));
        }

        public static void Rows_AnotherWidth_IsRefused()
        {
            using (var index = new IvfIndex(Dim, "Flat"))
            {
                // 12 numbers are whole rows of 4, too: only the width that is told can show the mistake.
                var x = new float[12];
                Check.Throws<IvfDimensionException>(() => index.Add(new Rows(x, 6)), "expected 4 columns, got 6");
                Check.Throws<IvfDimensionException>(() => index.Search(new Rows(x, 3), 1), "expected 4 columns, got 3");
                Check.Throws<IvfDimensionException>(() => index.Add(new float[10]), "expected rows of 4 columns, got 10 numbers");
                Check.Throws<ArgumentOutOfRangeException>(() => index.Add(new Rows(x, -4)));
                Check.Equal(0, index.Count, "count");
            }
        }

        public static void Add_BadRows_AddsNothing()
        {
            using (var index = new IvfIndex(Dim, "Flat"))
            {
                index.Add(new float[Dim], new[] { 3L });
                Check.Throws<IvfNotFiniteException>(() => index.Add(new[] { 1, 2, 3, 4, 5, float.NaN, 7, 8 }), "row 1");
                Check.Throws<IvfDuplicateIdException>(() => index.Add(new float[2 * Dim], new[] { 4L, 3L }), "3");
                Check.Throws<IvfArgumentException>(() => index.Add(new float[Dim], new[] { -5L }), "-5");
                Check.Throws<ArgumentException>(() => index.Add(new float[2 * Dim], new[] { 9L }), "expected 2 ids, got 1");
                Check.Throws<ArgumentException>(() => index.Add(new float[Dim], new long[0]), "expected 1 ids, got 0");
                Check.Equal(1, index.Count, "count");
            }
        }

        public static void Calls_OutOfOrder_AreRefused()
        {
            using (var index = new IvfIndex(Dim, "IVF4,Flat"))
            {
                Check.Throws<IvfNotTrainedException>(() => index.Add(new float[Dim]));
                Check.Throws<IvfNotTrainedException>(() => index.Search(new float[Dim], 1));
                Check.Throws<IvfNotTrainedException>(() => index.Centroids());
                Check.Throws<IvfTooFewPointsException>(() => index.Train(new float[3 * Dim]), "3");
                Check.Throws<IvfArgumentException>(() => index.SetCentroids(new float[3 * Dim]));
                index.Train(Data.Random(100, Dim));
                index.Add(Data.Random(10, Dim));
                Check.Throws<IvfStateException>(() => index.Train(Data.Random(100, Dim)));
                Check.Throws<IvfNotFoundException>(() => index.Reconstruct(new[] { 3L, 12L }), "12");
                Check.Throws<IvfArgumentException>(() => index.SearchPreassigned(new float[Dim], 1, new[] { 4L }, 1), "4");
                Check.Throws<IvfArgumentException>(() => index.Train(Data.Random(100, Dim), new TrainOptions { Seeding = (Seeding)9 }));
            }
        }

        public static void Search_BadArguments_AreRefused()
        {
            using (var index = new IvfIndex(Dim, "Flat"))
            {
                var query = new float[Dim];
                Check.Throws<IvfArgumentException>(() => index.Search(query, 0));
                Check.Throws<ArgumentOutOfRangeException>(() => index.Search(query, -1), "got -1");
                Check.Throws<ArgumentException>(() => index.Search(query, 3, new float[2], new long[3]), "expected room for 3, got 2");
                Check.Throws<ArgumentException>(() => index.Search(query, 3, new float[3], new long[2]), "expected room for 3, got 2");
                Check.Throws<ArgumentException>(() => index.Search(new float[2 * Dim], 1, new float[2], new long[2], null, new long[1]), "expected room for 2");
                Check.Throws<ArgumentException>(() => index.SearchPreassigned(query, 1, new long[1], 2), "expected 2 lists, got 1");
                Check.Throws<ArgumentException>(() => index.Reconstruct(new long[2], new float[Dim]), "expected room for 8, got 4");
                Check.Throws<ArgumentOutOfRangeException>(() => index.Search(query, 1, new SearchOptions { Threads = -2 }));
                Check.Throws<IvfOverflowException>(() => index.Search(new float[4 * Dim], int.MaxValue));
            }
        }

        public static void LastError_OtherThreadsFail_IsOnesOwn()
        {
            Parallel.Run(4, thread =>
            {
                int dim = thread + 1;
                using (var index = new IvfIndex(dim, "Flat"))
                    for (int i = 0; i < 500; i++)
                        Check.Throws<IvfDimensionException>(
                            () => index.Add(new Rows(new float[100 + dim], 100 + dim)),
                            "expected " + dim + " columns, got " + (100 + dim));
            });
        }
    }
}

using System;

namespace Ivf
{
    /// <summary>
    /// Counts between .NET, which has them signed, and the library, which has them unsigned.
    /// </summary>
    internal static class Number
    {
        internal static uint Unsigned(int value, string parameter)
        {
            if (value < 0)
                throw new ArgumentOutOfRangeException(parameter, value, "expected 0 or more, got " + value);
            return (uint)value;
        }

        internal static ulong Unsigned(long value, string parameter)
        {
            if (value < 0)
                throw new ArgumentOutOfRangeException(parameter, value, "expected 0 or more, got " + value);
            return (ulong)value;
        }

        /// <summary>
        /// The rows of an array of <paramref name="length"/> numbers. dim = 0 is left to the library, which refuses it.
        /// </summary>
        internal static ulong Rows(int length, int dim, string parameter)
        {
            Unsigned(dim, parameter);
            if (dim == 0)
                return 0;
            if (length % dim != 0)
                throw new IvfDimensionException("expected rows of " + dim + " columns, got " + length + " numbers");
            return (ulong)(length / dim);
        }

        /// <summary>rows * columns, refused where no array of .NET can be that long.</summary>
        internal static int Length(ulong rows, ulong columns)
        {
            if (columns != 0 && rows > int.MaxValue / columns)
                throw new IvfOverflowException(
                    "expected at most " + int.MaxValue + " numbers, got " + rows + " x " + columns);
            return (int)(rows * columns);
        }

        /// <summary>Refuses a buffer of <paramref name="got"/> elements where rows * columns are written.</summary>
        internal static void Room(int got, ulong rows, ulong columns, string parameter)
        {
            int expected = Length(rows, columns);
            if (got < expected)
                throw new ArgumentException("expected room for " + expected + ", got " + got, parameter);
        }
    }
}

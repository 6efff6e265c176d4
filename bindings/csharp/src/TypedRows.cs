using System;
using System.Runtime.InteropServices;

namespace Ivf
{
    /// <summary>
    /// Borrowed vectors of another type than float: bytes, float16 or bfloat16, [n, dim], row-major, without gaps. The library
    /// widens them a few at a time; the results are those of the same values as float. An array or a span of bytes becomes one
    /// by itself; on .NET 5 and later one of <c>System.Half</c> does, too.
    /// </summary>
    public readonly ref struct TypedRows
    {
        private readonly ReadOnlySpan<byte> data;
        private readonly int size;

        /// <summary>Rows of bytes, as the whole numbers from 0 to 255.</summary>
        /// <param name="data">[n, dim], row-major.</param>
        /// <param name="dim">Columns of a row, at least 1; 0 = as many as the index has.</param>
        /// <exception cref="ArgumentOutOfRangeException"><paramref name="dim"/> is negative.</exception>
        public TypedRows(ReadOnlySpan<byte> data, int dim = 0)
            : this(data, Element.U8, 1, dim)
        {
        }

        private TypedRows(ReadOnlySpan<byte> data, Element element, int size, int dim)
        {
            Number.Unsigned(dim, nameof(dim));
            this.data = data;
            this.size = size;
            Element = element;
            Dim = dim;
        }

        /// <summary>Rows of float16 (IEEE 754 binary16), by their bits.</summary>
        /// <param name="bits">[n, dim], row-major.</param>
        /// <param name="dim">Columns of a row, at least 1; 0 = as many as the index has.</param>
        /// <exception cref="ArgumentOutOfRangeException"><paramref name="dim"/> is negative.</exception>
        public static TypedRows OfFloat16(ReadOnlySpan<ushort> bits, int dim = 0)
        {
            return new TypedRows(MemoryMarshal.AsBytes(bits), Element.F16, 2, dim);
        }

        /// <summary>Rows of bfloat16, by their bits: the upper half of each float.</summary>
        /// <param name="bits">[n, dim], row-major.</param>
        /// <param name="dim">Columns of a row, at least 1; 0 = as many as the index has.</param>
        /// <exception cref="ArgumentOutOfRangeException"><paramref name="dim"/> is negative.</exception>
        public static TypedRows OfBFloat16(ReadOnlySpan<ushort> bits, int dim = 0)
        {
            return new TypedRows(MemoryMarshal.AsBytes(bits), Element.BF16, 2, dim);
        }

#if NET5_0_OR_GREATER
        /// <summary>Rows of float16.</summary>
        /// <param name="data">[n, dim], row-major.</param>
        /// <param name="dim">Columns of a row, at least 1; 0 = as many as the index has.</param>
        /// <exception cref="ArgumentOutOfRangeException"><paramref name="dim"/> is negative.</exception>
        public TypedRows(ReadOnlySpan<Half> data, int dim = 0)
            : this(MemoryMarshal.AsBytes(data), Element.F16, 2, dim)
        {
        }

        /// <summary>Rows as wide as the index.</summary>
        public static implicit operator TypedRows(Half[] data)
        {
            return new TypedRows(new ReadOnlySpan<Half>(data));
        }

        /// <summary>Rows as wide as the index.</summary>
        public static implicit operator TypedRows(ReadOnlySpan<Half> data)
        {
            return new TypedRows(data);
        }
#endif

        /// <summary>What the values are held in.</summary>
        public Element Element { get; }

        /// <summary>Columns of a row; 0 = as many as the index has.</summary>
        public int Dim { get; }

        /// <summary>Numbers in all rows together.</summary>
        public int Length
        {
            get { return size == 0 ? 0 : data.Length / size; }
        }

        /// <summary>Rows as wide as the index.</summary>
        public static implicit operator TypedRows(byte[] data)
        {
            return new TypedRows(new ReadOnlySpan<byte>(data));
        }

        /// <summary>Rows as wide as the index.</summary>
        public static implicit operator TypedRows(ReadOnlySpan<byte> data)
        {
            return new TypedRows(data);
        }

        /// <summary>What is to be pinned.</summary>
        internal ref byte First
        {
            get { return ref MemoryMarshal.GetReference(data); }
        }

        /// <summary>The number of rows, and of their columns where the index has <paramref name="own"/>.</summary>
        internal ulong Count(int own, out uint dim)
        {
            int columns = Dim == 0 ? own : Dim;
            dim = (uint)columns;
            return Number.Rows(Length, columns, nameof(dim));
        }
    }
}

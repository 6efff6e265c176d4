using System;
using System.Runtime.InteropServices;

namespace Ivf
{
    /// <summary>
    /// Borrowed vectors: float32 [n, dim], row-major, without gaps. An array or a span of floats becomes one by itself, with
    /// the index's own number of columns; say yours, and a wrong one is refused instead of being cut up differently:
    /// <c>index.Add(new Rows(x, 128))</c>.
    /// </summary>
    public readonly ref struct Rows
    {
        private readonly ReadOnlySpan<float> data;

        /// <summary>Rows of a number of columns.</summary>
        /// <param name="data">[n, dim], row-major.</param>
        /// <param name="dim">Columns of a row, at least 1; 0 = as many as the index has.</param>
        /// <exception cref="ArgumentOutOfRangeException"><paramref name="dim"/> is negative.</exception>
        public Rows(ReadOnlySpan<float> data, int dim = 0)
        {
            Number.Unsigned(dim, nameof(dim));
            this.data = data;
            Dim = dim;
        }

        /// <summary>Columns of a row; 0 = as many as the index has.</summary>
        public int Dim { get; }

        /// <summary>Numbers in all rows together.</summary>
        public int Length
        {
            get { return data.Length; }
        }

        /// <summary>Rows as wide as the index.</summary>
        public static implicit operator Rows(float[] data)
        {
            return new Rows(data);
        }

        /// <summary>Rows as wide as the index.</summary>
        public static implicit operator Rows(Span<float> data)
        {
            return new Rows(data);
        }

        /// <summary>Rows as wide as the index.</summary>
        public static implicit operator Rows(ReadOnlySpan<float> data)
        {
            return new Rows(data);
        }

        /// <summary>What is to be pinned.</summary>
        internal ref float First
        {
            get { return ref MemoryMarshal.GetReference(data); }
        }

        /// <summary>The number of rows, and of their columns where the index has <paramref name="own"/>.</summary>
        internal ulong Count(int own, out uint dim)
        {
            int columns = Dim == 0 ? own : Dim;
            dim = (uint)columns;
            return Number.Rows(data.Length, columns, nameof(dim));
        }
    }
}

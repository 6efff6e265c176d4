using System;
using System.Collections.Generic;

namespace Ivf.Tests
{
    /// <summary>What tests expect.</summary>
    internal static class Check
    {
        internal static void True(bool condition, string what)
        {
            if (!condition)
                throw new Exception("expected " + what);
        }

        internal static void Equal<T>(T expected, T got, string what)
        {
            if (!EqualityComparer<T>.Default.Equals(expected, got))
                throw new Exception(what + ": expected " + expected + ", got " + got);
        }

        internal static void Sequence<T>(IReadOnlyList<T> expected, IReadOnlyList<T> got, string what)
        {
            Equal(expected.Count, got.Count, "length of " + what);
            for (int i = 0; i < got.Count; i++)
                Equal(expected[i], got[i], what + "[" + i + "]");
        }

        /// <summary>To 1e-5 relative.</summary>
        internal static void Close(IReadOnlyList<float> expected, IReadOnlyList<float> got, string what)
        {
            Equal(expected.Count, got.Count, "length of " + what);
            for (int i = 0; i < got.Count; i++)
            {
                float e = expected[i], g = got[i];
                if (!e.Equals(g) && !(Math.Abs(g - e) <= 1e-5f * Math.Abs(e) + 1e-6f))
                    throw new Exception(what + "[" + i + "]: expected " + e + ", got " + g);
            }
        }

        /// <summary>Exactly this type of exception, with a part of its text.</summary>
        internal static T Throws<T>(Action action, string text = "") where T : Exception
        {
            try
            {
                action();
            }
            catch (T exception) when (exception.GetType() == typeof(T))
            {
                True(exception.Message.Contains(text), "\"" + text + "\" in \"" + exception.Message + "\"");
                return exception;
            }
            throw new Exception("expected " + typeof(T).Name + ", got no exception");
        }
    }
}

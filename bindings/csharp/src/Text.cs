using System;
using System.Text;

namespace Ivf
{
    /// <summary>Strings to and from the library, which speaks UTF-8 with a closing NUL.</summary>
    internal static unsafe class Text
    {
        /// <summary>The bytes of a text with a closing NUL; null stays null.</summary>
        internal static byte[] Bytes(string text, string parameter)
        {
            if (text == null)
                return null;
            if (text.IndexOf('\0') >= 0)
                throw new ArgumentException("expected a text without NUL, got one at " + text.IndexOf('\0'), parameter);
            return Encoding.UTF8.GetBytes(text + '\0');
        }

        /// <summary>As <see cref="Bytes"/>, but refuses null.</summary>
        internal static byte[] Required(string text, string parameter)
        {
            if (text == null)
                throw new ArgumentNullException(parameter);
            return Bytes(text, parameter);
        }

        internal static string Read(byte* text)
        {
            int length = 0;
            while (text[length] != 0)
                length++;
            return Encoding.UTF8.GetString(text, length);
        }
    }
}

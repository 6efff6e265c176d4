using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace Ivf.Tests
{
    /// <summary>A value of a JSON text: mono brings no reader of its own.</summary>
    internal sealed class Json
    {
        /// <summary>The text of a string, a number or a word (true, false, null) as it stands.</summary>
        internal string Text;
        internal bool IsString;
        internal List<Json> Items;
        internal Dictionary<string, Json> Members;

        internal double Number
        {
            get { return double.Parse(Text, CultureInfo.InvariantCulture); }
        }

        internal long Integer
        {
            get { return Text == "true" ? 1 : Text == "false" ? 0 : long.Parse(Text, CultureInfo.InvariantCulture); }
        }

        /// <summary>A member, or null if there is none or it is null.</summary>
        internal Json this[string name]
        {
            get { return Members.TryGetValue(name, out Json value) && !(value.Text == "null" && !value.IsString) ? value : null; }
        }

        internal static Json Parse(string text)
        {
            var reader = new Reader { text = text };
            Json value = reader.Value();
            reader.Space();
            if (reader.at != text.Length)
                throw reader.Error("the end");
            return value;
        }

        private sealed class Reader
        {
            internal string text;
            internal int at;

            internal Exception Error(string expected)
            {
                return new FormatException("JSON: expected " + expected + " at character " + at);
            }

            internal void Space()
            {
                while (at < text.Length && char.IsWhiteSpace(text[at]))
                    at++;
            }

            private char Next()
            {
                Space();
                return at < text.Length ? text[at] : '\0';
            }

            private bool Skip(char wanted)
            {
                if (Next() != wanted)
                    return false;
                at++;
                return true;
            }

            private void Expect(char wanted)
            {
                if (!Skip(wanted))
                    throw Error("'" + wanted + "'");
            }

            internal Json Value()
            {
                char next = Next();
                if (next == '"')
                    return new Json { Text = String(), IsString = true };
                if (Skip('['))
                    return Array();
                if (Skip('{'))
                    return Object();
                int start = at;
                while (at < text.Length && (char.IsLetterOrDigit(text[at]) || "+-.".IndexOf(text[at]) >= 0))
                    at++;
                if (at == start)
                    throw Error("a value");
                return new Json { Text = text.Substring(start, at - start) };
            }

            private Json Array()
            {
                var array = new Json { Items = new List<Json>() };
                if (Skip(']'))
                    return array;
                do
                    array.Items.Add(Value());
                while (Skip(','));
                Expect(']');
                return array;
            }

            private Json Object()
            {
                var found = new Json { Members = new Dictionary<string, Json>() };
                if (Skip('}'))
                    return found;
                do
                {
                    Space();
                    string name = String();
                    Expect(':');
                    found.Members.Add(name, Value());
                }
                while (Skip(','));
                Expect('}');
                return found;
            }

            private string String()
            {
                Expect('"');
                var result = new StringBuilder();
                while (at < text.Length && text[at] != '"')
                {
                    char next = text[at++];
                    if (next != '\\')
                    {
                        result.Append(next);
                        continue;
                    }
                    char escape = text[at++];
                    if (escape == 'u')
                    {
                        result.Append((char)int.Parse(text.Substring(at, 4), NumberStyles.HexNumber));
                        at += 4;
                    }
                    else
                    {
                        int place = "bfnrt".IndexOf(escape);
                        result.Append(place < 0 ? escape : "\b\f\n\r\t"[place]);
                    }
                }
                Expect('"');
                return result.ToString();
            }
        }
    }
}

using System;
using System.Collections.Generic;
using System.Linq;
using System.Text.RegularExpressions;

namespace Ivf.Tests
{
    /// <summary>
    /// include/ivf.h as Native should have it: types are named as reflection names them ("Single*", "ivf_search_options*").
    /// </summary>
    internal sealed class Header
    {
        internal sealed class Field
        {
            internal string Name, Type;
            internal int Count, Offset; // Count = 0: not an array
        }

        /// <summary>A function or a callback.</summary>
        internal sealed class Function
        {
            internal string Name, Returns;
            internal List<Field> Parameters;
        }

        internal sealed class Struct
        {
            internal string Name;
            internal List<Field> Fields;
            internal int Size;
        }

        internal readonly Dictionary<string, long> Constants = new Dictionary<string, long>();
        internal readonly List<Struct> Structs = new List<Struct>();
        internal readonly List<Function> Functions = new List<Function>();
        internal readonly List<Function> Callbacks = new List<Function>();

        private static readonly Dictionary<string, string> Scalars = new Dictionary<string, string>
        {
            { "void", "Void" }, { "char", "Byte" }, { "uint8_t", "Byte" }, { "int8_t", "SByte" }, { "uint16_t", "UInt16" },
            { "int16_t", "Int16" }, { "uint32_t", "UInt32" }, { "int32_t", "Int32" }, { "uint64_t", "UInt64" },
            { "int64_t", "Int64" }, { "float", "Single" }, { "double", "Double" },
        };

        private static readonly Dictionary<string, int> Sizes = new Dictionary<string, int>
        {
            { "Byte", 1 }, { "SByte", 1 }, { "UInt16", 2 }, { "Int16", 2 }, { "UInt32", 4 }, { "Int32", 4 }, { "UInt64", 8 },
            { "Int64", 8 }, { "Single", 4 }, { "Double", 8 }, { "IntPtr", IntPtr.Size },
        };

        private readonly Dictionary<string, string> aliases = new Dictionary<string, string>();
        private readonly HashSet<string> opaque = new HashSet<string>();

        internal Header(string text)
        {
            text = Regex.Replace(text, @"/\*.*?\*/", "", RegexOptions.Singleline);
            text = Regex.Replace(text, @"//[^\n]*", "");
            foreach (Match match in Regex.Matches(text, @"^#define (IVF_\w+) +(\d+)\s*$", RegexOptions.Multiline))
                Constants.Add(match.Groups[1].Value, long.Parse(match.Groups[2].Value));
            text = Regex.Replace(text, @"^#.*$", "", RegexOptions.Multiline);
            text = text.Replace("extern \"C\" {", "");
            text = Take(text, @"typedef struct (\w+) \1;", match => opaque.Add(match.Groups[1].Value));
            // All names first: a declaration may use one that comes later.
            Take(text, @"typedef \w+ \(\*(\w+)\)", match => aliases.Add(match.Groups[1].Value, "IntPtr"));
            text = Take(text, @"typedef (\w+) (\w+);", match => aliases.Add(match.Groups[2].Value, Scalars[match.Groups[1].Value]));
            text = Take(text, @"typedef struct (\w+) \{(.*?)\} \1;", match => AddStruct(match.Groups[1].Value, match.Groups[2].Value));
            text = Take(text, @"typedef (\w+) \(\*(\w+)\)\((.*?)\);", match => Callbacks.Add(FunctionOf(match)));
            text = Take(text, @"((?:const )?\w+ \**)(\w+)\(([^()]*)\);", match => Functions.Add(FunctionOf(match)));
            text = text.Replace("}", "").Trim();
            if (text.Length != 0)
                throw new FormatException("ivf.h: not understood: " + text);
        }

        /// <summary>Hands out every match and cuts it out of the text.</summary>
        private static string Take(string text, string pattern, Action<Match> use)
        {
            return Regex.Replace(
                text,
                pattern,
                match =>
                {
                    use(match);
                    return "";
                },
                RegexOptions.Singleline);
        }

        private Function FunctionOf(Match match)
        {
            string parameters = match.Groups[3].Value.Trim();
            return new Function
            {
                Name = match.Groups[2].Value,
                Returns = TypeOf(match.Groups[1].Value),
                Parameters = parameters == "void" ? new List<Field>() : parameters.Split(',').Select(FieldOf).ToList(),
            };
        }

        private void AddStruct(string name, string body)
        {
            var found = new Struct { Name = name, Fields = new List<Field>() };
            int widest = 1;
            foreach (string line in body.Split(';').Where(line => line.Trim().Length != 0))
            {
                Field field = FieldOf(line);
                int size = field.Type.EndsWith("*", StringComparison.Ordinal) ? IntPtr.Size : Sizes[field.Type];
                field.Offset = (found.Size + size - 1) / size * size;
                found.Size = field.Offset + size * Math.Max(field.Count, 1);
                widest = Math.Max(widest, size);
                found.Fields.Add(field);
            }
            found.Size = (found.Size + widest - 1) / widest * widest;
            Structs.Add(found);
        }

        private Field FieldOf(string declaration)
        {
            Match match = Regex.Match(declaration.Trim(), @"^(.*?)(\w+)(?:\[(\d+)\])?$", RegexOptions.Singleline);
            return new Field
            {
                Type = TypeOf(match.Groups[1].Value),
                Name = match.Groups[2].Value,
                Count = match.Groups[3].Success ? int.Parse(match.Groups[3].Value) : 0,
            };
        }

        private string TypeOf(string type)
        {
            string name = Regex.Replace(type, @"\bconst\b|\bstruct\b|[\s*]", "");
            int stars = type.Count(character => character == '*');
            if (opaque.Contains(name))
                return "IntPtr" + new string('*', stars - 1);
            if (!Scalars.TryGetValue(name, out string known) && !aliases.TryGetValue(name, out known))
                known = name;
            return known + new string('*', stars);
        }
    }
}

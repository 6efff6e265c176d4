using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;

namespace Ivf.Tests
{
    /// <summary>Where Native and the public enums differ from a header.</summary>
    internal static class Drift
    {
        private const BindingFlags All = BindingFlags.NonPublic | BindingFlags.Public | BindingFlags.Static |
            BindingFlags.Instance | BindingFlags.DeclaredOnly;

        internal static List<string> Between(Header header)
        {
            var drift = new List<string>();
            Functions(header, drift);
            Callbacks(header, drift);
            Structs(header, drift);
            Constants(header, drift);
            return drift;
        }

        private static void Names(IEnumerable<string> declared, IEnumerable<string> bound, string what, List<string> drift)
        {
            drift.AddRange(declared.Except(bound).Select(name => what + " " + name + " is not in Native"));
            drift.AddRange(bound.Except(declared).Select(name => what + " " + name + " is not in ivf.h"));
        }

        internal static MethodInfo[] Imports
        {
            get
            {
                return typeof(Native).GetMethods(All).Where(method => method.IsDefined(typeof(DllImportAttribute), false)).ToArray();
            }
        }

        private static void Functions(Header header, List<string> drift)
        {
            Names(header.Functions.Select(f => f.Name), Imports.Select(method => method.Name), "function", drift);
            foreach (MethodInfo method in Imports)
                Signature(header.Functions.FirstOrDefault(f => f.Name == method.Name), method, drift);
        }

        private static void Callbacks(Header header, List<string> drift)
        {
            Type[] delegates = typeof(Native).GetNestedTypes(All).Where(type => typeof(Delegate).IsAssignableFrom(type)).ToArray();
            Names(header.Callbacks.Select(f => f.Name), delegates.Select(type => type.Name), "callback", drift);
            foreach (Type type in delegates)
                Signature(header.Callbacks.FirstOrDefault(f => f.Name == type.Name), type.GetMethod("Invoke"), drift, type.Name);
        }

        private static void Signature(Header.Function declared, MethodInfo bound, List<string> drift, string name = null)
        {
            if (declared == null)
                return;
            string expected = declared.Returns + "(" +
                string.Join(", ", declared.Parameters.Select(p => p.Type + " " + p.Name)) + ")";
            string got = bound.ReturnType.Name + "(" +
                string.Join(", ", bound.GetParameters().Select(p => p.ParameterType.Name + " " + p.Name)) + ")";
            if (expected != got)
                drift.Add((name ?? bound.Name) + ": expected " + expected + ", got " + got);
        }

        private static void Structs(Header header, List<string> drift)
        {
            Type[] types = typeof(Native).GetNestedTypes(All).Where(type => type.IsValueType).ToArray();
            Names(header.Structs.Select(s => s.Name), types.Select(type => type.Name), "struct", drift);
            foreach (Header.Struct declared in header.Structs)
            {
                Type type = types.FirstOrDefault(t => t.Name == declared.Name);
                if (type == null)
                    continue;
                string expected = string.Join(", ", declared.Fields.Select(
                    f => f.Type + " " + f.Name + (f.Count == 0 ? "" : "[" + f.Count + "]") + " at " + f.Offset));
                string got = string.Join(", ", type.GetFields(All).OrderBy(f => f.MetadataToken).Select(Describe));
                if (expected != got)
                    drift.Add(declared.Name + ": expected " + expected + ", got " + got);
                if (Marshal.SizeOf(type) != declared.Size)
                    drift.Add(declared.Name + ": expected " + declared.Size + " bytes, got " + Marshal.SizeOf(type));
            }
        }

        private static string Describe(FieldInfo field)
        {
            var array = (FixedBufferAttribute)Attribute.GetCustomAttribute(field, typeof(FixedBufferAttribute));
            string type = array == null ? field.FieldType.Name : array.ElementType.Name;
            string count = array == null ? "" : "[" + array.Length + "]";
            return type + " " + field.Name + count + " at " + Marshal.OffsetOf(field.DeclaringType, field.Name);
        }

        /// <summary>
        /// IVF_METRIC_INNER_PRODUCT is Metric.InnerProduct, IVF_E_NOT_FOUND is Status.NotFound; other numbers are constants of
        /// Native, and the version is the project file's.
        /// </summary>
        private static void Constants(Header header, List<string> drift)
        {
            var bound = new Dictionary<string, long>();
            foreach (Type type in typeof(Metric).Assembly.GetTypes().Where(t => t.IsEnum && t.IsPublic && t.Namespace == "Ivf"))
            {
                string prefix = type == typeof(Status) ? "IVF_E_" : "IVF_" + Snake(type.Name) + "_";
                foreach (object value in Enum.GetValues(type))
                    bound.Add(value.Equals(Status.Ok) ? "IVF_OK" : prefix + Snake(value.ToString()), Convert.ToInt64(value));
            }
            foreach (FieldInfo field in typeof(Native).GetFields(All).Where(f => f.IsLiteral && f.Name.StartsWith("IVF_", StringComparison.Ordinal)))
                bound.Add(field.Name, Convert.ToInt64(field.GetRawConstantValue()));
            string project = File.ReadAllText(Path.Combine(Program.Root, "bindings/csharp/Ivf.Net.csproj"));
            string[] version = Regex.Match(project, "<Version>([^<]*)</Version>").Groups[1].Value.Split('.');
            string[] parts = { "MAJOR", "MINOR", "PATCH" };
            for (int i = 0; i < parts.Length; i++)
                bound.Add("IVF_VERSION_" + parts[i], long.Parse(version[i]));

            Names(header.Constants.Keys, bound.Keys, "constant", drift);
            foreach (KeyValuePair<string, long> one in header.Constants)
                if (bound.TryGetValue(one.Key, out long value) && value != one.Value)
                    drift.Add(one.Key + ": expected " + one.Value + ", got " + value);
        }

        private static string Snake(string name)
        {
            return Regex.Replace(name, "(?<=[a-z])(?=[A-Z])", "_").ToUpperInvariant();
        }
    }
}

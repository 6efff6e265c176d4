using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;

namespace Ivf.Tests
{
    /// <summary>Native is the header, and can be compiled ahead of time.</summary>
    public static class DriftTests
    {
        private static readonly string Text = File.ReadAllText(Path.Combine(Program.Root, "include/ivf.h"));

        private static IEnumerable<string> Sources
        {
            get { return Directory.GetFiles(Path.Combine(Program.Root, "bindings/csharp/src"), "*.cs"); }
        }

        public static void Native_CurrentHeader_DoesNotDiffer()
        {
            Check.Equal("", string.Join("\n", Drift.Between(new Header(Text))), "drift");
        }

        public static void Native_ChangedHeader_DiffersThere()
        {
            Differs("ivf_status ivf_reset(ivf_index *index);", "", "function ivf_reset is not in ivf.h");
            Differs("ivf_status ivf_reset(ivf_index *index);", "ivf_status ivf_set(void); ivf_status ivf_reset(ivf_index *index);",
                "function ivf_set is not in Native");
            Differs("ivf_status ivf_reset(ivf_index *index);", "ivf_status ivf_reset(ivf_index *index, uint32_t n);",
                "ivf_reset: expected Int32(IntPtr index, UInt32 n), got Int32(IntPtr index)");
            Differs("uint32_t ivf_abi_version(void);", "uint64_t ivf_abi_version(void);", "ivf_abi_version: expected UInt64()");
            Differs("  uint64_t max_codes;", "", "ivf_search_options: expected");
            Differs("  uint64_t max_codes;", "  int64_t max_codes;", "Int64 max_codes at 16");
            Differs("char vendor[64];", "char vendor[65];", "Byte vendor[65] at 152");
            Differs("#define IVF_E_MEMORY 12", "#define IVF_E_MEMORY 13", "IVF_E_MEMORY: expected 13, got 12");
            Differs("#define IVF_E_MEMORY 12", "#define IVF_E_MEMORIES 12", "constant IVF_E_MEMORIES is not in Native");
            Differs("#define IVF_ABI_VERSION 1", "#define IVF_ABI_VERSION 2", "IVF_ABI_VERSION: expected 2, got 1");
            Differs("(const ivf_progress *progress, void *user_data)", "(void *user_data)", "ivf_progress_fn: expected Int32(Void* user_data)");
        }

        private static void Differs(string from, string to, string expected)
        {
            Check.True(Text.Contains(from), "\"" + from + "\" in ivf.h");
            List<string> drift = Drift.Between(new Header(Text.Replace(from, to)));
            Check.True(drift.Any(line => line.Contains(expected)), "\"" + expected + "\" in \"" + string.Join("\n", drift) + "\"");
        }

        public static void Native_EveryFunction_IsCalledByTheBinding()
        {
            string source = string.Concat(Sources.Where(path => !path.EndsWith("Native.cs", StringComparison.Ordinal)).Select(File.ReadAllText));
            foreach (MethodInfo method in Drift.Imports)
            {
                // What has a second version is called by that.
                if (Drift.Imports.Any(other => other.Name == method.Name + "_v2"))
                    continue;
                Check.True(source.Contains("Native." + method.Name + "("), "a call of " + method.Name);
            }
        }

        public static void Native_EverySignature_IsBlittable()
        {
            foreach (MethodInfo method in Drift.Imports)
                foreach (Type type in method.GetParameters().Select(p => p.ParameterType).Concat(new[] { method.ReturnType }))
                    Check.True(
                        type.IsPointer || type == typeof(IntPtr) || type == typeof(void) ||
                            type.IsPrimitive && type != typeof(bool) && type != typeof(char),
                        "a number or a pointer in " + method.Name + ", got " + type);
        }

        public static void Callbacks_EveryOne_IsStaticAndMarkedForCompilingAhead()
        {
            const BindingFlags all = BindingFlags.NonPublic | BindingFlags.Public | BindingFlags.Static | BindingFlags.Instance;
            var marked = new List<Type>();
            foreach (Type type in typeof(Native).Assembly.GetTypes().Where(t => t.Namespace == "Ivf"))
                foreach (MethodInfo method in type.GetMethods(all))
                {
                    var mark = (MonoPInvokeCallbackAttribute)Attribute.GetCustomAttribute(method, typeof(MonoPInvokeCallbackAttribute));
                    if (mark == null)
                        continue;
                    Check.True(method.IsStatic, method + " to be static");
                    Delegate.CreateDelegate(mark.Type, method); // throws unless the signature is the callback's
                    marked.Add(mark.Type);
                }
            IEnumerable<Type> callbacks = typeof(Native).GetNestedTypes(all).Where(type => typeof(Delegate).IsAssignableFrom(type));
            foreach (Type callback in callbacks)
            {
                Check.True(marked.Contains(callback), "a method marked for " + callback.Name);
                Check.True(callback.IsDefined(typeof(UnmanagedFunctionPointerAttribute), false), "cdecl of " + callback.Name);
            }
        }

        public static void Source_EveryFile_NeedsNoCodeMadeAtRunTime()
        {
            foreach (string path in Sources)
            {
                Match match = Regex.Match(
                    File.ReadAllText(path), @"\bdynamic\b|Reflection\.Emit|Linq\.Expressions|Activator\.|MakeGeneric|PtrToStructure");
                Check.True(!match.Success, "no " + match.Value + " in " + path);
            }
        }
    }
}

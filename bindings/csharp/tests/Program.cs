using System;
using System.Diagnostics;
using System.Linq;
using System.Reflection;
using System.Runtime.ExceptionServices;

namespace Ivf.Tests
{
    /// <summary>
    /// Runs every public static method without parameters of the classes named ...Tests, then the conformance file. Arguments:
    /// the project's root, then parts of the names of tests to run (all, if none). The last line is "N passed, N failed".
    /// </summary>
    internal static class Program
    {
        private static int passed;
        private static int failed;
        private static string[] wanted;

        internal static string Root { get; private set; }

        private static int Main(string[] arguments)
        {
            Root = arguments[0];
            wanted = arguments.Skip(1).ToArray();
            foreach (Type type in typeof(Program).Assembly.GetTypes().OrderBy(type => type.Name, StringComparer.Ordinal))
            {
                if (!type.Name.EndsWith("Tests", StringComparison.Ordinal) || type.IsNested)
                    continue;
                foreach (MethodInfo method in type.GetMethods(BindingFlags.Public | BindingFlags.Static))
                    if (method.GetParameters().Length == 0)
                        Run(type.Name + "." + method.Name, () => Invoke(method));
            }
            Conformance.RunAll(Run);
            Console.WriteLine(passed + " passed, " + failed + " failed");
            return failed == 0 && passed > 0 ? 0 : 1;
        }

        private static void Run(string name, Action test)
        {
            if (wanted.Length != 0 && !wanted.Any(part => name.Contains(part)))
                return;
            var clock = Stopwatch.StartNew();
            try
            {
                test();
                passed++;
                Console.WriteLine("ok " + name + (clock.ElapsedMilliseconds > 1000 ? " " + clock.Elapsed.TotalSeconds.ToString("0.0") + " s" : ""));
            }
            catch (Exception exception)
            {
                failed++;
                Console.WriteLine("FAILED " + name + "\n  " + exception.ToString().Replace("\n", "\n  "));
            }
        }

        private static void Invoke(MethodInfo method)
        {
            try
            {
                method.Invoke(null, null);
            }
            catch (TargetInvocationException exception)
            {
                ExceptionDispatchInfo.Capture(exception.InnerException).Throw();
            }
        }
    }
}

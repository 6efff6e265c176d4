// Start-up hook: drives the Roslyn libraries by reflection (HOOK_MODE=csc) or runs an assembly (HOOK_MODE=run); arguments one a line in the file HOOK_ARGS.
using System; using System.IO; using System.Linq; using System.Reflection; using System.Collections; using System.Collections.Generic;
internal class StartupHook {
  public static void Initialize() {
    int rc = 3;
    try {
      var mode = Environment.GetEnvironmentVariable("HOOK_MODE");
      var args = File.ReadAllLines(Environment.GetEnvironmentVariable("HOOK_ARGS")).Where(x => x.Length > 0).ToArray();
      rc = mode == "csc" ? Csc(args) : Run(args);
    } catch (Exception e) { Console.Error.WriteLine(e); }
    Environment.Exit(rc);
  }
  static int Run(string[] args) {
    var a = Assembly.LoadFrom(args[0]);
    var ep = a.EntryPoint; object r = ep.Invoke(null, ep.GetParameters().Length == 0 ? null : new object[] { args.Skip(1).ToArray() });
    return r is int ? (int)r : 0;
  }
  static int Csc(string[] args) {
    var dir = Environment.GetEnvironmentVariable("ROSLYN_DIR");
    var core = Assembly.LoadFrom(Path.Combine(dir, "Microsoft.CodeAnalysis.dll"));
    var cs = Assembly.LoadFrom(Path.Combine(dir, "Microsoft.CodeAnalysis.CSharp.dll"));
    Func<string, Type> C = n => cs.GetType("Microsoft.CodeAnalysis.CSharp." + n, true);
    Func<string, Type> M = n => core.GetType("Microsoft.CodeAnalysis." + n, true);
    var parser = C("CSharpCommandLineParser").GetProperty("Default").GetValue(null, null);
    var cla = parser.GetType().GetMethods().First(m => m.Name == "Parse" && m.GetParameters().Length == 4 && m.DeclaringType.Name == "CSharpCommandLineParser").Invoke(parser, new object[] { args, Directory.GetCurrentDirectory(), null, null });
    Func<object, string, object> P = (o, n) => o.GetType().GetProperties().First(p => p.Name == n && p.DeclaringType.Name.StartsWith("CSharp") || p.Name == n && !o.GetType().GetProperties().Any(q => q.Name == n && q != p)).GetValue(o, null);
    int errs = 0;
    foreach (var d in (IEnumerable)P(cla, "Errors")) { Console.WriteLine(d); errs++; }
    var parseOpt = P(cla, "ParseOptions"); var compOpt = P(cla, "CompilationOptions");
    var pt = C("CSharpSyntaxTree").GetMethods().First(m => m.Name == "ParseText" && m.GetParameters()[0].ParameterType == typeof(string) && m.GetParameters().Length == 5);
    var trees = new List<object>();
    foreach (var sf in (IEnumerable)P(cla, "SourceFiles")) { var path = (string)P(sf, "Path"); trees.Add(pt.Invoke(null, new object[] { File.ReadAllText(path), parseOpt, path, System.Text.Encoding.UTF8, default(System.Threading.CancellationToken) })); }
    var mkref = M("MetadataReference").GetMethods().First(m => m.Name == "CreateFromFile" && m.GetParameters().Length == 3);
    var refs = new List<object>();
    foreach (var r in (IEnumerable)P(cla, "MetadataReferences")) refs.Add(mkref.Invoke(null, new object[] { (string)P(r, "Reference"), Activator.CreateInstance(M("MetadataReferenceProperties"), new object[] { Enum.ToObject(M("MetadataImageKind"), 0), Activator.CreateInstance(mkref.GetParameters()[1].ParameterType.GetProperty("Aliases").PropertyType), false }), null }));
    var treeArr = Array.CreateInstance(M("SyntaxTree"), trees.Count); for (int i = 0; i < trees.Count; i++) treeArr.SetValue(trees[i], i);
    var refArr = Array.CreateInstance(M("MetadataReference"), refs.Count); for (int i = 0; i < refs.Count; i++) refArr.SetValue(refs[i], i);
    var create = C("CSharpCompilation").GetMethods().First(m => m.Name == "Create" && m.GetParameters().Length == 4);
    var outp = Path.Combine((string)P(cla, "OutputDirectory"), (string)P(cla, "OutputFileName") ?? "a.dll");
    var comp = create.Invoke(null, new object[] { Path.GetFileNameWithoutExtension(outp), treeArr, refArr, compOpt });
    var emit = M("Compilation").GetMethods().Where(m => m.Name == "Emit").OrderBy(m => m.GetParameters().Length).First(m => m.GetParameters()[0].ParameterType == typeof(Stream));
    using (var fs = File.Create(outp)) {
      var ps = emit.GetParameters(); var vals = new object[ps.Length]; vals[0] = fs;
      for (int i = 1; i < ps.Length; i++) vals[i] = ps[i].ParameterType.IsValueType ? Activator.CreateInstance(ps[i].ParameterType) : null;
      var res = emit.Invoke(comp, vals);
      foreach (var d in (IEnumerable)P(res, "Diagnostics")) { var sev = P(d, "Severity").ToString(); if (sev == "Error" || sev == "Warning") Console.WriteLine(d); }
      return (bool)P(res, "Success") ? 0 : 1;
    }
  }
}

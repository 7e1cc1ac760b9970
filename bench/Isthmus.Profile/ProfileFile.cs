using System.IO.Compression;
using Mono.Cecil;
using Mono.Cecil.Cil;

namespace Isthmus.Profile;

/// <summary>
/// A profile as the compilers of .NET read it (<c>.mibc</c>): a module whose methods are never run. Their instructions are the data: a token for each method,
/// constants for its probes, and tokens for the types and methods that these have met
/// (https://github.com/dotnet/runtime/blob/main/src/coreclr/tools/dotnet-pgo/dotnet-pgo-experiment.md#mibc-file-format).
/// </summary>
internal sealed class ProfileFile : IDisposable
{
    // Code that ran less often does not matter, and would make the file four times as large.
    private const long HotCount = 1000;

    private readonly string _path;
    private readonly ModuleDefinition _module;
    private readonly List<References> _references = [];

    // By the assemblies of the method and its name, so that equal traces give equal files.
    private readonly SortedDictionary<(string Assemblies, string Name), (MethodReference Method, List<Probe> Probes)> _methods = [];

    internal ProfileFile(string path)
    {
        _path = path;
        _module = ModuleDefinition.CreateModule(Path.GetFileName(path), ModuleKind.Dll);
        _module.AssemblyReferences.Add(References.Canonical);
    }

    /// <summary>Adds to what former traces have counted.</summary>
    internal void Add(RuntimeTrace trace)
    {
        var references = new References(_module, trace);
        _references.Add(references);
        foreach (var (handle, bytes) in trace.Instrumentation)
        {
            if (references.Method(handle) is not { } method) continue;
            var probes = Instrumentation.Parse(bytes.ToArray(), type => (object?)references.Type(type) ?? Probe.Unknown,
                other => (object?)references.Method(other)?.Method ?? Probe.Unknown);
            var key = (string.Concat(method.Assemblies.Select(name => name + ";")), method.Method.FullName);
            _methods[key] = (method.Method, _methods.TryGetValue(key, out var former) ? Instrumentation.Merge(former.Probes, probes) : probes);
        }
    }

    /// <returns>How many methods it has.</returns>
    internal int Write()
    {
        var all = _module.Types.Single(type => type.Name == "<Module>");
        var (index, groups) = (Method("AssemblyDictionary"), 0);
        var methods = _methods.Where(method => method.Value.Probes.Any(probe => probe.IsCounter && (long)probe.Values[0] >= HotCount)).ToList();
        foreach (var group in methods.GroupBy(method => method.Key.Assemblies, method => method.Value))
        {
            var data = Method($"Assemblies_{++groups}");
            foreach (var (method, probes) in group) Write(data.Body.GetILProcessor(), method, probes);
            all.Methods.Add(data);
            var instructions = index.Body.GetILProcessor();
            instructions.Emit(OpCodes.Ldstr, group.Key);
            instructions.Emit(OpCodes.Ldtoken, data);
            instructions.Emit(OpCodes.Pop);
        }
        all.Methods.Add(index);

        using var bytes = new MemoryStream();
        _module.Write(bytes);
        File.Delete(_path);
        using var archive = ZipFile.Open(_path, ZipArchiveMode.Create);
        using var entry = archive.CreateEntry(Path.GetFileName(_path) + ".dll", CompressionLevel.SmallestSize).Open();
        bytes.WriteTo(entry);
        return methods.Count;
    }

    private MethodDefinition Method(string name) => new(name, MethodAttributes.Public | MethodAttributes.Static, _module.TypeSystem.Void);

    private static void Write(ILProcessor data, MethodReference method, List<Probe> probes)
    {
        data.Emit(OpCodes.Ldtoken, method);
        data.Emit(OpCodes.Ldstr, "ExclusiveWeight");
        data.Emit(OpCodes.Ldc_I4, 1);
        data.Emit(OpCodes.Ldstr, "InstrumentationDataStart");
        foreach (var probe in probes)
        {
            foreach (var part in (int[])[Instrumentation.Everything, probe.Offset, probe.Kind, probe.Count, probe.Other]) data.Emit(OpCodes.Ldc_I4, part);
            foreach (var value in probe.Values) Write(data, value);
        }
        data.Emit(OpCodes.Ldstr, "InstrumentationDataEnd");
        data.Emit(OpCodes.Pop);
        // A compiler that does not know a method also skips the next one: there is none up to the second end.
        data.Emit(OpCodes.Pop);
    }

    private static void Write(ILProcessor data, object value)
    {
        switch (value)
        {
            case TypeReference type: data.Emit(OpCodes.Ldtoken, type); break;
            case MethodReference method: data.Emit(OpCodes.Ldtoken, method); break;
            case long and >= int.MinValue and <= int.MaxValue: data.Emit(OpCodes.Ldc_I4, (int)(long)value); break;
            default: data.Emit(OpCodes.Ldc_I8, (long)value); break;
        }
    }

    public void Dispose()
    {
        foreach (var references in _references) references.Dispose();
        _module.Dispose();
    }
}

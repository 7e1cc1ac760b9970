using System.Collections.Immutable;
using Microsoft.Diagnostics.Tracing;
using Microsoft.Diagnostics.Tracing.Parsers.Clr;

namespace Isthmus.Profile;

/// <summary>A type as the runtime names it: a definition in a module, or made of other types.</summary>
/// <param name="Module">The handle of the module.</param>
/// <param name="Token">The row of its definition in the module's metadata.</param>
/// <param name="Element">The kind of type (ECMA-335, II.23.1.16).</param>
/// <param name="Parameters">The handles of the type's arguments, or of what its elements are.</param>
internal sealed record TracedType(ulong Module, int Token, TypeFlags Flags, byte Element, ImmutableArray<ulong> Parameters, string Name);

/// <summary>A method as the runtime names it.</summary>
/// <param name="Owner">The handle of its type.</param>
/// <param name="Token">The row of its definition in the metadata of the type's module.</param>
internal sealed record TracedMethod(ulong Owner, int Token, ImmutableArray<ulong> Parameters);

/// <summary>What the runtime tells of one process in events (https://learn.microsoft.com/dotnet/fundamentals/diagnostics/runtime-events): its modules,
/// types and methods, each by its handle, and what code that counts has counted.</summary>
internal sealed class RuntimeTrace
{
    // The flags of the event of a method are the number of the piece, and this for the last one.
    private const int LastPiece = unchecked((int)0x80000000);

    private readonly Dictionary<ulong, string> _modules = [];
    private readonly Dictionary<ulong, TracedType> _types = [];
    private readonly Dictionary<ulong, TracedMethod> _methods = [];
    private readonly Dictionary<ulong, MemoryStream> _instrumentation = [];

    private RuntimeTrace()
    {
    }

    /// <summary>The files of modules.</summary>
    internal IReadOnlyDictionary<ulong, string> Modules => _modules;

    internal IReadOnlyDictionary<ulong, TracedType> Types => _types;

    internal IReadOnlyDictionary<ulong, TracedMethod> Methods => _methods;

    /// <summary>What <see cref="Instrumentation.Parse"/> reads, by method.</summary>
    internal IReadOnlyDictionary<ulong, MemoryStream> Instrumentation => _instrumentation;

    /// <param name="path">A file of EventPipe (<c>.nettrace</c>).</param>
    internal static RuntimeTrace Read(string path)
    {
        var trace = new RuntimeTrace();
        using var source = new EventPipeEventSource(path);
        source.Clr.LoaderModuleLoad += module => trace._modules[(ulong)module.ModuleID] = module.ModuleILPath;
        source.Clr.TypeBulkType += trace.AddTypes;
        source.Clr.MethodMethodDetails += method => trace._methods[(ulong)method.MethodID] = new((ulong)method.TypeID, method.MethodToken,
            [.. Enumerable.Range(0, method.TypeParameterCount).Select(i => (ulong)method.TypeParameters(i))]);
        source.Clr.JitInstrumentationDataInstrumentationData += data => trace.AddPiece(data.MethodID, data.MethodFlags, data.Data);
        source.Clr.JitInstrumentationDataVerboseInstrumentationData += data => trace.AddPiece(data.MethodID, data.MethodFlags, data.Data);
        source.Process();
        return trace;
    }

    private void AddTypes(GCBulkTypeTraceData bulk)
    {
        for (var i = 0; i < bulk.Count; i++)
        {
            var type = bulk.Values(i);
            _types[type.TypeID] = new(type.ModuleID, type.TypeNameID, type.Flags, type.CorElementType,
                [.. Enumerable.Range(0, type.TypeParameterCount).Select(type.TypeParameterID)], type.TypeName);
        }
    }

    private void AddPiece(long method, int flags, byte[] piece)
    {
        if ((flags & ~LastPiece) == 0) _instrumentation[(ulong)method] = new();
        if (_instrumentation.TryGetValue((ulong)method, out var whole)) whole.Write(piece);
    }
}

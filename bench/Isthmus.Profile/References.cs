using Microsoft.Diagnostics.Tracing.Parsers.Clr;
using Mono.Cecil;

namespace Isthmus.Profile;

/// <summary>References, in the module of a profile, to the types and methods of a trace.</summary>
/// <param name="into">The module of the profile.</param>
internal sealed class References(ModuleDefinition into, RuntimeTrace trace) : IDisposable
{
    // ECMA-335, II.22 and II.23.1.16.
    private const int TypeTable = 0x02000000, MethodTable = 0x06000000, Row = 0xffffff;
    private const byte Vector = 0x1d, Pointer = 0x0f, ByReference = 0x10;

    // What generic code has in place of any class. The compiler looks for it in a module of this name.
    internal static AssemblyNameReference Canonical { get; } = new("System.Private.Canon", new(0, 0));

    private readonly DefaultAssemblyResolver _resolver = new();
    private readonly Dictionary<string, ModuleDefinition> _modules = [];
    private readonly Dictionary<ulong, TypeReference?> _types = [];

    /// <returns>Null: the trace does not tell enough.</returns>
    internal TypeReference? Type(ulong handle)
    {
        if (!_types.TryGetValue(handle, out var type)) _types[handle] = type = trace.Types.TryGetValue(handle, out var traced) ? Make(traced) : null;
        return type;
    }

    /// <returns>The method, and the names of the assemblies that it takes to know it, its own first. Null: the trace does not tell enough.</returns>
    internal (MethodReference Method, IReadOnlyList<string> Assemblies)? Method(ulong handle)
    {
        if (!trace.Methods.TryGetValue(handle, out var traced) || !trace.Types.TryGetValue(traced.Owner, out var owner)) return null;
        if (Type(traced.Owner) is not { } type || type is ArrayType) return null;
        if (Module(owner.Module)?.LookupToken(MethodTable | traced.Token & Row) is not MethodDefinition definition) return null;
        var arguments = traced.Parameters.Select(Type).OfType<TypeReference>().ToList();
        if (arguments.Count != definition.GenericParameters.Count) return null;

        var method = into.ImportReference(definition);
        if (type is GenericInstanceType) method.DeclaringType = type;
        if (arguments.Count > 0)
        {
            var closed = new GenericInstanceMethod(method);
            foreach (var argument in arguments) closed.GenericArguments.Add(argument);
            method = closed;
        }
        var own = definition.Module.Assembly.Name.Name;
        return (method, [own, .. arguments.Prepend(type).SelectMany(Assemblies).Where(name => name != own).Distinct().Order(StringComparer.Ordinal)]);
    }

    private TypeReference? Make(TracedType traced)
    {
        if (traced.Name == "System.__Canon") return new("System", "__Canon", into, Canonical);
        var arguments = traced.Parameters.Select(Type).OfType<TypeReference>().ToList();
        if (arguments.Count != traced.Parameters.Length) return null;
        if ((traced.Flags & TypeFlags.Array) != 0)
            return traced.Element == Vector ? new ArrayType(arguments[0]) : new ArrayType(arguments[0], traced.Flags.GetArrayRank());
        if (traced.Element == Pointer) return new PointerType(arguments[0]);
        if (traced.Element == ByReference) return new ByReferenceType(arguments[0]);
        if (Module(traced.Module)?.LookupToken(TypeTable | traced.Token & Row) is not TypeDefinition definition) return null;
        if (definition.GenericParameters.Count != arguments.Count) return null;
        var type = into.ImportReference(definition);
        if (arguments.Count == 0) return type;
        var closed = new GenericInstanceType(type);
        foreach (var argument in arguments) closed.GenericArguments.Add(argument);
        return closed;
    }

    private ModuleDefinition? Module(ulong handle)
    {
        // Code that programs write while they run is in no file.
        if (!trace.Modules.TryGetValue(handle, out var path) || !File.Exists(path)) return null;
        if (_modules.TryGetValue(path, out var module)) return module;
        _resolver.AddSearchDirectory(Path.GetDirectoryName(path));
        return _modules[path] = ModuleDefinition.ReadModule(path, new() { AssemblyResolver = _resolver });
    }

    private static IEnumerable<string> Assemblies(TypeReference type) => type switch
    {
        GenericInstanceType closed => closed.GenericArguments.SelectMany(Assemblies).Concat(Assemblies(closed.ElementType)),
        TypeSpecification made => Assemblies(made.ElementType),
        { IsPrimitive: true } => [],
        { Scope: AssemblyNameReference assembly } when assembly != Canonical => [assembly.Name],
        _ => [],
    };

    public void Dispose()
    {
        foreach (var module in _modules.Values) module.Dispose();
        _resolver.Dispose();
    }
}

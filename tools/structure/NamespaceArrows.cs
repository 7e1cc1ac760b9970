using System.Text.RegularExpressions;
using Mono.Cecil;
using Mono.Cecil.Cil;

namespace Isthmus.Structure;

/// <summary>Finds which namespaces of a project use which others of the same project.</summary>
/// <remarks>
/// It reads the compiled assembly, so that uses without a <c>using</c> count too, and the <c>using</c> lines of the
/// sources, because constants leave no trace in an assembly.
/// </remarks>
internal sealed partial class NamespaceArrows
{
    private readonly SortedDictionary<string, SortedSet<string>> _uses = new(StringComparer.Ordinal);

    private NamespaceArrows(string assembly) => Assembly = assembly;

    /// <summary>The path of the compiled project.</summary>
    internal string Assembly { get; }

    internal string Project => Path.GetFileNameWithoutExtension(Assembly);

    /// <summary>The namespaces by name, each with the other namespaces that it uses.</summary>
    internal IReadOnlyDictionary<string, SortedSet<string>> Uses => _uses;

    /// <param name="assembly">The path of the compiled project.</param>
    /// <param name="sources">The folder with its sources.</param>
    internal static NamespaceArrows Read(string assembly, string sources)
    {
        using var module = ModuleDefinition.ReadModule(assembly);
        var arrows = new NamespaceArrows(assembly);
        var own = module.Types.Select(type => type.Namespace).Where(name => name.StartsWith("Isthmus", StringComparison.Ordinal))
            .ToHashSet(StringComparer.Ordinal);
        foreach (var name in own) arrows._uses[name] = new(StringComparer.Ordinal);
        foreach (var type in module.GetTypes())
        {
            if (!own.Contains(Outermost(type).Namespace)) continue;
            foreach (var used in Types(type)) arrows.Add(Outermost(type).Namespace, used, own);
        }
        arrows.AddUsings(sources, own);
        return arrows;
    }

    /// <summary>Sets of namespaces that reach each other: to understand one of them, you must understand all.</summary>
    internal IReadOnlyList<IReadOnlyList<string>> Circles() => Circles(_uses);

    /// <inheritdoc cref="Circles()"/>
    internal static IReadOnlyList<IReadOnlyList<string>> Circles(IReadOnlyDictionary<string, SortedSet<string>> uses)
    {
        var reach = uses.Keys.ToDictionary(name => name, name => Reachable(uses, name), StringComparer.Ordinal);
        return [.. uses.Keys
            .Where(name => reach[name].Contains(name))
            .GroupBy(name => reach[name].Where(other => reach[other].Contains(name)).Min(StringComparer.Ordinal)!, StringComparer.Ordinal)
            .Select(group => (IReadOnlyList<string>)[.. group])];
    }

    private static HashSet<string> Reachable(IReadOnlyDictionary<string, SortedSet<string>> uses, string from)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var open = new Stack<string>(uses[from]);
        while (open.TryPop(out var name))
        {
            if (!seen.Add(name)) continue;
            foreach (var next in uses[name]) open.Push(next);
        }
        return seen;
    }

    private void Add(string from, TypeReference type, HashSet<string> own)
    {
        foreach (var part in Parts(type))
        {
            if (part.Scope is not ModuleDefinition) continue;   // Another assembly: the compiler checks those arrows.
            var name = Outermost(part).Namespace;
            if (name != from && own.Contains(name)) _uses[from].Add(name);
        }
    }

    private void AddUsings(string folder, HashSet<string> own)
    {
        foreach (var path in Directory.EnumerateFiles(folder, "*.cs", SearchOption.AllDirectories))
        {
            var text = File.ReadAllText(path);
            var from = NamespaceLine().Match(text).Groups[1].Value;
            if (!own.Contains(from)) continue;
            foreach (Match match in UsingLine().Matches(text))
            {
                // 'using static' and aliases name a type.
                var name = match.Groups[2].Value;
                if (match.Groups[1].Length > 0 && !own.Contains(name) && name.LastIndexOf('.') is var dot and > 0) name = name[..dot];
                if (name != from && own.Contains(name)) _uses[from].Add(name);
            }
        }
    }

    /// <summary>All types that a declaration names, including its method bodies.</summary>
    private static IEnumerable<TypeReference> Types(TypeDefinition type)
    {
        if (type.BaseType is not null) yield return type.BaseType;
        foreach (var item in type.Interfaces) yield return item.InterfaceType;
        foreach (var used in Attributes(type).Concat(Constraints(type))) yield return used;
        foreach (var field in type.Fields)
        {
            yield return field.FieldType;
            foreach (var used in Attributes(field)) yield return used;
        }
        foreach (var property in type.Properties)
        {
            foreach (var used in Attributes(property)) yield return used;
        }
        foreach (var used in type.Methods.SelectMany(Types)) yield return used;
    }

    private static IEnumerable<TypeReference> Types(MethodDefinition method)
    {
        foreach (var used in Signature(method).Concat(Attributes(method)).Concat(Constraints(method))) yield return used;
        if (!method.HasBody) yield break;
        foreach (var variable in method.Body.Variables) yield return variable.VariableType;
        foreach (var handler in method.Body.ExceptionHandlers)
        {
            if (handler.CatchType is not null) yield return handler.CatchType;
        }
        foreach (var used in method.Body.Instructions.SelectMany(Types)) yield return used;
    }

    private static IEnumerable<TypeReference> Types(Instruction instruction) => instruction.Operand switch
    {
        TypeReference type => [type],
        FieldReference field => [field.DeclaringType, field.FieldType],
        GenericInstanceMethod method => [.. method.GenericArguments, method.DeclaringType, .. Signature(method.ElementMethod)],
        MethodReference method => [method.DeclaringType, .. Signature(method)],
        _ => [],
    };

    private static IEnumerable<TypeReference> Signature(MethodReference method) =>
        [method.ReturnType, .. method.Parameters.Select(parameter => parameter.ParameterType)];

    private static IEnumerable<TypeReference> Attributes(ICustomAttributeProvider provider) =>
        provider.CustomAttributes.Select(attribute => attribute.AttributeType);

    private static IEnumerable<TypeReference> Constraints(IGenericParameterProvider provider) =>
        provider.GenericParameters.SelectMany(parameter => parameter.Constraints).Select(constraint => constraint.ConstraintType);

    /// <summary>The type itself and its type arguments, without arrays and pointers around them.</summary>
    private static IEnumerable<TypeReference> Parts(TypeReference type) => type switch
    {
        GenericParameter => [],
        GenericInstanceType instance => [instance.ElementType, .. instance.GenericArguments.SelectMany(Parts)],
        FunctionPointerType pointer => Signature(pointer).SelectMany(Parts),
        RequiredModifierType modifier => [.. Parts(modifier.ModifierType), .. Parts(modifier.ElementType)],
        TypeSpecification around => Parts(around.ElementType),
        _ => [type],
    };

    private static IEnumerable<TypeReference> Signature(FunctionPointerType pointer) =>
        [pointer.ReturnType, .. pointer.Parameters.Select(parameter => parameter.ParameterType)];

    private static TypeReference Outermost(TypeReference type)
    {
        while (type.DeclaringType is not null) type = type.DeclaringType;
        return type;
    }

    [GeneratedRegex(@"^namespace ([\w.]+);", RegexOptions.Multiline)]
    private static partial Regex NamespaceLine();

    [GeneratedRegex(@"^using (static |\w+ = )?(Isthmus[\w.]*)", RegexOptions.Multiline)]
    private static partial Regex UsingLine();
}

using System.Text.RegularExpressions;
using Mono.Cecil;

namespace Isthmus.Structure;

/// <summary>Finds classes that are too long and methods with too many parameters.</summary>
internal static partial class Sizes
{
    internal const int LongestClass = 450;
    internal const int MostParameters = 7;

    /// <summary>The lines of each class, summed over all files of a partial class.</summary>
    /// <param name="sources">The folder with the sources.</param>
    internal static IEnumerable<(string Name, int Lines)> Classes(string sources) =>
        from path in Directory.EnumerateFiles(sources, "*.cs", SearchOption.AllDirectories)
        let lines = File.ReadAllLines(path)
        let space = lines.Select(line => NamespaceLine().Match(line)).FirstOrDefault(match => match.Success)?.Groups[1].Value ?? ""
        from part in Parts(lines)
        group part.Lines by $"{space}.{part.Name}" into type
        select (type.Key, type.Sum());

    /// <summary>Records in these namespaces mirror API objects, Envoy's resources and the mesh file: they have a member for each field.</summary>
    private static readonly string[] Mirrors = ["Isthmus.Mesh.Model", "Isthmus.Mesh.Generate", "Isthmus.Proxy.Snapshot", "Isthmus.Operate.MeshFile"];

    /// <summary>Methods and constructors with too many parameters, except records that mirror messages and objects.</summary>
    internal static IEnumerable<(string Name, int Count)> LongLists(string assembly)
    {
        using var module = ModuleDefinition.ReadModule(assembly);
        var own = module.Types.Where(type => type.Namespace.StartsWith("Isthmus", StringComparison.Ordinal)).ToHashSet();
        return [.. from type in module.GetTypes()
            where own.Contains(Outermost(type)) && !type.Name.Contains('<', StringComparison.Ordinal)
            from method in type.Methods
            where method.Parameters.Count > MostParameters && !method.IsPInvokeImpl && !method.Name.Contains('<', StringComparison.Ordinal)
                && !(IsRecord(type) && (method.Name == "Deconstruct" || (method.IsConstructor && Mirrors.Contains(Outermost(type).Namespace))))
            select ($"{type.FullName}.{method.Name}", method.Parameters.Count)];
    }

    private static bool IsRecord(TypeDefinition type) => type.Methods.Any(method => method.Name is "<Clone>$" or "PrintMembers");

    private static TypeDefinition Outermost(TypeDefinition type)
    {
        while (type.DeclaringType is not null) type = type.DeclaringType;
        return type;
    }

    /// <summary>The outermost types of a file: each begins at the margin and ends with a brace there.</summary>
    internal static IEnumerable<(string Name, int Lines)> Parts(string[] lines)
    {
        for (var i = 0; i < lines.Length; i++)
        {
            if (TypeLine().Match(lines[i]) is not { Success: true } match) continue;
            var begin = i;
            var hasBody = false;
            for (; i < lines.Length && lines[i] != "}"; i++)
            {
                hasBody |= lines[i] == "{";
                // A type without a body, or with one on the same line, may be followed by another.
                if (!hasBody && (lines[i].EndsWith(';') || lines[i].EndsWith('}'))) break;
            }
            yield return (match.Groups[1].Value, i - begin + 1);
        }
    }

    [GeneratedRegex(@"^namespace ([\w.]+);")]
    private static partial Regex NamespaceLine();

    [GeneratedRegex(@"^(?:[a-z]+ )*(?:class|struct|interface|record(?: struct| class)?) (\w+(?:<[\w, ]+>)?)")]
    private static partial Regex TypeLine();
}

using System.Collections.Frozen;
using Google.Protobuf.Reflection;

namespace Isthmus.Mesh.Config;

/// <summary>
/// The fields of Envoy's messages that proxies of Isthmus honour, and the types of typed configuration that they know. Control plane and
/// proxy share no code, so the list is a file: a test compares it with what the proxy's code reads.
/// </summary>
internal static class ProxyFields
{
    /// <summary>The file, among the resources of this assembly.</summary>
    public const string File = "proxy-fields.txt";

    private static readonly Lazy<(FrozenSet<string> Fields, FrozenSet<string> Types, FrozenSet<string> Idle)> Known = new(Load);

    public static bool Honours(FieldDescriptor field) => Known.Value.Fields.Contains(field.FullName);

    /// <summary>Whether a field that people write has no effect, and needs none.</summary>
    public static bool IsIdle(FieldDescriptor field) => Known.Value.Idle.Contains(field.FullName);

    /// <summary>Whether proxies know typed configuration of a type.</summary>
    public static bool Knows(string type) => Known.Value.Types.Contains(type);

    private static (FrozenSet<string>, FrozenSet<string>, FrozenSet<string>) Load()
    {
        using var reader = new StreamReader(typeof(ProxyFields).Assembly.GetManifestResourceStream(File)!);
        HashSet<string> fields = [], types = [], idle = [];
        while (reader.ReadLine() is { } line)
        {
            if (line.StartsWith('#') || line.Length == 0) continue;
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            var type = line[..colon];
            if (type.StartsWith('@')) types.Add(type[1..]);
            foreach (var name in line[(colon + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries))
                (name.EndsWith('?') ? idle : fields).Add($"{type.TrimStart('@')}.{name.TrimEnd('?')}");
        }
        return (fields.ToFrozenSet(StringComparer.Ordinal), types.ToFrozenSet(StringComparer.Ordinal), idle.ToFrozenSet(StringComparer.Ordinal));
    }
}

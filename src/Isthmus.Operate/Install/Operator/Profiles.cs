using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Yaml;

namespace Isthmus.Operate.Install.Operator;

/// <summary>The built-in profiles: each is laid over <c>default</c>.</summary>
public static class Profiles
{
    private const string Base = "default";

    public static IReadOnlyList<string> Names { get; } =
        [.. typeof(Profiles).Assembly.GetManifestResourceNames()
            .Where(name => name.StartsWith("profiles/", StringComparison.Ordinal))
            .Select(name => Path.GetFileNameWithoutExtension(name)).Order(StringComparer.Ordinal)];

    /// <summary>The spec of a profile; a fresh tree each time.</summary>
    public static JsonObject Load(string name)
    {
        if (!Names.Contains(name))
            throw new ProblemException($"profile \"{name}\"", "does not exist", $"profiles are: {string.Join(", ", Names)}");
        var spec = Read(Base);
        if (name != Base) Overlay.Merge(spec, Read(name));
        spec["profile"] = name;
        return spec;
    }

    private static JsonObject Read(string name)
    {
        using var stream = typeof(Profiles).Assembly.GetManifestResourceStream($"profiles/{name}.yaml")!;
        using var reader = new StreamReader(stream);
        return (JsonObject)YamlText.Parse(reader.ReadToEnd(), $"profile {name}")!["spec"]!.DeepClone();
    }
}

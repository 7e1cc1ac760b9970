using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Testing;

namespace Isthmus.Tests.Effects;

/// <summary>Objects that together have every field that works, in <c>samples/KIND.yaml</c>.</summary>
internal static class ApiSamples
{
    private const string Folder = "tests/Isthmus.Tests.Effects/samples";

    internal static string FileOf(string kind) => $"{Folder}/{kind}.yaml";

    private static readonly ConcurrentDictionary<string, IReadOnlyList<JsonNode>> Known = [];

    /// <summary>Read once. Whoever changes one makes a copy.</summary>
    internal static IReadOnlyList<JsonNode> Read(string kind) => Known.GetOrAdd(kind, static kind =>
        File.Exists(Repository.At(FileOf(kind))) ? YamlText.ParseAll(File.ReadAllText(Repository.At(FileOf(kind))), FileOf(kind)) : []);

    /// <summary>The same object without a field; null if it does not have the field.</summary>
    internal static JsonNode? Without(JsonNode sample, string path)
    {
        var copy = sample.DeepClone();
        return Remove(copy,
            path.Replace("[]", ".[]", StringComparison.Ordinal).Replace("{}", ".{}", StringComparison.Ordinal).TrimEnd('.', '[', ']', '{', '}').Split('.'), 0)
            ? copy
            : null;
    }

    private static bool Remove(JsonNode? node, string[] steps, int at)
    {
        var (step, isLast) = (steps[at], at == steps.Length - 1);
        return (node, step) switch
        {
            (JsonArray list, "[]") => list.Aggregate(false, (found, item) => Remove(item, steps, at + 1) | found),
            (JsonObject map, "{}") => map.Aggregate(false, (found, item) => Remove(item.Value, steps, at + 1) | found),
            (JsonObject map, _) when isLast => map.Remove(step),
            (JsonObject map, _) => Remove(map[step], steps, at + 1),
            _ => false,
        };
    }
}

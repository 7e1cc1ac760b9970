using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;

namespace Isthmus.Kubernetes.Objects;

/// <summary>What all objects have, with its types: of a tree that does not come from an API server, nothing is known.</summary>
public static class ObjectHead
{
    private static readonly string[] Own = ["apiVersion", "kind"], Texts = ["name", "generateName", "namespace", "uid", "resourceVersion"],
        Maps = ["labels", "annotations"];

    /// <param name="path">Where the object is, for messages: empty, or with a dot at its end.</param>
    /// <exception cref="JsonException">A value has another type.</exception>
    public static void Check(JsonObject item, string path)
    {
        foreach (var name in Own) Text(item, name, path);
        Object(item, "spec", path);
        if (Object(item, "metadata", path) is not { } metadata) return;
        path += "metadata.";
        foreach (var name in Texts) Text(metadata, name, path);
        foreach (var name in Maps)
        {
            if (Object(metadata, name, path) is not { } map) continue;
            foreach (var (key, _) in map) Text(map, key, $"{path}{name}.");
        }
    }

    /// <summary>A member that is an object; null if there is none.</summary>
    /// <exception cref="JsonException">It is something else.</exception>
    public static JsonObject? Object(JsonObject parent, string name, string path) => parent[name] switch
    {
        null => null,
        JsonObject value => value,
        _ => throw new JsonException($"{path}{name} is not a JSON object"),
    };

    /// <summary>A member that is a string; empty if there is none.</summary>
    /// <exception cref="JsonException">It is something else.</exception>
    public static string Text(JsonObject parent, string name, string path) => parent[name] switch
    {
        null => "",
        JsonValue value when value.TryGetValue<string>(out var text) => text,
        _ => throw new JsonException($"{path}{Visible.Text(name)} is not a string"),
    };
}

using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Core.Names;

namespace Isthmus.Injection;

/// <summary>Volumes that a Pod's annotations add to its proxy, as JSON: a list, or a mapping whose keys are the names.</summary>
internal static class UserVolumes
{
    private const string Volume = Annotations.UserVolume, Mount = "sidecar.istio.io/userVolumeMount";

    /// <summary>The names of the volumes that were added.</summary>
    internal static IReadOnlyList<string> Apply(JsonObject spec, JsonObject proxy, InjectionInputs inputs)
    {
        var volumes = Read(inputs, Volume);
        Add(spec, "volumes", volumes);
        Add(proxy, "volumeMounts", Read(inputs, Mount));
        return [.. volumes.Select(volume => volume["name"]!.ToString())];
    }

    private static List<JsonObject> Read(InjectionInputs inputs, string annotation)
    {
        if (inputs.Annotation(annotation) is not { Length: > 0 } text) return [];
        JsonNode? node;
        try { node = StrictJson.Parse(text); }
        catch (JsonException e) { throw InjectionInputs.Bad(annotation, text, $"it is not JSON: {e.Message}"); }
        var items = node switch
        {
            JsonArray list => list.Select(item => ("", item)),
            JsonObject map => map.Select(item => (item.Key, item.Value)),
            _ => throw InjectionInputs.Bad(annotation, text, "it must be a JSON list, or a mapping of names"),
        };
        return [.. items.Select(item => Named(item.Item1,
            item.Item2 as JsonObject ?? throw InjectionInputs.Bad(annotation, text, "each item must be a mapping"), annotation, text))];
    }

    private static JsonObject Named(string name, JsonObject item, string annotation, string text)
    {
        var made = (JsonObject)item.DeepClone();
        if (name.Length > 0) made["name"] = name;
        return made["name"] is null ? throw InjectionInputs.Bad(annotation, text, "each item needs a name") : made;
    }

    private static void Add(JsonObject owner, string field, List<JsonObject> items)
    {
        if (items.Count == 0) return;
        var list = owner[field] as JsonArray ?? (JsonArray)(owner[field] = new JsonArray())!;
        foreach (var item in items) list.Add((JsonNode)item);
    }
}

using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Lab.ApiServer.Objects;

/// <summary>An object's apiVersion and kind.</summary>
internal readonly record struct TypeMeta(string ApiVersion, string Kind);

/// <summary>Metadata in the form that objects carry it.</summary>
internal static class Stamp
{
    /// <summary>
    /// A complete object for the store, which neither defaults nor stamps: metadata with name, uid and time, then
    /// <paramref name="fields"/>.
    /// </summary>
    public static JsonObject New(
        TypeMeta type, string ns, string name, DateTimeOffset now, JsonObject fields,
        IEnumerable<KeyValuePair<string, string>>? labels = null, IEnumerable<KeyValuePair<string, string>>? annotations = null)
    {
        var metadata = new JsonObject { ["name"] = name };
        if (ns.Length > 0) metadata["namespace"] = ns;
        metadata["uid"] = Guid.NewGuid().ToString();
        metadata["creationTimestamp"] = ApiTime.Seconds(now);
        if (labels is not null) metadata["labels"] = Map(labels);
        if (annotations is not null) metadata["annotations"] = Map(annotations);
        var made = new JsonObject { ["kind"] = type.Kind, ["apiVersion"] = type.ApiVersion, ["metadata"] = metadata };
        foreach (var (key, value) in fields.ToList())
        {
            fields.Remove(key);
            made[key] = value;
        }
        return made;
    }

    private static JsonObject Map(IEnumerable<KeyValuePair<string, string>> pairs) =>
        new(pairs.Select(pair => KeyValuePair.Create(pair.Key, (JsonNode?)pair.Value)));
}

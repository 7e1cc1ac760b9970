using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Writes;

/// <summary>metadata.generation increases when the desired state changes, not when the status does.</summary>
internal static class Generations
{
    internal static void Update(KindDescriptor kind, JsonObject old, JsonObject next)
    {
        var generation = Json.Whole(Metadata.Of(old)["generation"]) ?? 1;
        Metadata.Of(next)["generation"] = Same(kind, old, next) ? generation : generation + 1;
    }

    private static bool Same(KindDescriptor kind, JsonObject old, JsonObject next)
    {
        var hasStatus = kind.Subresource("status") is not null;
        var names = old.Select(pair => pair.Key).Union(next.Select(pair => pair.Key));
        foreach (var name in names)
        {
            if (name is "metadata" or "kind" or "apiVersion" || (name == "status" && (hasStatus || !kind.IsCustom))) continue;
            if (!JsonNode.DeepEquals(old[name], next[name])) return false;
        }
        return true;
    }
}

/// <summary>Fields of metadata in the order in which a real server prints them.</summary>
internal static class MetadataOrder
{
    private static readonly string[] Order =
    [
        "name", "generateName", "namespace", "selfLink", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
        "deletionGracePeriodSeconds", "labels", "annotations", "ownerReferences", "finalizers", "managedFields",
    ];

    internal static void Sort(JsonObject metadata)
    {
        var values = metadata.ToDictionary(pair => pair.Key, pair => pair.Value);
        metadata.Clear();
        foreach (var name in Order)
        {
            if (name == "resourceVersion") metadata[name] = "";
            if (values.Remove(name, out var value)) metadata[name] = value;
        }
        foreach (var (name, value) in values) metadata[name] = value;
    }
}

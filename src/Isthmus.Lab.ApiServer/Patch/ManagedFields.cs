using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Patch;

/// <summary>One entry of metadata.managedFields.</summary>
internal sealed record FieldManager(string Name, bool IsApply, string ApiVersion, string Subresource, string Time, FieldSet Fields)
{
    internal bool IsSame(FieldManager other) =>
        Name == other.Name && IsApply == other.IsApply && ApiVersion == other.ApiVersion && Subresource == other.Subresource;

    internal static List<FieldManager> ReadAll(JsonNode? managedFields) =>
        [.. (managedFields as JsonArray ?? []).OfType<JsonObject>().Where(entry => entry.Count > 0).Select(entry => new FieldManager(
            Json.Text(entry["manager"]), Json.Text(entry["operation"]) == "Apply", Json.Text(entry["apiVersion"]), Json.Text(entry["subresource"]),
            Json.Text(entry["time"]), FieldSet.Read(entry["fieldsV1"])))];

    internal JsonObject ToJson()
    {
        var entry = new JsonObject
        {
            ["manager"] = Name,
            ["operation"] = IsApply ? "Apply" : "Update",
            ["apiVersion"] = ApiVersion,
            ["time"] = Time,
            ["fieldsType"] = "FieldsV1",
            ["fieldsV1"] = Fields.ToJson(),
        };
        if (Subresource.Length > 0) entry["subresource"] = Subresource;
        return entry;
    }
}

/// <summary>Who set which field. Recorded for each write, because server-side apply must know who else owns a field.</summary>
internal static class ManagedFields
{
    /// <param name="sent">managedFields as the client sent them: a list replaces what was kept, and `[{}]` clears it.</param>
    internal static void Update(JsonObject? old, JsonObject next, WriteRequest request, DateTimeOffset now, JsonNode? sent = null)
    {
        var managers = FieldManager.ReadAll(sent ?? (old is null ? null : Metadata.Of(old)["managedFields"]));
        if (sent is JsonArray list && list.Count > 0 && managers.Count == 0)
        {
            Metadata.Of(next).Remove("managedFields");
            return;
        }
        var changes = FieldChanges.Between(old, next, MergeType.Of(request.Kind));
        var self = new FieldManager(request.Manager, false, request.Kind.ApiVersion, request.Attributes.Subresource, ApiTime.Seconds(now), changes.Set);
        if (!changes.Set.IsEmpty || !changes.Removed.IsEmpty) managers = Apply(managers, self, changes);
        Write(next, managers);
    }

    /// <summary>Takes changed fields from the others and gives them to the writer; removed fields have no owner.</summary>
    private static List<FieldManager> Apply(List<FieldManager> managers, FieldManager self, FieldChanges changes)
    {
        var result = new List<FieldManager>();
        var gone = changes.Set.Union(changes.Removed);
        var before = managers.Find(self.IsSame);
        foreach (var manager in managers)
        {
            if (manager.IsSame(self)) continue;
            result.Add(manager with { Fields = manager.Fields.Difference(gone) });
        }
        result.Add(self with { Fields = (before?.Fields.Difference(changes.Removed) ?? new()).Union(changes.Set) });
        return result;
    }

    internal static void Write(JsonObject o, IEnumerable<FieldManager> managers)
    {
        var entries = managers.Where(manager => !manager.Fields.IsEmpty)
            .OrderByDescending(manager => manager.IsApply).ThenBy(manager => manager.Time, StringComparer.Ordinal)
            .ThenBy(manager => manager.Name, StringComparer.Ordinal)
            .Select(manager => (JsonNode)manager.ToJson()).ToArray();
        if (entries.Length == 0) Metadata.Of(o).Remove("managedFields");
        else Metadata.Of(o)["managedFields"] = new JsonArray(entries);
    }

    /// <summary>The same managers with the same fields; times do not count.</summary>
    internal static bool SameOwners(JsonArray? old, JsonArray? next)
    {
        if (old is null || next is null) return (old?.Count ?? 0) == (next?.Count ?? 0);
        return old.Count == next.Count && old.Zip(next).All(pair => JsonNode.DeepEquals(WithoutTime(pair.First), WithoutTime(pair.Second)));
    }

    private static JsonNode? WithoutTime(JsonNode? entry)
    {
        var copy = entry?.DeepClone();
        (copy as JsonObject)?.Remove("time");
        return copy;
    }
}

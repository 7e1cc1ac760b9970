using System.Text.Json.Nodes;

namespace Isthmus.Lab.ApiServer.Patch;

/// <summary>Which fields differ between two versions of an object.</summary>
internal sealed class FieldChanges
{
    private static readonly string[] SystemFields =
    [
        "name", "namespace", "uid", "selfLink", "generation", "resourceVersion", "creationTimestamp", "deletionTimestamp",
        "deletionGracePeriodSeconds", "managedFields",
    ];

    /// <summary>Added or changed.</summary>
    internal FieldSet Set { get; } = new();

    internal FieldSet Removed { get; } = new();

    internal static FieldChanges Between(JsonObject? old, JsonObject next, MergeType type)
    {
        var changes = new FieldChanges();
        var before = Stripped(old ?? []);
        changes.Map(before, Stripped(next), type, changes.Set, changes.Removed);
        return changes;
    }

    /// <summary>All fields that an applied configuration has.</summary>
    internal static FieldSet Of(JsonObject applied, MergeType type)
    {
        var set = new FieldSet();
        Collect(Stripped(applied), type, set, false);
        return set;
    }

    /// <summary>Removes what nobody owns: type, names and the fields that the server maintains.</summary>
    internal static JsonObject Stripped(JsonObject o)
    {
        var copy = (JsonObject)o.DeepClone();
        copy.Remove("kind");
        copy.Remove("apiVersion");
        if (copy["metadata"] is not JsonObject metadata) return copy;
        foreach (var field in SystemFields) metadata.Remove(field);
        if (metadata.Count == 0) copy.Remove("metadata");
        return copy;
    }

    /// <param name="containers">Lists and maps count as fields of their own.</param>
    private static void Collect(JsonNode? value, MergeType type, FieldSet set, bool containers)
    {
        switch (type.Shape(value))
        {
            case MergeShape.Map:
                if (containers && type.IsPlainMap) set.Member = true;
                foreach (var (name, child) in (JsonObject)value!)
                {
                    var inner = set.Child("f:" + name);
                    Collect(child, type.Field(name), inner, containers);
                    if (child is JsonObject { Count: 0 }) inner.Member = true;
                }
                break;
            case MergeShape.KeyedList or MergeShape.Set:
                if (containers) set.Member = true;
                foreach (var item in (JsonArray)value!)
                {
                    var inner = set.Child(ItemKeys.Of(type, item));
                    if (type.Shape(value) == MergeShape.KeyedList) Collect(item, type.Item, inner, containers);
                    inner.Member = true;
                }
                break;
            default:
                set.Member = true;
                break;
        }
    }

    private void Map(JsonObject old, JsonObject next, MergeType type, FieldSet set, FieldSet removed)
    {
        foreach (var (name, value) in next)
            Value(old[name], old.ContainsKey(name), value, type.Field(name), set.Child("f:" + name), removed.Child("f:" + name));
        foreach (var (name, value) in old)
            if (!next.ContainsKey(name)) All(value, type.Field(name), removed.Child("f:" + name));
    }

    private void Value(JsonNode? old, bool existed, JsonNode? next, MergeType type, FieldSet set, FieldSet removed)
    {
        var shape = type.Shape(next);
        if (!existed || shape != type.Shape(old))
        {
            All(next, type, set);
            return;
        }
        switch (shape)
        {
            case MergeShape.Map:
                Map((JsonObject)old!, (JsonObject)next!, type, set, removed);
                break;
            case MergeShape.KeyedList or MergeShape.Set:
                Items((JsonArray)old!, (JsonArray)next!, type, shape, set, removed);
                break;
            default:
                if (!JsonNode.DeepEquals(old, next)) set.Member = true;
                break;
        }
    }

    private void Items(JsonArray old, JsonArray next, MergeType type, MergeShape shape, FieldSet set, FieldSet removed)
    {
        var before = new Dictionary<string, JsonNode?>(StringComparer.Ordinal);
        foreach (var item in old) before[ItemKeys.Of(type, item)] = item;
        foreach (var item in next)
        {
            var key = ItemKeys.Of(type, item);
            if (!before.Remove(key, out var held)) All(item, type.Item, set.Child(key), true);
            else if (shape == MergeShape.KeyedList) Value(held, true, item, type.Item, set.Child(key), removed.Child(key));
        }
        foreach (var (key, item) in before) All(item, type.Item, removed.Child(key), true);
    }

    /// <summary>Includes all fields inside, and the containers that were added or removed with them.</summary>
    private static void All(JsonNode? value, MergeType type, FieldSet set, bool isItem = false)
    {
        Collect(value, type, set, true);
        if (isItem) set.Member = true;
    }
}

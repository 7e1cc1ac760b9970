using System.Text.Json.Nodes;

namespace Isthmus.Lab.ApiServer.Patch;

/// <summary>Merging and removing along the types of fields.</summary>
internal static class TypedMerge
{
    /// <summary>Returns a new tree: the applied fields over the existing ones.</summary>
    internal static JsonNode? Merge(JsonNode? live, JsonNode? applied, MergeType type)
    {
        var shape = type.Shape(applied);
        if (shape == MergeShape.Atomic || shape != type.Shape(live)) return applied?.DeepClone();
        return shape switch
        {
            MergeShape.Map => Maps((JsonObject)live!, (JsonObject)applied!, type),
            _ => Lists((JsonArray)live!, (JsonArray)applied!, type, shape),
        };
    }

    private static JsonObject Maps(JsonObject live, JsonObject applied, MergeType type)
    {
        var result = new JsonObject();
        foreach (var (name, value) in live)
            result[name] = applied.ContainsKey(name) ? Merge(value, applied[name], type.Field(name)) : value?.DeepClone();
        foreach (var (name, value) in applied)
            if (!live.ContainsKey(name)) result[name] = value?.DeepClone();
        return result;
    }

    /// <summary>Applied items in their order, the others where they stand relative to those.</summary>
    private static JsonArray Lists(JsonArray live, JsonArray applied, MergeType type, MergeShape shape)
    {
        var held = new Dictionary<string, JsonNode?>(StringComparer.Ordinal);
        foreach (var item in live) held[ItemKeys.Of(type, item)] = item;
        var wanted = applied.Select(item => ItemKeys.Of(type, item)).ToHashSet(StringComparer.Ordinal);
        var result = new JsonArray();
        var (left, right) = (0, 0);
        while (left < live.Count || right < applied.Count)
        {
            if (left < live.Count && !wanted.Contains(ItemKeys.Of(type, live[left])))
            {
                result.Add(live[left++]?.DeepClone());
                continue;
            }
            if (right >= applied.Count)
            {
                left++;
                continue;
            }
            var key = ItemKeys.Of(type, applied[right]);
            result.Add(held.TryGetValue(key, out var old) && shape == MergeShape.KeyedList
                ? Merge(old, applied[right], type.Item)
                : applied[right]?.DeepClone());
            right++;
            if (left < live.Count) left++;
        }
        return result;
    }

    /// <summary>
    /// Removes what is in <paramref name="gone"/> but not in <paramref name="kept"/>, and containers that this leaves empty.
    /// </summary>
    internal static void Remove(JsonNode? value, FieldSet gone, FieldSet kept, MergeType type)
    {
        switch (type.Shape(value))
        {
            case MergeShape.Map:
                var map = (JsonObject)value!;
                foreach (var (key, inner) in gone.Children)
                {
                    var name = key[2..];
                    if (!map.TryGetPropertyValue(name, out var child)) continue;
                    var keep = kept.Children.GetValueOrDefault(key) ?? new();
                    if (keep.IsEmpty && inner.Member)
                    {
                        map.Remove(name);
                        continue;
                    }
                    Remove(child, inner, keep, type.Field(name));
                    if (keep.IsEmpty && child is JsonObject { Count: 0 } or JsonArray { Count: 0 }) map.Remove(name);
                }
                break;
            case MergeShape.KeyedList or MergeShape.Set:
                var list = (JsonArray)value!;
                foreach (var (key, inner) in gone.Children)
                {
                    var index = Enumerable.Range(0, list.Count).FirstOrDefault(i => ItemKeys.Of(type, list[i]) == key, -1);
                    if (index < 0) continue;
                    var keep = kept.Children.GetValueOrDefault(key) ?? new();
                    if (keep.IsEmpty) list.RemoveAt(index);
                    else Remove(list[index], inner, keep, type.Item);
                }
                break;
        }
    }
}

using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Schemas;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Patch;

/// <summary>
/// Kubernetes' own patch: maps merge, lists that have a merge key merge by it, and directives control the rest
/// (`$patch`, `$retainKeys`, `$setElementOrder/x`, `$deleteFromPrimitiveList/x`). The order of results follows apimachinery's
/// strategicpatch.
/// </summary>
public static class StrategicMergePatch
{
    private const string Directive = "$patch";
    private const string RetainKeys = "$retainKeys";
    private const string OrderPrefix = "$setElementOrder/";
    private const string DeletePrefix = "$deleteFromPrimitiveList/";

    /// <summary>Changes <paramref name="target"/> and returns it. The patch is not changed.</summary>
    /// <param name="type">Type of the object; null merges maps and replaces lists.</param>
    /// <exception cref="ApiException">500: the patch cannot be applied.</exception>
    public static JsonObject Apply(JsonObject patch, JsonObject target, TypeSchema? type) =>
        MergeMap(target, (JsonObject)patch.DeepClone(), type);

    private static JsonObject MergeMap(JsonObject original, JsonObject patch, TypeSchema? type)
    {
        if (patch.ContainsKey(Directive))
        {
            switch (Text(patch[Directive]))
            {
                case "replace":
                    patch.Remove(Directive);
                    return (JsonObject)Clean(patch)!;
                case "delete":
                    return [];
                case "merge":
                    patch.Remove(Directive);
                    break;
                default:
                    throw Bad($"unknown patch type found: {patch[Directive]?.ToJsonString()}");
            }
        }
        Retain(original, patch);
        MergeOrdered(original, patch, type);
        foreach (var name in patch.Select(pair => pair.Key).ToList())
        {
            var value = patch[name];
            patch.Remove(name);
            MergeField(original, name, value, type);
        }
        return original;
    }

    private static void MergeField(JsonObject original, string name, JsonNode? value, TypeSchema? type)
    {
        if (name.StartsWith(DeletePrefix, StringComparison.Ordinal))
        {
            if (original[name[DeletePrefix.Length..]] is JsonArray list) DeleteFrom(list, value as JsonArray ?? throw Bad("expected a list: " + name));
            return;
        }
        if (value is null)
        {
            original.Remove(name);
            return;
        }
        var field = type?.Field(name);
        switch (original[name], value)
        {
            case (JsonObject old, JsonObject next) when field is not { Replaces: true }:
                var subType = field is null ? null : type!.TypeOf(field);
                // The values of a map are plain here: no map of the API holds messages with merge keys.
                var merged = MergeMap(old, next, field?.Shape == FieldShape.Map ? null : subType);
                if (!ReferenceEquals(merged, old)) original[name] = merged;
                break;
            case (JsonArray old, JsonArray next) when field is { Merges: true }:
                original[name] = MergeList(old, next, type!, field);
                break;
            default:
                original[name] = Clean(value);
                break;
        }
    }

    private static void Retain(JsonObject original, JsonObject patch)
    {
        if (!patch.Remove(RetainKeys, out var directive)) return;
        if (directive is not JsonArray keys) throw Bad("invalid $retainKeys: expected a list");
        var kept = keys.Select(Text).ToHashSet(StringComparer.Ordinal);
        foreach (var (name, value) in patch)
            if (value is not null && !name.StartsWith('$') && !kept.Contains(name))
                throw Bad($"the key {name} is in the patch but not in {RetainKeys}");
        foreach (var name in original.Select(pair => pair.Key).Where(name => !kept.Contains(name)).ToList()) original.Remove(name);
    }

    private static void MergeOrdered(JsonObject original, JsonObject patch, TypeSchema? type)
    {
        foreach (var directive in patch.Select(pair => pair.Key).Where(name => name.StartsWith(OrderPrefix, StringComparison.Ordinal)).ToList())
        {
            var order = patch[directive] as JsonArray ?? throw Bad($"expected a list: {directive}");
            patch.Remove(directive);
            var name = directive[OrderPrefix.Length..];
            var field = type?.Field(name);
            patch.Remove(name, out var patchValue);
            var old = original[name] as JsonArray;
            if (patchValue is not JsonArray && patchValue is not null) throw Bad($"expected a list: {name}");
            if (old is null && patchValue is null) continue;
            var key = field?.MergeKey ?? "";
            var before = (JsonArray?)old?.DeepClone() ?? [];
            var merged = patchValue is not JsonArray added ? before
                : old is null ? (JsonArray)Clean(added)!
                : field is { Merges: true } ? MergeList(old, added, type!, field)
                : added;
            original[name] = Order((JsonArray)merged.DeepClone(), order, before, key);
        }
    }

    private static JsonArray MergeList(JsonArray original, JsonArray patch, TypeSchema owner, FieldSchema field)
    {
        var before = (JsonArray)original.DeepClone();
        if (field.MergeKey.Length == 0)
        {
            var set = (JsonArray)original.DeepClone();
            foreach (var item in patch)
                if (!set.Any(held => JsonNode.DeepEquals(held, item))) set.Add(item?.DeepClone());
            return Order(set, patch, before, "");
        }
        var items = original.Select(item => item?.DeepClone()).ToList();
        var added = new List<JsonObject>();
        var replace = false;
        foreach (var node in patch)
        {
            if (node is not JsonObject element) throw Bad($"a list merged by {field.MergeKey} must hold maps: {field.Name}");
            switch (element.ContainsKey(Directive) ? Text(element[Directive]) : "")
            {
                case "":
                    added.Add((JsonObject)element.DeepClone());
                    break;
                case "delete":
                    var key = KeyOf(element, field);
                    items.RemoveAll(item => JsonNode.DeepEquals((item as JsonObject)?[field.MergeKey], key));
                    break;
                case "replace":
                    replace = true;
                    break;
                case "merge":
                    throw Bad("merging lists cannot yet be specified in the patch");
                default:
                    throw Bad($"unknown patch type found: {element[Directive]?.ToJsonString()}");
            }
        }
        if (replace) return new([.. added.Select(Clean)]);
        foreach (var element in added) MergeElement(items, element, owner, field);
        return Order(new([.. items]), new([.. added.Select(element => element.DeepClone())]), before, field.MergeKey);
    }

    private static void MergeElement(List<JsonNode?> items, JsonObject element, TypeSchema owner, FieldSchema field)
    {
        var key = KeyOf(element, field);
        var index = items.FindIndex(item => JsonNode.DeepEquals((item as JsonObject)?[field.MergeKey], key));
        if (index < 0) items.Add(Clean(element.DeepClone()));
        else items[index] = MergeMap((JsonObject)items[index]!, (JsonObject)element.DeepClone(), owner.TypeOf(field));
    }

    private static JsonNode KeyOf(JsonObject element, FieldSchema field) =>
        element[field.MergeKey] ?? throw Bad($"map: {element.ToJsonString(JsonText.Relaxed)} does not contain declared merge key: {field.MergeKey}");

    private static void DeleteFrom(JsonArray list, JsonArray gone)
    {
        for (var i = list.Count - 1; i >= 0; i--)
            if (gone.Any(item => JsonNode.DeepEquals(item, list[i]))) list.RemoveAt(i);
    }

    /// <summary>
    /// Items that the order names stand in that order; the others keep their places relative to what was there before.
    /// Where nothing says which comes first, the named one does.
    /// </summary>
    private static JsonArray Order(JsonArray merged, JsonArray order, JsonArray before, string key)
    {
        var items = merged.Select(item => item?.DeepClone()).ToList();
        var named = items.Where(item => Index(order, item, key) >= 0).OrderBy(item => Index(order, item, key)).ToList();
        var others = items.Where(item => Index(order, item, key) < 0).OrderBy(item => Index(before, item, key)).ToList();
        var result = new JsonArray();
        var (left, right) = (0, 0);
        while (left < others.Count || right < named.Count)
        {
            var takeOther = right >= named.Count;
            if (!takeOther && left < others.Count)
            {
                var (a, b) = (Index(before, others[left], key), Index(before, named[right], key));
                takeOther = a >= 0 && b >= 0 && a < b;
            }
            result.Add(takeOther ? others[left++] : named[right++]);
        }
        return result;
    }

    private static int Index(JsonArray list, JsonNode? item, string key)
    {
        var wanted = key.Length == 0 ? item : (item as JsonObject)?[key];
        for (var i = 0; i < list.Count; i++)
            if (JsonNode.DeepEquals(key.Length == 0 ? list[i] : (list[i] as JsonObject)?[key], wanted)) return i;
        return -1;
    }

    /// <summary>What a patch adds anew carries no nulls and no directives.</summary>
    private static JsonNode? Clean(JsonNode? node)
    {
        switch (node)
        {
            case JsonObject o:
                var clean = new JsonObject();
                foreach (var (name, value) in o)
                    if (value is not null && name != Directive && name != RetainKeys && !name.StartsWith(OrderPrefix, StringComparison.Ordinal)
                        && !name.StartsWith(DeletePrefix, StringComparison.Ordinal))
                        clean[name] = Clean(value);
                return clean;
            case JsonArray list:
                return new JsonArray([.. list.Where(item => !IsDeletion(item)).Select(Clean)]);
            default:
                return node?.DeepClone();
        }
    }

    private static bool IsDeletion(JsonNode? item) => item is JsonObject o && Text(o[Directive]) is "delete" or "replace";

    private static string Text(JsonNode? node) => node is JsonValue value && value.TryGetValue<string>(out var text) ? text : "";

    private static ApiException Bad(string why) => new(500, "", why, withDetails: false);
}

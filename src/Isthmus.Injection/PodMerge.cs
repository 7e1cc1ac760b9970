using System.Text.Json.Nodes;

namespace Isthmus.Injection;

/// <summary>Strategic merge of a part of a Pod over another: lists that have a key (core/v1 Pod, <c>x-kubernetes-patch-merge-key</c>) are merged by it,
/// other lists are replaced, null removes a field, <c>$patch: delete</c> an item, and <c>$patch: replace</c> what was there before.</summary>
internal static class PodMerge
{
    private const string Directive = "$patch";

    private static readonly Dictionary<string, string> Keys = new(StringComparer.Ordinal)
    {
        ["containers"] = "name", ["initContainers"] = "name", ["volumes"] = "name", ["imagePullSecrets"] = "name", ["hostAliases"] = "ip",
        ["topologySpreadConstraints"] = "topologyKey",
        ["env"] = "name", ["volumeMounts"] = "mountPath", ["ports"] = "", ["volumeDevices"] = "devicePath", ["resourceClaims"] = "name",
    };

    /// <param name="target">What is changed.</param>
    /// <param name="overrides">What is merged over it.</param>
    /// <param name="portKey">The key of the lists <c>ports</c>: those of Services have another one.</param>
    internal static void Over(JsonObject target, JsonObject overrides, string portKey = "containerPort")
    {
        foreach (var (field, value) in overrides)
        {
            switch (value)
            {
                case null:
                    target.Remove(field);
                    break;
                case JsonObject inner when target[field] is JsonObject known && inner[Directive]?.ToString() != "replace":
                    Over(known, inner, portKey);
                    break;
                case JsonArray list when Keys.TryGetValue(field, out var key):
                    Merge(target[field] as JsonArray ?? (JsonArray)(target[field] = new JsonArray())!, list, field == "ports" ? portKey : key,
                        field is "containers" or "initContainers" || (field, portKey) is ("ports", "port"));
                    break;
                default:
                    target[field] = value.DeepClone();
                    if (target[field] is JsonObject replaced) replaced.Remove(Directive);
                    break;
            }
        }
    }

    /// <param name="isDeep">Whether items are merged field by field. Otherwise they are replaced: two sources of a variable or volume exclude each
    /// other.</param>
    private static void Merge(JsonArray target, JsonArray overrides, string key, bool isDeep)
    {
        var isWhole = overrides.Any(item => item is JsonObject { Count: 1 } only && only[Directive]?.ToString() == "replace");
        if (isWhole) target.Clear();
        foreach (var item in overrides.Where(item => !isWhole || (item as JsonObject)?.ContainsKey(Directive) != true))
        {
            // An item that is not a map has no key; the API server refuses it and names its index.
            var known = (item as JsonObject)?[key]?.ToString() is { } wanted
                ? target.FirstOrDefault(candidate => (candidate as JsonObject)?[key]?.ToString() == wanted)
                : null;
            if (item is JsonObject patch && patch[Directive]?.ToString() == "delete") target.Remove(known);
            else if (known is null) target.Add(item?.DeepClone());
            else if (isDeep && known is JsonObject container && item is JsonObject over) Over(container, over);
            else target[target.IndexOf(known)] = item!.DeepClone();
        }
    }
}

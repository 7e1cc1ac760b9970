using System.Text.Json.Nodes;

namespace Isthmus.Operate.Install.Operator;

/// <summary>Lays one spec over another: maps merge, lists of named items merge by name, everything else is replaced. A key without a value sets nothing,
/// except that an amount of a resource may be none: then it removes the one below.</summary>
public static class Overlay
{
    public static void Merge(JsonObject target, JsonObject overlay) => Merge(target, overlay, ofAmounts: false);

    private static void Merge(JsonObject target, JsonObject overlay, bool ofAmounts)
    {
        foreach (var (field, value) in overlay)
        {
            switch (value)
            {
                case null:
                    if (ofAmounts) target.Remove(field);
                    break;
                case JsonObject inner when target[field] is JsonObject known:
                    Merge(known, inner, field is "limits" or "requests");
                    break;
                case JsonArray list when field is "ingressGateways" or "egressGateways" && target[field] is JsonArray gateways:
                    MergeByName(gateways, list);
                    break;
                default:
                    target[field] = value.DeepClone();
                    break;
            }
        }
    }

    private static void MergeByName(JsonArray target, JsonArray overlay)
    {
        foreach (var item in overlay.OfType<JsonObject>())
        {
            var known = target.OfType<JsonObject>().FirstOrDefault(candidate => candidate["name"]?.ToString() == item["name"]?.ToString());
            if (known is null) target.Add(item.DeepClone());
            else Merge(known, item);
        }
    }
}

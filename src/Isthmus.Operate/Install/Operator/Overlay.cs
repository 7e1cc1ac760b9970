using System.Text.Json.Nodes;

namespace Isthmus.Operate.Install.Operator;

/// <summary>Lays one spec over another: maps merge, lists of named items merge by name, everything else is replaced.</summary>
public static class Overlay
{
    public static void Merge(JsonObject target, JsonObject overlay)
    {
        foreach (var (field, value) in overlay)
        {
            switch (value)
            {
                case null:
                    break; // a key without a value sets nothing
                case JsonObject inner when target[field] is JsonObject known:
                    Merge(known, inner);
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

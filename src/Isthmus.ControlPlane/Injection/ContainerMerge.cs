using System.Text.Json.Nodes;

namespace Isthmus.ControlPlane.Injection;

/// <summary>Strategic merge of one container over another (Kubernetes merge keys of core/v1 Container).</summary>
internal static class ContainerMerge
{
    private static readonly Dictionary<string, string> Keys = new(StringComparer.Ordinal)
    {
        ["env"] = "name", ["volumeMounts"] = "mountPath", ["ports"] = "containerPort", ["volumeDevices"] = "devicePath",
    };

    internal static void Over(JsonObject target, JsonObject overrides)
    {
        foreach (var (field, value) in overrides)
        {
            switch (value)
            {
                case JsonObject inner when target[field] is JsonObject known:
                    Over(known, inner);
                    break;
                case JsonArray list when target[field] is JsonArray known && Keys.TryGetValue(field, out var key):
                    Merge(known, list, key);
                    break;
                default:
                    target[field] = value?.DeepClone();
                    break;
            }
        }
    }

    private static void Merge(JsonArray target, JsonArray overrides, string key)
    {
        foreach (var item in overrides)
        {
            var known = target.FirstOrDefault(candidate => candidate?[key]?.ToString() == item?[key]?.ToString());
            if (known is null) target.Add(item?.DeepClone());
            else target[target.IndexOf(known)] = item!.DeepClone();
        }
    }
}

using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Yaml;

namespace Isthmus.Tests.Operate.Charts;

/// <summary>Objects in a form in which the same meaning is the same text.</summary>
internal static class ComparedObjects
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    internal static SortedDictionary<string, string> Of(IEnumerable<JsonObject> objects)
    {
        var all = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var value in objects)
            all.Add($"{value["kind"]} {value["metadata"]!["namespace"]}/{value["metadata"]!["name"]}",
                Sorted(Plain((JsonObject)value.DeepClone()), "")!.ToJsonString(Indented));
        return all;
    }

    private static JsonObject Plain(JsonObject value)
    {
        // Who installed an object differs.
        foreach (var labels in ((JsonNode?[])[value["metadata"]!["labels"], value["spec"]?["template"]?["metadata"]?["labels"]]).OfType<JsonObject>())
        {
            labels.Remove("install.operator.istio.io/owning-resource");
            foreach (var label in (string[])["release", "app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "helm.sh/chart"]) labels.Remove(label);
            // The base of a chart does not know whether the control plane runs here.
            if (value["kind"]!.ToString() == "ServiceAccount" && labels["app"]?.ToString() == "istio-reader")
                (labels["operator.istio.io/component"], labels["istio.io/rev"]) = ("", "");
        }
        if (value["metadata"]!["annotations"] is JsonObject annotations && annotations.Remove("helm.sh/resource-policy") && annotations.Count == 0)
            value["metadata"]!.AsObject().Remove("annotations");
        if (value["kind"]!.ToString() == "ConfigMap")
        {
            foreach (var (key, text) in value["data"]!.AsObject().ToList()) value["data"]![key] = YamlText.Parse(text!.ToString(), key)?.DeepClone();
        }
        return value;
    }

    /// <summary>Fields and environment variables by name. Numbers compare by their digits.</summary>
    private static JsonNode? Sorted(JsonNode? node, string field) => node switch
    {
        JsonObject map => new JsonObject(map.OrderBy(pair => pair.Key, StringComparer.Ordinal)
            .Select(pair => KeyValuePair.Create(pair.Key, Sorted(pair.Value, pair.Key)))),
        JsonArray list when field == "env" => new JsonArray([.. list.OrderBy(item => item!["name"]!.ToString(), StringComparer.Ordinal)
            .Select(item => Sorted(item, ""))]),
        JsonArray list => new JsonArray([.. list.Select(item => Sorted(item, ""))]),
        _ => node?.DeepClone(),
    };
}

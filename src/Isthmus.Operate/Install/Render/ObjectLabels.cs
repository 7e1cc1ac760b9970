using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Operate.Install.Operator;

namespace Isthmus.Operate.Install.Render;

/// <summary>Labels that identify installed objects: for pruning, for uninstall, and for users' scripts.</summary>
public static class ObjectLabels
{
    public const string Owner = "install.operator.istio.io/owning-resource";
    public const string OwnerNamespace = "install.operator.istio.io/owning-resource-namespace";
    public const string Component = "operator.istio.io/component";
    public const string Release = "release";

    /// <param name="name">What the object is a part of, as Istio names it: <c>istiod</c>, <c>istio-reader</c>, a gateway.</param>
    internal static JsonObject Make(OperatorSpec spec, string component, string name, params ReadOnlySpan<(string Key, string Value)> more)
    {
        var labels = new JsonObject();
        foreach (var (key, value) in more) labels[key] = value;
        labels[Labels.Revision] = spec.RevisionOrDefault;
        labels[Owner] = spec.Name.Length == 0 ? "unknown" : spec.Name;
        // Two control planes in one cluster, each in its own namespace, are two installations.
        labels[OwnerNamespace] = spec.Namespace;
        labels[Component] = component;
        labels[Release] = "istio";
        Recommend(labels, name);
        return labels;
    }

    /// <summary>The labels that Kubernetes recommends, with Istio's values. <c>helm.sh/chart</c> is left to charts.</summary>
    internal static void Recommend(JsonObject labels, string name)
    {
        labels["app.kubernetes.io/name"] = name;
        labels["app.kubernetes.io/instance"] = "istio";
        labels["app.kubernetes.io/part-of"] = "istio";
        labels["app.kubernetes.io/version"] = BuildVersion.Current;
        labels["app.kubernetes.io/managed-by"] = "isthmus";
    }

    internal static JsonObject Object(string apiVersion, string kind, string name, string? ns, JsonObject labels)
    {
        var metadata = new JsonObject { ["name"] = name };
        if (ns is not null) metadata["namespace"] = ns;
        metadata["labels"] = labels;
        return new JsonObject { ["apiVersion"] = apiVersion, ["kind"] = kind, ["metadata"] = metadata };
    }

    internal static JsonArray Strings(params ReadOnlySpan<string> items)
    {
        var list = new JsonArray();
        foreach (var item in items) list.Add((JsonNode?)JsonValue.Create(item));
        return list;
    }
}

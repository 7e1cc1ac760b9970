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

    internal static JsonObject Make(OperatorSpec spec, string component, params ReadOnlySpan<(string Key, string Value)> more)
    {
        var labels = new JsonObject();
        foreach (var (key, value) in more) labels[key] = value;
        labels[Labels.Revision] = spec.RevisionOrDefault;
        labels[Owner] = spec.Name.Length == 0 ? "unknown" : spec.Name;
        // Two control planes in one cluster, each in its own namespace, are two installations.
        labels[OwnerNamespace] = spec.Namespace;
        labels[Component] = component;
        labels[Release] = "istio";
        return labels;
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

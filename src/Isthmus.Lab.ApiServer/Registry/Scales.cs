using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Schemas;
using Isthmus.Lab.ApiServer.Validation;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Registry;

/// <summary>The scale subresource: a view of an object's replicas.</summary>
public static class Scales
{
    public static ScaleFields? Fields(KindDescriptor kind) => kind.Strategy.Scale ?? kind.Scale;

    /// <summary>The kind Scale, at the path of the kind that is scaled.</summary>
    public static KindDescriptor KindOf(KindDescriptor parent) => parent with
    {
        Group = "autoscaling",
        Version = "v1",
        Kind = "Scale",
        Schema = BuiltInTypes.Find("autoscaling/v1.Scale"),
        IsCustom = false,
    };

    public static JsonObject Of(KindDescriptor kind, JsonObject o)
    {
        var fields = Fields(kind) ?? throw ApiException.NoSuchResource();
        var metadata = new JsonObject();
        foreach (var name in (string[])["name", "namespace", "uid", "resourceVersion", "creationTimestamp"])
            if (o["metadata"]?[name] is { } value) metadata[name] = value.DeepClone();
        var spec = new JsonObject();
        if (Number(o, fields.SpecReplicas) is { } wanted and not 0) spec["replicas"] = wanted;
        var status = new JsonObject { ["replicas"] = Number(o, fields.StatusReplicas) ?? 0 };
        if (Selector(o, fields) is { Length: > 0 } selector) status["selector"] = selector;
        return new() { ["kind"] = "Scale", ["apiVersion"] = "autoscaling/v1", ["metadata"] = metadata, ["spec"] = spec, ["status"] = status };
    }

    /// <summary>Copies the replicas of a Scale to the object.</summary>
    public static JsonObject Apply(KindDescriptor kind, JsonObject o, JsonObject scale)
    {
        var replicas = Json.Whole(scale.At("spec", "replicas")) ?? 0;
        if (replicas < 0)
            throw ApiException.Invalid("autoscaling", "Scale", Metadata.Name(o),
                [FieldError.Invalid("spec.replicas", replicas, "must be greater than or equal to 0")]);
        var path = Fields(kind)!.SpecReplicas.TrimStart('.').Split('.');
        var at = o;
        foreach (var part in path[..^1])
        {
            if (at[part] is not JsonObject next) at[part] = next = [];
            at = next;
        }
        at[path[^1]] = replicas;
        if (Metadata.Text(scale, "resourceVersion") is { Length: > 0 } version) Metadata.Of(o)["resourceVersion"] = version;
        return o;
    }

    private static long? Number(JsonObject o, string path) => Json.Whole(At(o, path));

    private static JsonNode? At(JsonObject o, string path)
    {
        JsonNode? node = o;
        foreach (var part in path.TrimStart('.').Split('.')) node = (node as JsonObject)?[part];
        return node;
    }

    private static string? Selector(JsonObject o, ScaleFields fields) =>
        fields.Selector is { } path ? (string?)At(o, path)
        : o["spec"]?["selector"] is not JsonObject selector ? null
        : selector.ContainsKey("matchLabels") || selector.ContainsKey("matchExpressions") ? LabelSelector.Read(selector)!.ToString()
        : LabelSelector.OfLabels(selector).ToString();
}

using System.Text.Json.Nodes;
using Isthmus.Tests.Mesh.Guides;
using Xunit;

namespace Isthmus.Tests.Mesh.MeshFile;

/// <summary>Every object of a cluster as kubectl lists it, without parts that always differ: keys, addresses, identities,
/// states.</summary>
internal sealed class ClusterObjects(SortedDictionary<string, string> objects)
{
    /// <summary>Objects that controllers create from others, and fields that change by themselves.</summary>
    private static readonly string[] Passing = ["Event", "Lease", "Pod", "ReplicaSet", "EndpointSlice", "Endpoints"];

    private static readonly string[] RandomMetadata = ["uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink"];

    private static readonly string[] RandomAnnotations =
        ["kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/revision", "kubernetes.io/service-account.uid", "isthmus.internal/mesh"];

    private const int MostShown = 1500;

    private const string MadeByControlPlane = "(made by the control plane)";

    /// <summary>What the control plane of a cluster saw of others: each map has its own name, and gets one common name
    /// here.</summary>
    internal const string Seen = $"ConfigMap istio-system/{MadeByControlPlane}";

    internal int Count => objects.Count;

    internal IEnumerable<string> Names => objects.Keys;

    /// <summary>Webhooks that API servers cannot trust yet: the control plane writes the <c>caBundle</c>.</summary>
    internal IEnumerable<string> WithoutTrust =>
        objects.Where(pair => JsonNode.Parse(pair.Value)!["webhooks"] is JsonArray webhooks
            && webhooks.Any(webhook => webhook!["clientConfig"]!["caBundle"] is null))
        .Select(pair => pair.Key);

    internal static async Task<ClusterObjects> ReadAsync(GuideShell shell, string cluster)
    {
        var (code,
            output) = await shell.RunAsync(
                $"kubectl --context={cluster} get \"$(kubectl --context={cluster} api-resources --verbs=list -o name | paste -sd,)\" -A -o json");
        Assert.True(code == 0, output);
        var objects = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var listed in JsonNode.Parse(output)!["items"]!.AsArray().OfType<JsonObject>())
        {
            var item = listed;
            var kind = item["kind"]!.ToString();
            if (Passing.Contains(kind)) continue;
            var metadata = item["metadata"]!.AsObject();
            var own = metadata["labels"]?["isthmus.internal/made-by"] is not null;
            var name = $"{kind} {(metadata["namespace"] is { } ns ? $"{ns}/" : "")}{(own ? MadeByControlPlane : metadata["name"])}";
            if (own) item = new JsonObject { ["metadata"] = new JsonObject() };
            else Strip(item, kind, metadata);
            objects[name] = Sorted(item).ToJsonString();
        }
        return new(objects);
    }

    /// <summary>Objects that only one side has or that differ; empty when both are the same.</summary>
    internal string Differences(ClusterObjects other) => string.Join('\n', Different(other).Select(name => $"{name}:\n  {Shown(name)}\n  {other.Shown(name)}"));

    /// <summary>The names of the objects in <see cref="Differences"/>.</summary>
    internal IEnumerable<string> Different(ClusterObjects other) =>
        Names.Union(other.Names).Order(StringComparer.Ordinal).Where(name => Text(name) != other.Text(name));

    internal ClusterObjects Without(params ReadOnlySpan<string> names)
    {
        var rest = new SortedDictionary<string, string>(objects, StringComparer.Ordinal);
        foreach (var name in names) rest.Remove(name);
        return new(rest);
    }

    private string Text(string name) => objects.GetValueOrDefault(name, "(none)");

    private string Shown(string name) => Text(name) is { Length: > MostShown } text ? text[..MostShown] + "…" : Text(name);

    private static void Strip(JsonObject item, string kind, JsonObject metadata)
    {
        item.Remove("status");
        foreach (var field in RandomMetadata) metadata.Remove(field);
        if (metadata["annotations"] is JsonObject annotations)
        {
            foreach (var annotation in RandomAnnotations) annotations.Remove(annotation);
            if (annotations.Count == 0) metadata.Remove("annotations");
        }
        // Only the keys, not the values.
        if (kind is "Secret" || (kind is "ConfigMap" && metadata["name"]!.ToString() is "istio-ca-root-cert" or "kube-root-ca.crt")) Mask(item, "data");
        if (item["spec"] is JsonObject spec && kind is "Service")
        {
            foreach (var field in (string[])["clusterIP", "clusterIPs", "healthCheckNodePort"]) spec.Remove(field);
            foreach (var port in spec["ports"]?.AsArray() ?? []) port!.AsObject().Remove("nodePort");
        }
        foreach (var webhook in item["webhooks"]?.AsArray() ?? []) Mask(webhook!["clientConfig"]!.AsObject(), "caBundle");
    }

    private static void Mask(JsonObject owner, string field)
    {
        if (owner[field] is JsonObject map) owner[field] = new JsonArray([.. map.Select(entry => (JsonNode)entry.Key)]);
        else if (owner[field] is not null) owner[field] = "…";
    }

    private static JsonNode Sorted(JsonNode node) => node switch
    {
        JsonObject map => new JsonObject(map.OrderBy(entry => entry.Key, StringComparer.Ordinal)
            .Select(entry => KeyValuePair.Create(entry.Key, entry.Value is null ? null : Sorted(entry.Value)))),
        JsonArray list => new JsonArray([.. list.Select(value => value is null ? null : Sorted(value))]),
        _ => node.DeepClone(),
    };
}

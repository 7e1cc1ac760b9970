using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;

namespace Isthmus.Operate.Inventory;

/// <summary>What a Deployment, StatefulSet or DaemonSet makes Pods from. It counts as a workload even if it has no Pods at the moment.</summary>
/// <param name="Replicas">How many Pods it asks for; null for a DaemonSet.</param>
public sealed record WorkloadTemplate(string Kind, string Namespace, string Name, int? Replicas, IReadOnlyDictionary<string, string> Labels,
    IReadOnlyDictionary<string, string> Annotations, PodSpec Spec)
{
    /// <summary>How findings name it.</summary>
    public string FullName => $"{Kind} {Namespace}/{Name}";

    /// <summary>The kinds that have one.</summary>
    internal static IReadOnlyList<KindDescriptor> Kinds { get; } = [.. MeshApi.All.Where(kind => kind.IsWorkload)];

    internal static WorkloadTemplate Of(JsonObject value)
    {
        var template = value["spec"]?["template"] as JsonObject ?? [];
        var kind = value["kind"]!.ToString();
        return new(kind, value["metadata"]?["namespace"]?.ToString() ?? "", value["metadata"]?["name"]?.ToString() ?? "",
            kind == "DaemonSet" ? null : value["spec"]?["replicas"] is JsonValue number && number.TryGetValue(out int replicas) ? replicas : 1,
            Texts(template["metadata"]?["labels"]), Texts(template["metadata"]?["annotations"]),
            template["spec"]?.Deserialize(KubeJson.Of<PodSpec>()) ?? new());
    }

    private static Dictionary<string, string> Texts(JsonNode? node) =>
        (node as JsonObject ?? []).ToDictionary(pair => pair.Key, pair => pair.Value?.ToString() ?? "", StringComparer.Ordinal);
}

using System.Text.RegularExpressions;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Pods that no Node takes, as the scheduler says it: what keeps them, and what helps.</summary>
internal static partial class UnplacedPods
{
    /// <param name="like">Who else is in the same state; empty when nobody is.</param>
    public static Problem? Of(ClusterObjects cluster, Pod pod, string like)
    {
        var told = pod.Status.Conditions.FirstOrDefault(condition => condition is { Type: "PodScheduled", Status: "False" })?.Message ?? "";
        if (told.Length == 0 || pod.Spec.NodeName.Length > 0) return null;
        var at = $"kubectl --context={cluster.Context}";
        var (kind, name) = ServicePods.OwnerOf(pod);
        var (owner, spec) = ($"{kind} {pod.Metadata.Namespace}/{name} in {cluster.Context}", kind == "Pod" ? "spec" : "spec.template.spec");
        var says = $"Pod {pod.Metadata.Name} is on no Node{like} ({PodText.Message(told)})";
        if (Claim(pod, told) is var (claim, index, isMissing))
            return Faults.Of("ISM2047", $"PersistentVolumeClaim {pod.Metadata.Namespace}/{claim} in {cluster.Context}", isMissing ? "" : "status.phase",
                $"{(isMissing ? "does not exist" : "is not Bound")}, and {spec}.volumes[{index}] of {kind} {pod.Metadata.Namespace}/{name} names it: {says}",
                isMissing ? $"create it in namespace {pod.Metadata.Namespace} of {cluster.Context}, or correct claimName"
                    : $"see why it is not bound: {at} -n {pod.Metadata.Namespace} describe pvc {claim}");
        if (Lacked().Match(told) is { Success: true } lacked)
        {
            var resource = lacked.Groups[1].Value;
            var asking = (from container in pod.Spec.Containers.Where(one => one.Name != "istio-proxy").Index()
                          where container.Item.Resources.Requests.ContainsKey(resource)
                          select (container.Index, Value: container.Item.Resources.Requests[resource])).FirstOrDefault();
            return asking.Value is null
                ? Faults.Of("ISM2047", $"Pod {pod.Key} in {cluster.Context}", "status.conditions[PodScheduled]",
                    $"no Node has enough {resource} for it: {says}", $"add Nodes, or remove other Pods: {at} describe nodes")
                : Faults.Of("ISM2047", owner, $"{spec}.containers[{asking.Index}].resources.requests.{resource}",
                    $"is {asking.Value}, and no Node has that much free: {says}",
                    $"lower it, or add Nodes: {at} describe nodes shows what they have, and who asks for it");
        }
        // A taint or a label may keep the Pod from some Nodes, and from others something else.
        if (AreCordoned(pod))
        {
            var nodes = cluster.Cordoned;
            return Faults.Of("ISM2047", $"Nodes of {cluster.Context}", "spec.unschedulable",
                $"is true of {(nodes.Count == 0 ? "Nodes" : string.Join(", ", nodes))}, which take{(nodes.Count == 1 ? "s" : "")} no new Pods (cordoned): "
                    + says,
                $"when {(nodes.Count == 1 ? "its" : "their")} maintenance is over: {at} uncordon "
                    + (nodes.Count == 0 ? $"NODE ({at} get nodes says which have SchedulingDisabled)" : string.Join(' ', nodes)) + "; or add Nodes");
        }
        if (told.Contains("didn't match Pod's node affinity/selector", StringComparison.Ordinal))
            return Faults.Of("ISM2047", owner, pod.Spec.NodeSelector.Count > 0 ? $"{spec}.nodeSelector" : $"{spec}.affinity.nodeAffinity",
                (pod.Spec.NodeSelector.Count > 0 ? $"is {ServicePods.Text(pod.Spec.NodeSelector)}, and no Node that is free has these labels: "
                    : "is met by no Node that is free: ") + says, $"correct it, or label a Node ({at} get nodes --show-labels)");
        return Untolerated().Match(told) is { Success: true } taint
            ? Faults.Of("ISM2047", owner, $"{spec}.tolerations", $"has none for {taint.Groups[1].Value}, a taint of Nodes: {says}",
                $"add a toleration, or remove the taint if it is a leftover: {at} describe nodes")
            : null;
    }

    /// <summary>Whether the scheduler says that Nodes take no new Pods.</summary>
    public static bool AreCordoned(Pod pod) => pod.Spec.NodeName.Length == 0 && pod.Status.Conditions.Any(condition =>
        condition is { Type: "PodScheduled", Status: "False" } && condition.Message.Contains("were unschedulable", StringComparison.Ordinal));

    /// <summary>The claim without which the Pod cannot be placed: one that does not exist, or is not bound; null for other causes.</summary>
    private static (string Name, int Index, bool IsMissing)? Claim(Pod pod, string told)
    {
        var volumes = pod.Spec.Volumes.Index().Select(volume => (volume.Index, Name: volume.Item.PersistentVolumeClaim?["claimName"]?.ToString() ?? ""))
            .Where(volume => volume.Name.Length > 0).ToList();
        var isUnbound = told.Contains("unbound immediate PersistentVolumeClaims", StringComparison.Ordinal);
        var found = volumes.FirstOrDefault(volume => told.Contains($"persistentvolumeclaim \"{volume.Name}\" not found", StringComparison.Ordinal));
        return found.Name is { Length: > 0 } missing ? (missing, found.Index, true)
            : isUnbound && volumes is [var (index, name), ..] ? (name, index, false) : null;
    }

    [GeneratedRegex(@"Insufficient ([\w./-]+\w)")]
    private static partial Regex Lacked();

    [GeneratedRegex(@"untolerated taint (\{[^}]*\})")]
    private static partial Regex Untolerated();
}

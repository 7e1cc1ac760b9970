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
    private const string DefaultScheduler = "default-scheduler";

    /// <summary>How long a scheduler may take, and a Node that has just joined to be known.</summary>
    private static readonly TimeSpan Usual = TimeSpan.FromSeconds(10);

    /// <param name="like">Who else is in the same state; empty when nobody is.</param>
    /// <param name="now">Null if the time is not known.</param>
    public static Problem? Of(ClusterObjects cluster, Pod pod, string like, DateTimeOffset? now)
    {
        if (now - pod.Metadata.CreationTimestamp is not { } age || age >= Usual)
            if ((OnNoSuchNode(cluster, pod, like) ?? Unscheduled(cluster, pod, like)) is { } lost) return lost;
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
            var nodes = cluster.Nodes.Where(node => node.Spec.Unschedulable).Select(node => node.Metadata.Name).Order(StringComparer.Ordinal).ToList();
            return Faults.Of("ISM2047", $"Nodes of {cluster.Context}", "spec.unschedulable",
                $"is true of {(nodes.Count == 0 ? "Nodes" : string.Join(", ", nodes))}, which take{(nodes.Count == 1 ? "s" : "")} no new Pods (cordoned): "
                    + says,
                $"when {(nodes.Count == 1 ? "its" : "their")} maintenance is over: {at} uncordon "
                    + (nodes.Count == 0 ? $"NODE ({at} get nodes says which have SchedulingDisabled)" : string.Join(' ', nodes)) + "; or add Nodes");
        }
        if (PodAffinities.Of(cluster, pod, told, says) is { } apart) return apart;
        if (told.Contains("Too many pods", StringComparison.Ordinal))
            return Faults.Of("ISM2047", $"Nodes of {cluster.Context}", "status.allocatable.pods", $"lets no Node that is free take one more Pod: {says}",
                $"add Nodes, or remove other Pods: {at} describe nodes");
        if (told.Contains("didn't match Pod's node affinity/selector", StringComparison.Ordinal))
            return Faults.Of("ISM2047", owner, pod.Spec.NodeSelector.Count > 0 ? $"{spec}.nodeSelector" : $"{spec}.affinity.nodeAffinity",
                (pod.Spec.NodeSelector.Count > 0 ? $"is {ServicePods.Text(pod.Spec.NodeSelector)}, and no Node that is free has these labels: "
                    : "is met by no Node that is free: ") + says, $"correct it, or label a Node ({at} get nodes --show-labels)");
        return Untolerated().Match(told) is { Success: true } taint
            ? Faults.Of("ISM2047", owner, $"{spec}.tolerations", $"has none for {taint.Groups[1].Value}, a taint of Nodes: {says}",
                $"add a toleration, or remove the taint if it is a leftover: {at} describe nodes")
            : null;
    }

    /// <summary>Whether the Nodes of the cluster may tell more.</summary>
    public static bool NeedNodes(Pod pod) => AreCordoned(pod) || IsUntaken(pod);

    /// <summary>A Pod that was bound to a Node that is not there, so that no kubelet starts it; null for others, and where nobody has read Nodes.</summary>
    private static Problem? OnNoSuchNode(ClusterObjects cluster, Pod pod, string like)
    {
        var node = pod.Spec.NodeName;
        if (!IsUntaken(pod) || cluster.Nodes.Count == 0 || cluster.Nodes.Any(one => one.Metadata.Name == node)) return null;
        var at = $"kubectl --context={cluster.Context}";
        var field = WrittenField.Of(cluster, pod, "nodeName", spec => spec.NodeName == node);
        return Faults.Of("ISM2047", field.Object, field.Path,
            $"is {node}, a Node that does not exist in {cluster.Context}: Pod {pod.Metadata.Name} is bound to it, and nobody starts its containers{like}",
            field.IsOfTemplate ? $"remove nodeName from the template, so that the scheduler chooses a Node, or correct it: {at} get nodes"
                : ServicePods.OwnerOf(pod).Kind == "Pod" ? $"create the Pod again without nodeName, or with the name of a Node: {at} get nodes"
                : $"let its owner make another one: {at} -n {pod.Metadata.Namespace} delete pod {pod.Metadata.Name}");
    }

    /// <summary>A Pod of which its scheduler, another one than the cluster's own, has said nothing; null for others.</summary>
    private static Problem? Unscheduled(ClusterObjects cluster, Pod pod, string like)
    {
        var scheduler = pod.Spec.SchedulerName;
        if (scheduler is "" or DefaultScheduler || pod.Spec.NodeName.Length > 0 || pod.Status.Phase is not ("" or "Pending")
            || pod.Status.Conditions.Any(condition => condition.Type == "PodScheduled")) return null;
        var field = WrittenField.Of(cluster, pod, "schedulerName", spec => spec.SchedulerName == scheduler);
        return Faults.Of("ISM2047", field.Object, field.Path,
            $"names scheduler {scheduler}, which has not placed Pod {pod.Metadata.Name} on a Node, and has not said why{like}",
            field.IsOfTemplate ? $"remove schedulerName from the template, so that the cluster's own scheduler places its Pods, or start {scheduler}"
                : ServicePods.OwnerOf(pod).Kind == "Pod" ? $"create the Pod again without schedulerName, or start {scheduler}"
                : $"start {scheduler}; the template does not name it: if a webhook does, let it spare these Pods");
    }

    /// <summary>Whether a Pod has a Node, and no kubelet has said anything of its containers.</summary>
    private static bool IsUntaken(Pod pod) => pod.Spec.NodeName.Length > 0 && pod.Status.Phase is "" or "Pending" && pod.Metadata.DeletionTimestamp is null
        && pod.Status.InitContainerStatuses.Count == 0 && pod.Status.ContainerStatuses.Count == 0;

    /// <summary>Whether the scheduler says that Nodes take no new Pods.</summary>
    private static bool AreCordoned(Pod pod) => pod.Spec.NodeName.Length == 0 && pod.Status.Conditions.Any(condition =>
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

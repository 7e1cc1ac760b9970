using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Controllers.Framework;

namespace Isthmus.Lab.Controllers.Nodes;

/// <summary>Chooses a node for a Pod: what excludes a node, and which remaining one is best. CPU and memory of other Pods do not
/// count, because all nodes share one machine: a Pod that requests more than a node has fits on none.</summary>
public static class Placement
{
    /// <summary>The kubelet's default.</summary>
    private const int MaxPodsPerNode = 110;

    /// <summary>The chosen node, or why each node was excluded.</summary>
    public sealed record Choice(string? Node, string Reason);

    /// <param name="podsOf">Returns the Pods on a node.</param>
    public static Choice Choose(Pod pod, IReadOnlyList<Node> nodes, Func<string, IReadOnlyCollection<Pod>> podsOf)
    {
        var reasons = new SortedDictionary<string, int>(StringComparer.Ordinal);
        var fitting = new List<(Node Node, double Score)>();
        foreach (var node in nodes)
        {
            var present = podsOf(node.Metadata.Name);
            if (Obstacle(pod, node, present, nodes, podsOf) is { } obstacle) reasons[obstacle] = reasons.GetValueOrDefault(obstacle) + 1;
            else fitting.Add((node, Score(pod, node, present)));
        }
        if (fitting.Count > 0)
            return new(fitting.OrderByDescending(fit => fit.Score).ThenBy(fit => fit.Node.Metadata.Name, StringComparer.Ordinal).First().Node.Metadata.Name,
                "");
        var details = string.Join(", ", reasons.Select(reason => $"{reason.Value} {reason.Key}"));
        return new(null, $"0/{nodes.Count} nodes are available{(details.Length > 0 ? ": " + details : "")}.");
    }

    /// <summary>Whether the node's taints and labels allow the Pod, ready or not. DaemonSets use it.</summary>
    public static bool Suits(Pod pod, Node node) =>
        node.Spec.Taints.All(taint => taint.Effect is not ("NoSchedule" or "NoExecute") || PodStates.Tolerates(pod.Spec, taint))
        && pod.Spec.NodeSelector.All(pair => node.Metadata.Labels.GetValueOrDefault(pair.Key) == pair.Value) && NodeAffinityHolds(pod, node);

    private static string? Obstacle(Pod pod, Node node, IReadOnlyCollection<Pod> present, IReadOnlyList<Node> nodes,
        Func<string, IReadOnlyCollection<Pod>> podsOf)
    {
        if (!node.Status.IsReady) return "node(s) were not ready";
        if (node.Spec.Unschedulable && !PodStates.Tolerates(pod.Spec, new() { Key = "node.kubernetes.io/unschedulable", Effect = "NoSchedule" }))
            return "node(s) were unschedulable";
        foreach (var taint in node.Spec.Taints)
            if (taint.Effect is "NoSchedule" or "NoExecute" && !PodStates.Tolerates(pod.Spec, taint))
                return $"node(s) had untolerated taint {{{taint.Key}: {taint.Value}}}";
        if (pod.Spec.NodeSelector.Any(pair => node.Metadata.Labels.GetValueOrDefault(pair.Key) != pair.Value) || !NodeAffinityHolds(pod, node))
            return "node(s) didn't match Pod's node affinity/selector";
        if (present.Count(one => !PodStates.IsFinished(one)) >= MaxPodsPerNode) return "Too many pods";
        if (Lacked(pod, node) is { } resource) return $"Insufficient {resource}";
        if (HostPorts(pod).Intersect(present.Where(one => !PodStates.IsFinished(one)).SelectMany(HostPorts)).Any())
            return "node(s) didn't have free ports for the requested pod ports";
        return PodTerms(pod, "podAntiAffinity").Any(term => InDomain(pod, term, node, nodes, podsOf)) ? "node(s) didn't match pod anti-affinity rules" : null;
    }

    /// <summary>The resource of which the Pod alone requests more than the node has; null where it does not.</summary>
    private static string? Lacked(Pod pod, Node node) => ((string[])["cpu", "memory"]).FirstOrDefault(resource =>
        Quantity.TryParse(node.Status.Allocatable.GetValueOrDefault(resource)?.ToString(), out var has) && has > 0 && Requested(pod, resource) > has);

    /// <summary>Containers run together; those that come before them run alone, beside sidecars.</summary>
    private static decimal Requested(Pod pod, string resource)
    {
        decimal Of(Container container) => Quantity.TryParse(container.Resources.Requests.GetValueOrDefault(resource)?.ToString(), out var value) ? value : 0;
        var sidecars = pod.Spec.InitContainers.Where(container => container.RestartPolicy == "Always").Sum(Of);
        var first = pod.Spec.InitContainers.Where(container => container.RestartPolicy != "Always").Select(Of).DefaultIfEmpty().Max();
        return sidecars + Math.Max(first, pod.Spec.Containers.Sum(Of));
    }

    private static IEnumerable<(int, string)> HostPorts(Pod pod) =>
        from container in pod.Spec.Containers from port in container.Ports where port.HostPort is > 0 select (port.HostPort!.Value, port.Protocol);

    /// <summary>Higher for a better node: preferred terms of node affinity come first, then the fewest Pods.</summary>
    private static double Score(Pod pod, Node node, IReadOnlyCollection<Pod> present)
    {
        var preferred = 0.0;
        foreach (var term in pod.Spec.Affinity?["nodeAffinity"]?["preferredDuringSchedulingIgnoredDuringExecution"] as JsonArray ?? [])
            if (TermHolds(term?["preference"], node)) preferred += (double?)term!["weight"] ?? 0;
        return (preferred * 1000) - present.Count;
    }

    private static bool NodeAffinityHolds(Pod pod, Node node)
    {
        var required = pod.Spec.Affinity?["nodeAffinity"]?["requiredDuringSchedulingIgnoredDuringExecution"]?["nodeSelectorTerms"] as JsonArray;
        return required is null || required.Any(term => TermHolds(term, node));
    }

    private static bool TermHolds(JsonNode? term, Node node)
    {
        var labels = term?["matchExpressions"] as JsonArray ?? [];
        var fields = term?["matchFields"] as JsonArray ?? [];
        if (labels.Count + fields.Count == 0) return false;
        return labels.All(rule => RuleHolds(rule, node.Metadata.Labels.GetValueOrDefault((string?)rule?["key"] ?? "")))
            && fields.All(rule => (string?)rule?["key"] == "metadata.name" && RuleHolds(rule, node.Metadata.Name));
    }

    private static bool RuleHolds(JsonNode? rule, string? value)
    {
        var values = (rule?["values"] as JsonArray ?? []).Select(one => (string?)one).ToList();
        return (string?)rule?["operator"] switch
        {
            "In" => value is not null && values.Contains(value),
            "NotIn" => value is null || !values.Contains(value),
            "Exists" => value is not null,
            "DoesNotExist" => value is null,
            "Gt" => Compare(value, values) > 0,
            "Lt" => Compare(value, values) < 0,
            _ => false,
        };
    }

    private static int Compare(string? value, List<string?> values) =>
        long.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var left) && values.Count == 1
        && long.TryParse(values[0], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var right) ? left.CompareTo(right) : 0;

    private static IEnumerable<JsonNode> PodTerms(Pod pod, string kind) =>
        (pod.Spec.Affinity?[kind]?["requiredDuringSchedulingIgnoredDuringExecution"] as JsonArray ?? []).OfType<JsonNode>();

    /// <summary>Whether a Pod that the term selects runs in the same topology domain as this node.</summary>
    private static bool InDomain(Pod pod, JsonNode term, Node node, IReadOnlyList<Node> nodes, Func<string, IReadOnlyCollection<Pod>> podsOf)
    {
        var key = (string?)term["topologyKey"] ?? "";
        if (!node.Metadata.Labels.TryGetValue(key, out var domain) || LabelSelector.Read(term["labelSelector"]) is not { } selector) return false;
        var namespaces = (term["namespaces"] as JsonArray ?? []).Select(ns => (string?)ns).ToList();
        return nodes.Where(one => one.Metadata.Labels.GetValueOrDefault(key) == domain).SelectMany(one => podsOf(one.Metadata.Name)).Any(other =>
            !PodStates.IsFinished(other) && other.Metadata.Uid != pod.Metadata.Uid
            && (namespaces.Count == 0 ? other.Metadata.Namespace == pod.Metadata.Namespace : namespaces.Contains(other.Metadata.Namespace))
            && selector.Matches(other.Metadata.Labels));
    }
}

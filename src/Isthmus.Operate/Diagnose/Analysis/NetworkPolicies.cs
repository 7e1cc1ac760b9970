using System.Net;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>NetworkPolicies without effect, and those that cut gateways off from other networks, or, as AdminNetworkPolicies may, too, proxies from
/// their control plane. Pure.</summary>
internal static class NetworkPolicies
{
    private static readonly Dictionary<string, string> NoLabels = [];

    public static Analyzer Enforcement
    {
        get;
    } = new("networkpolicy.EnforcementAnalyzer", "Checks for NetworkPolicies where the network of the Nodes enforces none", [OwnCodes.NetworkPolicyIneffective],
        ["NetworkPolicy", "Node"], CheckEnforcement);

    public static Analyzer Paths
    {
        get;
    } = new("networkpolicy.PathAnalyzer", "Checks that NetworkPolicies leave proxies the way to their control plane, and other networks that to the gateways",
        [OwnCodes.NetworkPolicyCutsMesh], ["NetworkPolicy", "Pod", "Service", "Namespace", "Node"],
        mesh => mesh.Readable.Where(cluster => !EnforcesNone(cluster)).SelectMany(CheckPaths));

    private static IEnumerable<Finding> CheckEnforcement(MeshSnapshot mesh) =>
        from cluster in mesh.Readable
        where EnforcesNone(cluster)
        from policy in cluster.NetworkPolicies
        select new Finding(cluster.Context, new("ISM1425", $"NetworkPolicy {policy.Namespace}/{policy.Name}", "spec",
            "drops nothing: the network of the Nodes, which is that of a lab, does not enforce NetworkPolicies",
            "test it in a cluster whose network plug-in enforces them; a trace with --no-call names the policy that would drop a call", Severity.Warning));

    private static bool EnforcesNone(ClusterInventory cluster) =>
        cluster.Nodes.Any(node => node.Status.NodeInfo.ContainerRuntimeVersion.StartsWith(WellKnown.OwnRuntime, StringComparison.Ordinal));

    private static IEnumerable<Finding> CheckPaths(ClusterInventory cluster)
    {
        var policies = cluster.NetworkPolicies;
        var admin = cluster.Objects("AdminNetworkPolicy").Select(AdminNetworkPolicy.Read).ToList();
        if (policies.Count + admin.Count == 0) return [];
        var labels = cluster.Namespaces.ToDictionary(ns => ns.Metadata.Name, ns => (IReadOnlyDictionary<string, string>)ns.Metadata.Labels,
            StringComparer.Ordinal);
        var there = cluster.Pods.Where(pod => pod.Metadata.DeletionTimestamp is null && pod.Status.Phase is not ("Succeeded" or "Failed")).ToList();
        return OfControlPlane(policies, admin, there, pod => End(pod, labels)).Concat(OfGateways(cluster, policies, there))
            // Many Pods have one policy.
            .GroupBy(cut => (cut.Policy, cut.Path, cut.What))
            .Select(cuts => new Finding(cluster.Context, new("ISM1426", cuts.Key.Policy, cuts.Key.Path,
                $"{cuts.Key.What} {cuts.First().Pod.Key}{(cuts.Count() > 1 ? $" and {cuts.Count() - 1} more" : "")}", cuts.First().Remedy, Severity.Warning)));
    }

    private static IEnumerable<Cut> OfControlPlane(IReadOnlyList<NetworkPolicy> policies, List<AdminNetworkPolicy> admin, List<Pod> pods,
        Func<Pod, PacketEnd> end)
    {
        if (pods.Find(pod => pod.Metadata.Labels.GetValueOrDefault("app") == WellKnown.Istiod) is not { } istiod) yield break;
        foreach (var pod in pods.Where(pod => Workload.ProxyOf(pod.Spec) is not null))
        {
            if (Dropping(pod, PacketDirection.Egress, istiod) is var (leaving, egress))
                yield return new(leaving, egress,
                    $"does not allow port {Ports.DiscoveryTls} of the control plane, so proxies get no configuration and no certificates: Pod", pod,
                    $"allow egress to Pods with app=istiod of namespace {istiod.Metadata.Namespace}, port {Ports.DiscoveryTls}");
            if (Dropping(istiod, PacketDirection.Ingress, pod) is var (arriving, ingress))
                yield return new(arriving, ingress,
                    $"does not allow proxies to reach port {Ports.DiscoveryTls} of the control plane, so they get no configuration and no certificates: Pod",
                    pod, $"allow ingress from all namespaces to port {Ports.DiscoveryTls}");
        }

        // An administrator's word counts first. A Pod in the network of its node has no policies.
        (string Policy, string Path)? Dropping(Pod subject, PacketDirection direction, Pod peer) =>
            subject.Spec.HostNetwork ? null
            : AdminNetworkPolicy.Deciding(admin, end(subject), direction, end(peer), Ports.DiscoveryTls, istiod) is { } decision
                ? decision.IsDenied ? ($"AdminNetworkPolicy {decision.Policy.Name}", decision.Path) : null
            : NetworkPolicy.Dropping(policies, subject, direction, end(peer), Ports.DiscoveryTls, istiod) is [var first, ..]
                ? (Name(first), direction == PacketDirection.Egress ? "spec.egress" : "spec.ingress") : null;
    }

    private static IEnumerable<Cut> OfGateways(ClusterInventory cluster, IReadOnlyList<NetworkPolicy> policies, List<Pod> pods) =>
        from service in cluster.Services
        where service.Metadata.Labels.ContainsKey(Labels.Network) && service.Spec.Selector.Count > 0
        from port in service.Spec.Ports.Where(port => port.Port == Ports.EastWest)
        let target = int.TryParse(port.TargetPort?.ToString(), out var number) ? number : port.Port
        from pod in pods.Where(pod => pod.Metadata.Namespace == service.Metadata.Namespace && LabelSelector.Selects(service.Spec.Selector, pod.Metadata.Labels))
        from dropping in NetworkPolicy.Dropping(policies, pod, PacketDirection.Ingress, new(null, null, NoLabels), target, pod).Take(1)
        select new Cut(Name(dropping), "spec.ingress", $"does not allow other networks to reach port {target} of the gateway: Pod", pod,
            $"allow ingress to port {target} from everywhere");

    private static string Name(NetworkPolicy policy) => $"NetworkPolicy {policy.Namespace}/{policy.Name}";

    private static PacketEnd End(Pod pod, Dictionary<string, IReadOnlyDictionary<string, string>> labels) =>
        new(IPAddress.TryParse(pod.Status.PodIP, out var address) ? address : null, pod.Spec.HostNetwork ? null : pod,
            labels.GetValueOrDefault(pod.Metadata.Namespace, NoLabels));

    /// <param name="Policy">Its kind and name.</param>
    /// <param name="What">What the policy does, up to the Pod that it does it to.</param>
    private sealed record Cut(string Policy, string Path, string What, Pod Pod, string Remedy);
}

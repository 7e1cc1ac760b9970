using System.Net;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Inventory;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Which NetworkPolicy makes the network drop a connection, of the caller, the gateway or the callee. Whether it does depends on the
/// cluster's network plug-in, so only a call that fails proves it.</summary>
internal sealed class PacketCauses(TraceFacts facts)
{
    public const string Code = "ISM2086";

    private static readonly Dictionary<string, string> NoLabels = [];

    /// <summary>From the caller to a Pod.</summary>
    public Problem? ToPod(Callee callee) => Between(facts.Home, facts.ClientPod, callee);

    /// <summary>From the caller to an address that is not a Pod: of a gateway, or of something outside.</summary>
    public Problem? ToAddress(IPEndPoint address) =>
        Leaving(facts.Home, facts.ClientPod, new(address.Address, null, NoLabels), address.Port, null, address.ToString());

    /// <summary>From the address of a gateway's Service to its Pod. Load balancers and nodes may hide the caller's address.</summary>
    public Problem? ToGateway(ClusterObjects cluster, Pod gateway, int port) =>
        Arriving(cluster, gateway, new(null, null, NoLabels), port, "the address of its Service");

    /// <summary>From one Pod to another.</summary>
    public Problem? Between(ClusterObjects cluster, Pod from, Callee to)
    {
        var near = cluster == to.Cluster;
        var source = IPAddress.TryParse(from.Status.PodIP, out var address) ? address : null;
        return Leaving(cluster, from, End(to.Cluster, near ? to.Pod : null, to.Address.Address), to.Address.Port, near ? to.Pod : null,
            $"{to.Name} at {to.Address}")
            ?? Arriving(to.Cluster, to.Pod, End(cluster, near ? from : null, source), to.Address.Port, PodRef.Of(cluster, from).ToString());
    }

    private static PacketEnd End(ClusterObjects cluster, Pod? pod, IPAddress? address) =>
        new(address, pod is { Spec.HostNetwork: true } ? null : pod, pod is null ? NoLabels : cluster.LabelsOf(pod.Metadata.Namespace));

    private static Problem? Leaving(ClusterObjects cluster, Pod from, PacketEnd to, int port, Pod? target, string what) =>
        Name(cluster, NetworkPolicy.Dropping(cluster.NetworkPolicies, from, PacketDirection.Egress, to, port, target), "spec.egress",
            $"{PodRef.Of(cluster, from)} opens only connections that its NetworkPolicies allow, and none to {what}");

    private static Problem? Arriving(ClusterObjects cluster, Pod to, PacketEnd from, int port, string what) =>
        Name(cluster, NetworkPolicy.Dropping(cluster.NetworkPolicies, to, PacketDirection.Ingress, from, port, to), "spec.ingress",
            $"{PodRef.Of(cluster, to)} accepts only connections that its NetworkPolicies allow, and none from {what} to port {port}");

    private static Problem? Name(ClusterObjects cluster, IReadOnlyList<NetworkPolicy> dropping, string path, string message)
    {
        if (dropping.Count == 0) return null;
        var others = dropping.Count > 1 ? $"; nor do {string.Join(", ", dropping.Skip(1).Select(policy => $"{policy.Namespace}/{policy.Name}"))} allow it" : "";
        return Faults.Of(Code, $"NetworkPolicy {dropping[0].Namespace}/{dropping[0].Name} in {cluster.Context}", path, message + others,
            "add a rule that allows it, also for the ports 15012 and 15443 of the mesh where proxies need them");
    }
}

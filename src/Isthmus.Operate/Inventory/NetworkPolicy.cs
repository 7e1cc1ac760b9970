using System.Net;
using System.Text.Json.Nodes;
using Isthmus.Core.Net;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.Inventory;

/// <summary>One end of a connection, as the network plug-in of the cluster that enforces a NetworkPolicy knows it.</summary>
/// <param name="Address">Null when it is not known, as that of a client outside.</param>
/// <param name="Pod">Null when it is not a Pod of that cluster: then only its address counts.</param>
/// <param name="NamespaceLabels">The labels of the Pod's namespace.</param>
internal sealed record PacketEnd(IPAddress? Address, Pod? Pod, IReadOnlyDictionary<string, string> NamespaceLabels);

internal enum PacketDirection
{
    Ingress,
    Egress,
}

/// <summary>networking.k8s.io/v1 NetworkPolicy: which TCP connections Pods may open and accept.</summary>
internal sealed class NetworkPolicy
{
    private readonly LabelSelector _pods;
    private readonly Dictionary<PacketDirection, IReadOnlyList<Rule>> _rules = [];

    private NetworkPolicy(string ns, string name, LabelSelector pods)
    {
        (Namespace, Name) = (ns, name);
        _pods = pods;
    }

    public string Namespace { get; }

    public string Name { get; }

    public static NetworkPolicy Read(JsonObject value)
    {
        var (meta, spec) = (value["metadata"], value["spec"]);
        var policy = new NetworkPolicy(meta?["namespace"]?.ToString() ?? "", meta?["name"]?.ToString() ?? "",
            LabelSelector.Read(spec?["podSelector"]) ?? new());
        var types = spec?["policyTypes"] is JsonArray { Count: > 0 } named ? named.Select(type => type?.ToString()).ToList()
            : spec?["egress"] is JsonArray { Count: > 0 } ? ["Ingress", "Egress"] : ["Ingress"];
        if (types.Contains("Ingress")) policy._rules[PacketDirection.Ingress] = Rules(spec?["ingress"], "from");
        if (types.Contains("Egress")) policy._rules[PacketDirection.Egress] = Rules(spec?["egress"], "to");
        return policy;
    }

    /// <summary>The policies by which a Pod drops a connection; none when one of them allows it, or none selects the Pod.</summary>
    /// <param name="peer">The other end.</param>
    /// <param name="port">The port that is connected to.</param>
    /// <param name="target">The Pod that is connected to, whose ports have names; null when it is not one of the cluster.</param>
    public static IReadOnlyList<NetworkPolicy> Dropping(IEnumerable<NetworkPolicy> policies, Pod pod, PacketDirection direction, PacketEnd peer, int port,
        Pod? target)
    {
        if (pod.Spec.HostNetwork) return []; // Its packets are those of the node.
        var isolating = policies.Where(policy => policy.Namespace == pod.Metadata.Namespace && policy._rules.ContainsKey(direction)
            && policy._pods.Matches(pod.Metadata.Labels))
            .ToList();
        return isolating.Any(policy => policy._rules[direction].Any(rule => rule.Allows(policy.Namespace, peer, port, target))) ? [] : isolating;
    }

    private static List<Rule> Rules(JsonNode? list, string peers) => [.. (list as JsonArray ?? []).OfType<JsonObject>().Select(rule => new Rule(
        [.. (rule[peers] as JsonArray ?? []).OfType<JsonObject>().Select(Peer.Read)],
        [.. (rule["ports"] as JsonArray ?? []).OfType<JsonObject>().Select(PortRange.Read)]))];

    /// <summary>Without peers, all; without ports, all.</summary>
    private sealed record Rule(IReadOnlyList<Peer> Peers, IReadOnlyList<PortRange> Ports)
    {
        public bool Allows(string ns, PacketEnd peer, int port, Pod? target) =>
            (Peers.Count == 0 || Peers.Any(one => one.Matches(ns, peer))) && (Ports.Count == 0 || Ports.Any(one => one.Contains(port, target)));
    }

    private sealed record Peer(LabelSelector? Pods, LabelSelector? Namespaces, Cidr? Block, IReadOnlyList<Cidr> Except)
    {
        public static Peer Read(JsonObject value) => new(LabelSelector.Read(value["podSelector"]), LabelSelector.Read(value["namespaceSelector"]),
            Cidr.TryParse(value["ipBlock"]?["cidr"]?.ToString(), out var block) ? block : null,
            [.. (value["ipBlock"]?["except"] as JsonArray ?? []).Select(text => Cidr.TryParse(text?.ToString(), out var range) ? range : (Cidr?)null)
                .OfType<Cidr>()]);

        public bool Matches(string ns, PacketEnd peer)
        {
            // Any block may hold an address that is not known.
            if (Block is { } block) return peer.Address is not { } address || (block.Contains(address) && !Except.Any(range => range.Contains(address)));
            if (peer.Pod is not { } pod || (Pods is null && Namespaces is null)) return false;
            return (Namespaces is null ? pod.Metadata.Namespace == ns : Namespaces.Matches(peer.NamespaceLabels))
                && Pods?.Matches(pod.Metadata.Labels) != false;
        }
    }

    /// <param name="Name">Of a container's port; empty for a number.</param>
    /// <param name="First">0 for all ports.</param>
    private sealed record PortRange(string Protocol, string Name, int First, int Last)
    {
        public static PortRange Read(JsonObject value)
        {
            var (protocol, port) = (value["protocol"]?.ToString() ?? "TCP", value["port"]);
            if (port is null) return new(protocol, "", 0, 0);
            if (port is not JsonValue number || !number.TryGetValue(out int first)) return new(protocol, port.ToString(), 0, 0);
            return new(protocol, "", first, value["endPort"] is JsonValue end && end.TryGetValue(out int last) ? last : first);
        }

        public bool Contains(int port, Pod? target) => Protocol == "TCP"
            && (Name.Length > 0
                ? target?.Spec.Containers.Concat(target.Spec.InitContainers)
                    .Any(container => container.Ports.Any(one => one.Name == Name && one.Number == port)) == true
                : First == 0 || (port >= First && port <= Last));
    }
}

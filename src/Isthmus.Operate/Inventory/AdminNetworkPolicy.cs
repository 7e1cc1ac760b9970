using System.Text.Json.Nodes;
using Isthmus.Core.Net;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.Inventory;

/// <summary>
/// policy.networking.k8s.io/v1alpha1 AdminNetworkPolicy: what a cluster's administrator decides about TCP connections of Pods, before their
/// NetworkPolicies are asked.
/// </summary>
internal sealed class AdminNetworkPolicy
{
    private readonly PodChoice _subject;
    private readonly Dictionary<PacketDirection, IReadOnlyList<Rule>> _rules;

    private AdminNetworkPolicy(string name, int priority, PodChoice subject, Dictionary<PacketDirection, IReadOnlyList<Rule>> rules)
    {
        (Name, Priority) = (name, priority);
        (_subject, _rules) = (subject, rules);
    }

    public string Name { get; }

    /// <summary>From 0, which is asked first, to 1000.</summary>
    public int Priority { get; }

    public static AdminNetworkPolicy Read(JsonObject value)
    {
        var spec = value["spec"];
        return new(value["metadata"]?["name"]?.ToString() ?? "", Number(spec?["priority"]), PodChoice.Read(spec?["subject"]), new()
        {
            [PacketDirection.Ingress] = Rules(spec?["ingress"], "from"),
            [PacketDirection.Egress] = Rules(spec?["egress"], "to"),
        });
    }

    /// <summary>The rule that decides about a connection; null when none does, or one passes it on to the NetworkPolicies.</summary>
    /// <param name="pod">The Pod whose connection it is, as the subject of policies.</param>
    /// <param name="peer">The other end.</param>
    /// <param name="port">The port that is connected to.</param>
    /// <param name="target">The Pod that is connected to, whose ports have names.</param>
    public static Decision? Deciding(IEnumerable<AdminNetworkPolicy> policies, PacketEnd pod, PacketDirection direction, PacketEnd peer, int port, Pod target)
    {
        foreach (var policy in policies.OrderBy(policy => policy.Priority).Where(policy => policy._subject.Has(pod)))
        {
            var rules = policy._rules[direction];
            for (var index = 0; index < rules.Count; index++)
            {
                if (!rules[index].Matches(peer, port, target)) continue;
                return rules[index].Action == "Pass" ? null
                    : new(policy, $"spec.{(direction == PacketDirection.Egress ? "egress" : "ingress")}[{index}]", rules[index].Action == "Deny");
            }
        }
        return null;
    }

    private static List<Rule> Rules(JsonNode? list, string peers) =>
        [.. Items(list).Select(rule => new Rule(rule["action"]?.ToString() ?? "", [.. Items(rule[peers]).Select(Peer.Read)],
            rule["ports"] is JsonArray ports ? [.. Items(ports).Select(PortChoice.Read)] : null))];

    private static IEnumerable<JsonObject> Items(JsonNode? list) => (list as JsonArray ?? []).OfType<JsonObject>();

    private static int Number(JsonNode? node) => node is JsonValue value && value.TryGetValue(out int number) ? number : 0;

    /// <param name="Path">The field of the rule.</param>
    /// <param name="IsDenied">Otherwise it is allowed, whatever NetworkPolicies say.</param>
    internal sealed record Decision(AdminNetworkPolicy Policy, string Path, bool IsDenied);

    /// <param name="Ports">Null for all.</param>
    private sealed record Rule(string Action, IReadOnlyList<Peer> Peers, IReadOnlyList<PortChoice>? Ports)
    {
        public bool Matches(PacketEnd peer, int port, Pod target) =>
            Peers.Any(one => one.Matches(peer)) && Ports?.Any(one => one.Contains(port, target)) != false;
    }

    /// <summary>Pods, or blocks of addresses. Nodes and names of domains are no Pods.</summary>
    private sealed record Peer(PodChoice Pods, IReadOnlyList<Cidr> Networks)
    {
        public static Peer Read(JsonObject value) => new(PodChoice.Read(value), [.. (value["networks"] as JsonArray ?? [])
            .Select(text => Cidr.TryParse(text?.ToString(), out var range) ? range : (Cidr?)null).OfType<Cidr>()]);

        public bool Matches(PacketEnd peer) => Pods.Has(peer) || (peer.Address is { } address && Networks.Any(range => range.Contains(address)));
    }

    /// <summary>All Pods of namespaces, or some of them. Those in the network of a node are in none.</summary>
    private sealed record PodChoice(LabelSelector? Namespaces, LabelSelector? Pods)
    {
        public static PodChoice Read(JsonNode? value) => value?["namespaces"] is { } all ? new(LabelSelector.Read(all), new())
            : new(LabelSelector.Read(value?["pods"]?["namespaceSelector"]), LabelSelector.Read(value?["pods"]?["podSelector"]));

        public bool Has(PacketEnd end) => end.Pod is { } pod && Namespaces?.Matches(end.NamespaceLabels) == true && Pods?.Matches(pod.Metadata.Labels) == true;
    }

    /// <param name="Name">Of a container's port; empty for numbers.</param>
    private sealed record PortChoice(string Protocol, string Name, int First, int Last)
    {
        public static PortChoice Read(JsonObject value)
        {
            if (value["portNumber"] is { } one) return new(ProtocolOf(one), "", Number(one["port"]), Number(one["port"]));
            if (value["portRange"] is { } range) return new(ProtocolOf(range), "", Number(range["start"]), Number(range["end"]));
            return new("TCP", value["namedPort"]?.ToString() ?? "", 0, 0);
        }

        public bool Contains(int port, Pod target) => Protocol == "TCP" && (Name.Length == 0 ? port >= First && port <= Last
            : target.Spec.Containers.Concat(target.Spec.InitContainers).Any(container => container.Ports.Any(one => one.Name == Name && one.Number == port)));

        private static string ProtocolOf(JsonNode value) => value["protocol"]?.ToString() ?? "TCP";
    }
}

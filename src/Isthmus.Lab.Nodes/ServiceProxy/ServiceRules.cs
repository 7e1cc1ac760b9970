using System.Net;
using System.Text;
using Isthmus.Core.Collections;
using Isthmus.Core.Net;

namespace Isthmus.Lab.Nodes.ServiceProxy;

/// <summary>The inputs of the node's Service table.</summary>
internal sealed record ServiceRulesInputs(IPAddress NodeAddress, Cidr PodRange, ValueList<ServicePortRule> Ports);

/// <summary>
/// The nftables table of Services, replaced as a whole in one transaction. Existing connections keep their endpoint,
/// because the kernel tracks translations per connection.
/// </summary>
internal static class ServiceRules
{
    internal const string Table = "isthmus-services";

    internal static string Render(ServiceRulesInputs inputs)
    {
        var addresses = new SortedDictionary<string, string>(StringComparer.Ordinal);
        var nodePorts = new SortedDictionary<string, string>(StringComparer.Ordinal);
        var closed = new SortedSet<string>(StringComparer.Ordinal);
        var closedNodePorts = new SortedSet<string>(StringComparer.Ordinal);
        var chains = new StringBuilder();
        foreach (var port in inputs.Ports) AddPort(port, inputs, addresses, nodePorts, closed, closedNodePorts, chains);
        var loops = inputs.Ports.SelectMany(port => port.Targets).Select(target => $"{target.Address} . {target.Address}").Distinct()
            .Order(StringComparer.Ordinal);
        return $$"""
            table ip {{Table}}
            delete table ip {{Table}}
            table ip {{Table}} {
              set closed { type ipv4_addr . inet_proto . inet_service; {{Elements(closed)}} }
              set closed-node-ports { type inet_proto . inet_service; {{Elements(closedNodePorts)}} }
              set loops { type ipv4_addr . ipv4_addr; {{Elements(loops)}} }
            {{chains}}  map addresses { type ipv4_addr . inet_proto . inet_service : verdict; {{Elements(addresses.Select(e => $"{e.Key} : {e.Value}"))}} }
              map node-ports { type inet_proto . inet_service : verdict; {{Elements(nodePorts.Select(e => $"{e.Key} : {e.Value}"))}} }
              chain lookup {
                ip daddr . meta l4proto . th dport vmap @addresses
                fib daddr type local ip daddr != 127.0.0.0/8 meta l4proto . th dport vmap @node-ports
              }
              chain refuse {
                ip daddr . meta l4proto . th dport @closed reject
              }
              chain pre { type nat hook prerouting priority dstnat; jump lookup; }
              chain out { type nat hook output priority -100; jump lookup; }
              chain post {
                type nat hook postrouting priority srcnat;
                ct status dnat ip saddr . ip daddr @loops snat to {{inputs.NodeAddress}}
              }
              chain forward { type filter hook forward priority -5; jump refuse; }
              chain local-out { type filter hook output priority -5; jump refuse; }
              chain local-in {
                type filter hook input priority -5;
                jump refuse
                fib daddr type local meta l4proto . th dport @closed-node-ports reject
              }
            }

            """;
    }

    private static void AddPort(
        ServicePortRule port, ServiceRulesInputs inputs,
        SortedDictionary<string, string> addresses, SortedDictionary<string, string> nodePorts,
        SortedSet<string> closed, SortedSet<string> closedNodePorts, StringBuilder chains)
    {
        var outer = port.OuterAddresses.Select(address => Key(address, port));
        var key = $"{port.Protocol} . {port.NodePort}";
        if (port.Targets.IsEmpty)
        {
            closed.UnionWith(port.ClusterAddresses.Select(address => Key(address, port)).Concat(outer));
            if (port.NodePort > 0) closedNodePorts.Add(key);
            return;
        }
        Chain(chains, port.Name, port, port.Targets);
        var inside = port.Name;
        if (port.InternalLocal && port.Local != port.Targets) Chain(chains, inside = $"{port.Name}.here", port, port.Local);
        var outside = port.Name;
        if (port.ExternalLocal && port.Local != port.Targets) OuterChain(chains, outside = $"{port.Name}.outer", port, inputs.PodRange);

        // Two Services may claim the same address and port. The first keeps it, and the others must not break the whole
        // table.
        foreach (var address in port.ClusterAddresses) addresses.TryAdd(Key(address, port), $"goto {inside}");
        foreach (var address in outer) addresses.TryAdd(address, $"goto {outside}");
        if (port.NodePort > 0) nodePorts.TryAdd(key, $"goto {outside}");
    }

    private static void OuterChain(StringBuilder chains, string name, ServicePortRule port, Cidr podRange) =>
        chains.Append(
            $"  chain {name} {{\n    ip saddr {podRange} goto {port.Name}\n    fib saddr type local goto {port.Name}\n    {Translate(port, port.Local)}\n  "
                + $"}}\n");

    private static void Chain(StringBuilder chains, string name, ServicePortRule port, ValueList<ServiceTarget> targets) =>
        chains.Append($"  chain {name} {{ {Translate(port, targets)}; }}\n");

    private static string Translate(ServicePortRule port, ValueList<ServiceTarget> targets)
    {
        if (targets.IsEmpty) return "drop";
        if (targets.Count == 1) return $"meta l4proto {port.Protocol} dnat ip to {targets[0].Address}:{targets[0].Port}";
        // A hash of the client address keeps a client on one endpoint without any state, while the endpoints stay the same.
        var choice = port.StaysWithClient ? $"jhash ip saddr mod {targets.Count}" : $"numgen random mod {targets.Count}";
        var map = string.Join(", ", targets.Select((target, i) => $"{i} : {target.Address} . {target.Port}"));
        return $"meta l4proto {port.Protocol} dnat ip to {choice} map {{ {map} }}";
    }

    private static string Key(IPAddress address, ServicePortRule port) => $"{address} . {port.Protocol} . {port.Port}";

    private static string Elements(IEnumerable<string> values)
    {
        var text = string.Join(", ", values);
        return text.Length == 0 ? "" : $"elements = {{ {text} }}";
    }
}

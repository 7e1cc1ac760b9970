using System.Net;
using System.Text;
using Isthmus.Core.Collections;
using Isthmus.Core.Net;

namespace Isthmus.Lab.Machine.Network;

/// <summary>The inputs of a node's packet filter.</summary>
/// <param name="Peers">The other clusters of the same (flat) network.</param>
internal sealed record NodeRulesInputs(Cidr PodRange, Cidr ServiceRange, Cidr LoadBalancerPool, ValueList<NodePeer> Peers);

/// <summary>Another cluster whose Pods are reachable through its node.</summary>
internal sealed record NodePeer(IPAddress Node, Cidr PodRange);

/// <summary>
/// The part of a node's rules that does not depend on Services. Traffic of Pods that leaves the cluster gets the node's
/// address, except within the same network. From outside, only the same network and traffic that a Service admits can enter
/// the Pod range. ClusterIPs are not reachable from other clusters.
/// </summary>
internal static class NodeRules
{
    internal const string Table = "isthmus-node";

    internal static string Render(NodeRulesInputs inputs)
    {
        var text = new StringBuilder();
        var peerRanges = inputs.Peers.Select(peer => peer.PodRange.ToString()).ToList();
        var trusted = peerRanges.Concat(inputs.Peers.Select(peer => peer.Node.ToString())).ToList();
        text.Append($$"""
            table ip {{Table}}
            delete table ip {{Table}}
            table ip {{Table}} {
              set peers { type ipv4_addr; flags interval; {{Elements(peerRanges)}} }
              set trusted { type ipv4_addr; flags interval; {{Elements(trusted)}} }
              chain foreign {
                type filter hook prerouting priority raw;
                iifname "eth0" ip daddr {{inputs.ServiceRange}} drop
              }
              chain forward {
                type filter hook forward priority filter;
                ct state established,related accept
                ct status dnat accept
                iifname "eth0" ip saddr @trusted ip daddr {{inputs.PodRange}} accept
                iifname "eth0" ip daddr {{inputs.PodRange}} reject with icmp net-prohibited
                ip daddr {{inputs.ServiceRange}} reject
              }
              chain input {
                type filter hook input priority filter;
                ip daddr {{inputs.LoadBalancerPool}} ip protocol != icmp ct status & dnat == 0 reject
              }
              chain output {
                type filter hook output priority filter;
                ip daddr {{inputs.ServiceRange}} ct status & dnat == 0 reject
              }
              chain post {
                type nat hook postrouting priority srcnat + 1;
                ip saddr {{inputs.PodRange}} oifname "eth0" ip daddr != @peers masquerade
                iifname "eth0" oifname "eth0" ct status dnat masquerade
              }
            }

            """);
        return text.ToString();
    }

    private static string Elements(List<string> values) => values.Count == 0 ? "" : $"elements = {{ {string.Join(", ", values)} }}";
}

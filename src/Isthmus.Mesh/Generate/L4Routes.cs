using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Generate;

/// <summary>The routes of connections as chains.</summary>
internal static class L4Routes
{
    /// <param name="source">Who connects.</param>
    /// <param name="rule">The routes.</param>
    /// <param name="port">The port of the listener.</param>
    /// <param name="ranges">The addresses of the listener, where a match has none.</param>
    /// <param name="gateway"><c>mesh</c>, or the gateway's full name.</param>
    /// <param name="settings">Those of DestinationRules, by cluster.</param>
    public static IEnumerable<TcpChain> Chains(CallSource source, RouteSet rule, ServicePort port, ValueList<AddressOrRange> ranges, string gateway,
        ValueMap<TcpSettings> settings)
    {
        if (port.Protocol.IsTls() || !rule.Tls.IsEmpty)
        {
            foreach (var route in rule.Tls)
            {
                foreach (var match in route.Matches)
                {
                    if (!Applies(match, source, port.Number, gateway)) continue;
                    var names = match.SniHosts.Contains("*") ? default : match.SniHosts;
                    yield return new(names, match.DestinationSubnets.IsEmpty ? ranges : match.DestinationSubnets, Target(route, rule, port.Number, settings),
                        Protocol.Tcp, rule.Source);
                }
            }
        }
        foreach (var route in rule.Tcp)
        {
            if (route.Matches.IsEmpty)
            {
                yield return new(default, ranges, Target(route, rule, port.Number, settings), Protocol.Tcp, rule.Source);
                continue;
            }
            foreach (var match in route.Matches)
            {
                if (!Applies(match, source, port.Number, gateway)) continue;
                yield return new(default, match.DestinationSubnets.IsEmpty ? ranges : match.DestinationSubnets, Target(route, rule, port.Number, settings),
                    Protocol.Tcp, rule.Source);
            }
        }
    }

    private static bool Applies(L4Match match, CallSource source, int port, string gateway) =>
        !match.IsNever
        && (match.Port == 0 || match.Port == port)
        && (match.Gateways.IsEmpty || match.Gateways.Contains(gateway))
        && source.Is(match.SourceNamespace, match.SourceLabels);

    private static TcpTarget Target(L4Rule route, RouteSet rule, int port, ValueMap<TcpSettings> settings)
    {
        // A connection that gets a cluster that does not exist ends.
        var clusters = RouteBackend.Used(route.Backends)
            .Select(backend => new WeightedName(backend.To is { } to ? Cluster(to, port) : ResourceNames.Unresolved, Math.Max(1, backend.Weight)))
            .ToValueList();
        // The connection has one timeout, whichever destination it gets: that of the first.
        var first = clusters.IsEmpty ? TcpSettings.None : Settings(clusters[0].Cluster);
        // It has one end, too. Where destinations differ in that, some would get bytes that are not for them: none gets any.
        if (clusters.Any(cluster => Settings(cluster.Cluster).Tunnel != first.Tunnel)) clusters = [new(ResourceNames.Unresolved, 1)];
        return new(clusters.Count == 1 ? clusters[0].Cluster : $"{rule.Name}.{rule.Namespace}", clusters) { Settings = first };

        TcpSettings Settings(string cluster) => settings.TryGetValue(cluster, out var found) ? found : TcpSettings.None;
    }

    internal static string Cluster(Destination destination, int port) =>
        ResourceNames.Outbound(destination.Port > 0 ? destination.Port : port, destination.Subset, destination.Host);
}

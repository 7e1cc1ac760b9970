using System.Net;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Reports;

namespace Isthmus.Operate.Diagnose;

/// <summary>Asks a proxy of each cluster to connect to the gateways of the other networks. It opens a connection and sends nothing.</summary>
public static class GatewayReachReader
{
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(1500), Longest = TimeSpan.FromSeconds(4);

    public static async Task<IReadOnlyList<GatewayReach>> ReadAsync(IReadOnlyList<ClusterFacts> clusters, IReadOnlyList<KubeClient> clients,
        CancellationToken stop) =>
        await Task.WhenAll(Wanted(clusters)
            .Select(wanted => AskAsync(wanted.From, clients.First(client => client.Access.Name == wanted.From.Context).Within(Longest), wanted.To,
                wanted.Gateway, wanted.Address, stop)));

    /// <summary>Whether proxies can connect to the gateways of the other networks.</summary>
    public static IEnumerable<Check> Checks(IEnumerable<GatewayReach> connections)
    {
        foreach (var reach in connections)
        {
            if (reach is { IsKnown: true, Error.Length: > 0, Astray: { } stray })
            {
                yield return new(reach.From, "path to gateway", $"{reach.Address}, {reach.Gateway} in {reach.To}", new("ISM1034",
                    $"Service {reach.Gateway} in {reach.To}", "spec.selector",
                    $"is {stray.Selector}, and selects Pod {stray.Pod}, which no Gateway with tls.mode AUTO_PASSTHROUGH selects, while Pod {stray.Serving} "
                        + $"serves Gateway {stray.Gateway}: Pod {reach.Proxy} in {reach.From} reaches no gateway at {reach.Address}: {reach.Error}",
                    PassingGateways.Select(reach.To, reach.Gateway, stray.Wanted)));
                continue;
            }
            yield return new(reach.From, "path to gateway", $"{reach.Address}, {reach.Gateway} in {reach.To}{(reach.IsKnown ? "" : $": {reach.Error}")}",
                reach.Error.Length == 0 || !reach.IsKnown ? null
                : new("ISM1034", $"Service {reach.Gateway} in {reach.To}", reach.IsGiven ? "spec.externalIPs" : "status.loadBalancer.ingress",
                    $"has {reach.Address[..reach.Address.LastIndexOf(':')].Trim('[', ']')}, and its gateway is ready, but Pod {reach.Proxy} in {reach.From} "
                        + $"does not reach it at {reach.Address}: {reach.Error}",
                    reach.IsGiven ? $"correct spec.externalIPs, or remove the address there; if it is right: {Look(reach)}" : Look(reach)))
            {
                IsKnown = reach.IsKnown,
            };
        }
    }

    private static string Look(GatewayReach reach) => reach.Error.Contains("refused", StringComparison.Ordinal)
        ? $"something there refuses connections: check that the address leads to the gateway, and that its Pods listen (isthmus proxy-config "
            + $"listeners deployment/{reach.Gateway.Split('/')[^1]}.{reach.Gateway.Split('/')[0]} --context={reach.To})"
        : "packets do not arrive: check firewalls, security groups and routes between the clusters, and whether the address leads to the gateway";

    /// <summary>Which connections callers need: those from each network to the gateways of the others.</summary>
    internal static IEnumerable<(ClusterFacts From, ClusterFacts To, GatewayFacts Gateway, string Address)> Wanted(IReadOnlyList<ClusterFacts> clusters)
    {
        var members = clusters.Where(cluster => cluster is { Error: "", HasIstio: true }).ToList();
        return from near in members
               from far in members
               where far != near && (far.NetworkLabel != near.NetworkLabel || (far.IsJoinedByNames && near.IsJoinedByNames))
                   && MeshVerification.AreOneMesh(near, far, members)
               // Without a Gateway object, the gateway opens no port: that is the cause, and it has a check of its own.
               where far.ExposesServices || far.ControlPlanes.Count == 0
               from gateway in far.Gateways
               where gateway is { OnNodes: false, HasPort: true, ReadyEndpoints: > 0 } && (gateway.Network != near.NetworkLabel || near.IsJoinedByNames)
               from address in gateway.Addresses
               where IPAddress.TryParse(address, out _)
               select (near, far, gateway, address);
    }

    private static async Task<GatewayReach> AskAsync(ClusterFacts from, KubeClient client, ClusterFacts to, GatewayFacts gateway, string address,
        CancellationToken stop)
    {
        var point = new IPEndPoint(IPAddress.Parse(address), gateway.Port);
        var reach = new GatewayReach(from.Context, from.ProxyPod, to.Context, gateway.Name, point.ToString(), "", true)
        {
            Astray = gateway.Astray, IsGiven = gateway.Given.Contains(address),
        };
        if (from.ProxyPod.Length == 0) return reach with { Error = "no proxy in the system namespace can be asked", IsKnown = false };
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(Longest);
        try
        {
            var answer = await new MeshQuery(client, from.SystemNamespace).ReachAsync(from.SystemNamespace, from.ProxyPod,
                ReachReport.Request(point.ToString(), Patience), limit.Token);
            return answer.Connected == true ? reach : reach with { Error = answer.Error };
        }
        catch (Exception e) when (e is ProblemException or KubeException or HttpRequestException
            || (e is OperationCanceledException && !stop.IsCancellationRequested))
        {
            return reach with { Error = $"Pod {from.ProxyPod} cannot be asked: {e.Message}", IsKnown = false };
        }
    }
}

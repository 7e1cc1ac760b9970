using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Servers of several Gateways with the same Pods, port and host. Pure.</summary>
public static class GatewayConflicts
{
    private sealed record Claim(Gateway Gateway, int Index, GatewayServer Server, string Host);

    public static Analyzer Analyzer
    {
        get;
    } = new("gateway.ConflictingGatewayAnalyzer", "Checks for Gateways with the same selector, port and host", [IstioCodes.ConflictingGateways], ["Gateway"],
        mesh => mesh.Readable.SelectMany(Check));

    private static IEnumerable<Finding> Check(ClusterInventory cluster) =>
        from claim in cluster.Written<Gateway>()
            .SelectMany(gateway => gateway.Servers.Index()
                .SelectMany(server => server.Item.Hosts.Select(host => new Claim(gateway, server.Index, server.Item, NameOf(host)))))
        group claim by (claim.Server.Port, claim.Server.Bind, claim.Host) into same
        where same.Select(claim => claim.Gateway.FullName).Distinct().Count() > 1
        from claim in same
        let others = same.Where(other => other.Gateway.FullName != claim.Gateway.FullName && SharePods(claim.Gateway, other.Gateway) && Overlap(claim, other))
            .ToList()
        where others.Count > 0
        // Plain HTTP has one route table for a port, which has the routes of all.
        let isShared = others.Append(claim).All(other => other.Server.Tls is null && other.Server.Protocol.IsHttp())
        select IstioCodes.ConflictingGateways.At(cluster, $"Gateway {claim.Gateway.FullName}", $"spec.servers[{claim.Index}]",
            $"Gateway {string.Join(", ", others.Select(other => other.Gateway.FullName).Distinct())} has the same Pods, port {claim.Server.Port} and host "
                + $"{claim.Host}{(isShared ? "; their VirtualServices share it" : ": connections use the settings of one of them only")}",
            severity: isShared ? Severity.Info : null);

    /// <summary>Whether all Pods of one serve the other as well.</summary>
    internal static bool SharePods(Gateway one, Gateway other) =>
        LabelSelector.Selects(one.Selector, other.Selector) || LabelSelector.Selects(other.Selector, one.Selector);

    private static string NameOf(string host) => host[(host.IndexOf('/', StringComparison.Ordinal) + 1)..];

    /// <summary>Whether both take VirtualServices of a common namespace, or terminate TLS for the same name.</summary>
    private static bool Overlap(Claim claim, Claim other)
    {
        if (claim.Server.Tls is not null || other.Server.Tls is not null) return true;
        var (one, two) = (Namespaces(claim), Namespaces(other));
        return one.Contains("*") || two.Contains("*") || one.Intersect(two).Any();
    }

    private static List<string> Namespaces(Claim claim) => [.. claim.Server.Hosts.Where(host => NameOf(host) == claim.Host)
        .Select(host => host.IndexOf('/', StringComparison.Ordinal) is > 0 and var slash
            ? host[..slash] == "." ? claim.Gateway.Namespace : host[..slash]
            : "*")];
}

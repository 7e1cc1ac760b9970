using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Snapshot;

namespace Isthmus.Proxy.Traffic;

/// <summary>What the policies of a filter chain say of connections. Pure.</summary>
internal static class ConnectionRules
{
    /// <summary>What is known of a connection before its first request.</summary>
    public static PolicyFacts Facts(Downstream connection) =>
        new(null, "", connection.Peer, connection.Source, connection.Source.Address, connection.Destination,
            connection.Facts.ServerName) { DirectSource = connection.DirectSource, State = connection.State };

    /// <summary>The filter that denies a connection which is open already; null: none does. External authorizers are asked about new ones only.</summary>
    public static AccessFilter? Forbidding(Downstream connection, FilterChainSnapshot chain)
    {
        if (chain.Access.Count == 0) return null;
        var facts = Facts(connection);
        foreach (var filter in chain.Access)
            if (filter is UnsupportedFilter || (filter is RbacFilter rbac && !rbac.Decide(facts).IsAllowed)) return filter;
        return null;
    }
}

using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Tokens;

namespace Isthmus.Proxy.Http;

/// <summary>The route of one request after another: it is chosen when something needs it, and again after a filter has changed the request.</summary>
internal sealed class RequestRoute(HttpParts parts, DownstreamStream stream)
{
    private HttpAction _action = null!;
    private ProxySnapshot _snapshot = ProxySnapshot.Empty;
    private RouteDecision? _decision;
    private WeightedTarget? _target;
    // As in Envoy, a request that gets its route again stays with the share that it had.
    private long? _chance;

    public string Scheme { get; set; } = "http";

    /// <summary>What filters learned about the request; null for nothing.</summary>
    public RequestMetadata? Metadata { get; set; }

    /// <summary>Null if there are no routes.</summary>
    public RouteTable? Table => _action.Routes ?? _snapshot.Routes.GetValueOrDefault(_action.RouteName);

    public RouteDecision Decision => _decision ??= Table is { } table
        ? RouteDecision.For(table, stream.Request, Scheme, parts.Ports.Random, Metadata) : default(RouteDecision);

    /// <summary>The cluster that the route leads to; empty when it leads to none.</summary>
    public string Cluster => Decision.Route?.Act is ForwardAct act ? Choose(act).Cluster : "";

    public void Begin(HttpAction action, ProxySnapshot snapshot)
    {
        (_action, _snapshot, _chance, Metadata) = (action, snapshot, null, null);
        Forget();
    }

    public void Forget() => (_decision, _target) = (null, null);

    /// <summary>One of the clusters of the route, the same each time.</summary>
    public WeightedTarget Choose(ForwardAct act) => _target ??= RouteDecision.Choose(act, stream.Request, _chance ??= parts.Ports.Random.NextInt64());

    /// <summary>That one, where the route itself names its clusters: it does not depend on what filters still change of the request. Null: none is known.
    /// </summary>
    public WeightedTarget? Share => Decision.Route?.Act is ForwardAct { ClusterHeader.Length: 0 } act ? Choose(act) : null;
}

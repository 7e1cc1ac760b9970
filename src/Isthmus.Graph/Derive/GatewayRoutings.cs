using Isthmus.Core.Collections;
using Isthmus.Core.Live;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Derive;

/// <summary>The routes at gateways by what they are part of, so that one changed route costs its hosts, however many routes there are.</summary>
/// <param name="routings">All routes.</param>
internal sealed class GatewayRoutings(Live<ObjectKey, RouteSet> routings)
{
    /// <summary>Those of VirtualServices and Ingress objects, by Gateway.</summary>
    public Live<string, ValueList<RouteSet>> Listed { get; } = routings.GroupByMany(
        routing => routing.Precedence == RoutePrecedence.Listed ? routing.Gateways : [], "listed routings by gateway");

    /// <summary>Those that compete for a host at a Gateway.</summary>
    public Live<GatewayHost, ValueList<RouteSet>> ByHost { get; } = routings.GroupByMany(
        routing => routing.Precedence == RoutePrecedence.Listed ? []
            : routing.Gateways.SelectMany(gateway => routing.Hosts.Select(host => new GatewayHost(gateway, host))), "competing routings by gateway and host");
}

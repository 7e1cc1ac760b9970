using System.Globalization;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Mesh.Resolve.GatewayApi;

/// <summary>Routes of the Gateway API as sets of routes, one for each parent.</summary>
public static class ApiRouteSets
{
    private const string Everybody = "*";

    /// <summary>The routes of a listener.</summary>
    /// <param name="route">The route.</param>
    /// <param name="converted">Its rules.</param>
    /// <param name="gateway">The Gateway of Istio's kind that stands for the listener, as <c>namespace/name</c>.</param>
    /// <param name="hosts">The hosts for which they are.</param>
    public static RouteSet OfListener(ApiRoute route, ConvertedRoute converted, string gateway, ValueList<string> hosts)
    {
        var (isTls, isUdp) = (route.Source.Kind == "TLSRoute", route.Source.Kind == "UDPRoute");
        return Of(route, hosts.IsEmpty ? [Everybody] : hosts, gateway, [Everybody]) with
        {
            Rules = converted.Http,
            Tls = isTls ? converted.L4.Select(rule => rule with { Matches = [Match(hosts.IsEmpty ? [Everybody] : hosts, 0)] }).ToValueList() : default,
            Tcp = isTls || isUdp ? default : converted.L4,
            Udp = isUdp ? converted.L4 : default,
            MatchesTerminated = isTls,
            Claims = route.Hostnames,
        };
    }

    /// <summary>The routes of a Service or ServiceEntry, for its callers.</summary>
    /// <param name="route">The route.</param>
    /// <param name="converted">Its rules.</param>
    /// <param name="parent">The Service or ServiceEntry.</param>
    /// <param name="hosts">Its hosts.</param>
    public static RouteSet OfService(ApiRoute route, ConvertedRoute converted, ApiReference parent, ValueList<string> hosts)
    {
        var isConsumer = parent.Namespace != route.Namespace;
        var isTls = route.Source.Kind == "TLSRoute";
        var names = isTls && !route.Hostnames.IsEmpty ? route.Hostnames : hosts;
        var matches = isTls ? [Match(names, parent.Port)] : parent.Port > 0 ? [Match(default, parent.Port)] : ValueList<L4Match>.Empty;
        var l4 = converted.L4.Select(rule => rule with { Matches = matches }).ToValueList();
        return Of(route, hosts, RouteSet.Mesh, isConsumer ? ["."] : [Everybody]) with
        {
            Part = string.Create(CultureInfo.InvariantCulture, $"{parent.Kind}/{parent.Namespace}/{parent.Name}:{parent.Port}"),
            Rules = converted.Http.Select(rule => parent.Port == 0 ? rule : rule with
            {
                Matches = (rule.Matches.IsEmpty ? [HttpMatch.Any] : rule.Matches).Select(match => match with { Port = parent.Port }).ToValueList(),
            }).ToValueList(),
            Tls = isTls ? l4 : default,
            Tcp = isTls ? default : l4,
            IsOfService = true,
            IsOfConsumer = isConsumer,
        };
    }

    private static RouteSet Of(ApiRoute route, ValueList<string> hosts, string parent, ValueList<string> exportTo) =>
        new(route.Source, hosts, [parent], exportTo, default, default, default, route.CreatedAt) { Precedence = RoutePrecedence.Exactness, Part = parent };

    private static L4Match Match(ValueList<string> names, int port) => new(names, default, port, default, "", default);
}

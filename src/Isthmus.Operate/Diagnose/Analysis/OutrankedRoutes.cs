using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Rules of HTTPRoutes and GRPCRoutes whose requests all go to another route: of equal matches, those of the
/// older object count, and of the first by name where both are of one age. Pure.</summary>
public static class OutrankedRoutes
{
    public static Analyzer Analyzer { get; } = new("gatewayapi.OutrankedRouteAnalyzer",
        "Checks that no route of the Gateway API that goes before has the matches of a rule",
        [OwnCodes.RouteOutranked], [], mesh => mesh.GatewayApis.SelectMany(Check));

    private static IEnumerable<Finding> Check(JudgedGatewayApi api)
    {
        var routes = api.Verdicts.Routes.Where(attached => attached.Parents.All(parent => !parent.Listeners.IsEmpty)).Select(attached => attached.Route)
            .Where(route => route.Source.Kind == MeshApi.HttpRoute.Name || route.Source.Kind == MeshApi.GrpcRoute.Name)
            .OrderBy(route => route.CreatedAt).ThenBy(route => route.Namespace, StringComparer.Ordinal).ThenBy(route => route.Name, StringComparer.Ordinal)
            .ToList();
        foreach (var (i, route) in routes.Index())
        {
            var before = routes.Take(i).Where(other => IsForAllOf(other, route)).ToList();
            foreach (var (j, rule) in route.Rules.Index())
            {
                if (before.Find(other => Matches(rule).All(match => other.Rules.Any(one => Matches(one).Contains(match)))) is { } first)
                    yield return OwnCodes.RouteOutranked.At(api.Cluster, JudgedGatewayApi.Name(route.Source), $"spec.rules[{j}]",
                        $"is never used: {JudgedGatewayApi.Name(first.Source)}, which "
                            + $"{(first.CreatedAt == route.CreatedAt ? "comes first by name, since both are of one age" : "is older")}, has the same matches "
                            + "for the same hosts");
            }
        }
    }

    private static IEnumerable<HttpMatch> Matches(ApiRule rule) => rule.Matches.IsEmpty ? [HttpMatch.Any] : rule.Matches;

    /// <summary>Whether a route is for all calls that another one is for: at the same parents, for the same hosts. Within the mesh, routes of one namespace
    /// compete.</summary>
    private static bool IsForAllOf(ApiRoute wide, ApiRoute narrow) =>
        wide.Source.Kind == narrow.Source.Kind && !narrow.Parents.IsEmpty
        && narrow.Parents.All(parent => wide.Parents.Contains(parent) && (JudgedGatewayApi.KindOf(parent) is not null || wide.Namespace == narrow.Namespace))
        && (narrow.Hostnames.IsEmpty ? wide.Hostnames.IsEmpty : narrow.Hostnames.All(host => wide.Hostnames.Contains(host)));
}

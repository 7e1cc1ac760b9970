using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>A match at a gateway that no request comes to: another VirtualService with its host is older, or of the same second and first by its name, so
/// that its routes are tried first, and one of them takes all that the match does.</summary>
/// <param name="By">The place of the older one's route.</param>
/// <param name="Route">The place of the route that is hidden.</param>
/// <param name="Match">The place of its match; null: the whole route is hidden.</param>
public sealed record TakenRoute(VirtualService Older, int By, VirtualService Newer, int Route, int? Match, string Host, string Gateway)
{
    public string Path => $"spec.http[{Route}]{(Match is { } match ? $".match[{match}]" : "")}";

    public string Why => $"is never used for {Host} at Gateway {Gateway}: VirtualService {Older.Namespace}/{Older.Name} is {Rank}, so that its routes are "
        + $"tried first, and its spec.http[{By}]{Text(Older.Http[By])} takes all that this {(Match is null ? "route" : "match")}{Text(Newer.Http[Route])} does";

    private string Rank => Older.CreatedAt < Newer.CreatedAt ? "older" : "of the same second and comes first by its name";

    public string Remedy => $"write the routes of both into one VirtualService, with this {(Match is null ? "route" : "match")} before that one; or let one "
        + "VirtualService delegate to both, in that order";

    /// <summary>Whether the match is for a path, which would come to it otherwise.</summary>
    public bool IsFor(string path)
    {
        var asked = path.Split('?')[0];
        return Newer.Http[Route].Matches.Where((_, place) => Match is null || place == Match).Any(match => match.Uri is { } uri && uri.Kind switch
        {
            MatchKind.Exact => asked == uri.Value,
            MatchKind.Prefix => asked.StartsWith(uri.Value, StringComparison.Ordinal),
            _ => false,
        });
    }

    private static string Text(HttpRoute route) =>
        route.Matches is [{ Uri: { } uri }] ? $" ({uri.Kind.ToString().ToLowerInvariant()} {uri.Value})" : "";
}

/// <summary>Routes of gateways that an older VirtualService takes. Pure.</summary>
public static class TakenRoutes
{
    public static Analyzer Analyzer { get; } = new("virtualservice.TakenRouteAnalyzer",
        "Checks for routes of gateways that an older VirtualService with the same host takes", [RouteCodes.RouteTaken], ["VirtualService"],
        mesh => mesh.Readable.SelectMany(cluster => In([.. cluster.Istio<VirtualService>()])
            .DistinctBy(taken => (taken.Newer.Source, taken.Path))
            .Select(taken => RouteCodes.RouteTaken.At(cluster, $"VirtualService {taken.Newer.Namespace}/{taken.Newer.Name}", taken.Path, taken.Why,
                taken.Remedy))));

    /// <summary>All of a cluster. Where it is not known which of two is older, nothing is said of them.</summary>
    public static IEnumerable<TakenRoute> In(IReadOnlyList<VirtualService> services) =>
        from service in services
        where service.CreatedAt > 0 && !service.Http.IsEmpty && IsForAll(service)
        from gateway in service.Gateways
        where gateway != VirtualService.MeshGateway
        from host in service.Hosts
        group service by (Gateway: gateway, Host: host) into claimed
        where claimed.Skip(1).Any()
        from taken in Among([.. claimed.OrderBy(one => one.CreatedAt).ThenBy(one => one.Source)], claimed.Key.Gateway, claimed.Key.Host)
        select taken;

    private static IEnumerable<TakenRoute> Among(IReadOnlyList<VirtualService> oldestFirst, string gateway, string host)
    {
        foreach (var (place, newer) in oldestFirst.Index())
        {
            foreach (var (index, route) in newer.Http.Index())
            {
                var matches = MatchesOf(route);
                var takers = matches.Select(match => IsAt(match, gateway)
                    ? Taker(oldestFirst.Take(place), match, gateway) : null).ToList();
                if (takers is [{ } first, ..] && takers.TrueForAll(taker => taker is not null))
                {
                    yield return new(first.Older, first.By, newer, index, null, host, gateway);
                    continue;
                }
                foreach (var (match, taker) in takers.Index())
                    if (taker is { } one) yield return new(one.Older, one.By, newer, index, match, host, gateway);
            }
        }
    }

    private static (VirtualService Older, int By)? Taker(IEnumerable<VirtualService> older, HttpMatch match, string gateway) =>
        (from service in older
         from route in service.Http.Index()
         // What a delegate does not match goes on to the next route.
         where route.Item.Delegate is null && MatchesOf(route.Item).Any(wide => IsAt(wide, gateway)
             // A route for everything is tried last, whoever has it.
             && (!IsEverything(wide) || IsEverything(match)) && MatchCover.Covers(wide with { Gateways = default }, match with { Gateways = default }, default))
         select ((VirtualService, int)?)(service, route.Index)).FirstOrDefault();

    private static ValueList<HttpMatch> MatchesOf(HttpRoute route) => route.Matches.IsEmpty ? [HttpMatch.Any] : route.Matches;

    private static bool IsAt(HttpMatch match, string gateway) => match.Gateways.IsEmpty || match.Gateways.Contains(gateway);

    private static bool IsEverything(HttpMatch match) =>
        match.Uri is null or { Kind: MatchKind.Prefix or MatchKind.PathPrefix, Value: "/" } or { Kind: MatchKind.Regex, Value: ".*" or "*" }
        && match is { Scheme: null, Method: null, Authority: null } && match.Headers.Count == 0 && match.WithoutHeaders.Count == 0
        && match.QueryParams.Count == 0;

    /// <summary>Whether all gateways get it, wherever they are.</summary>
    private static bool IsForAll(VirtualService service) => service.ExportTo.IsEmpty || service.ExportTo.Contains("*");
}

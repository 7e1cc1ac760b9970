using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>The match that comes nearest to a request that no route takes, and what keeps them apart.</summary>
internal sealed class NearestRoute(CallerConfig config, TracedCall call)
{
    /// <param name="Owner">As <see cref="IstioMetadata.RuleOf"/> names it.</param>
    /// <param name="Why">What the match is for, and what the call has.</param>
    /// <param name="Remedy">Empty: the match is for other requests altogether.</param>
    internal sealed record Found(string Owner, string Field, string Why, string Remedy);

    private readonly AskedRequest _request = call.Request();

    /// <summary>Null: nothing is known about the matches, or one is for the request.</summary>
    /// <param name="owners">The objects with routes for the host.</param>
    public Found? Among(IEnumerable<string> owners)
    {
        var all = owners.SelectMany(owner => MatchesOf(owner).Select(one => (Owner: owner, one.Field, Misses: Misses(one.Match, owner), one.Match))).ToList();
        if (all.Count == 0 || all.Any(one => one.Misses.Count == 0)) return null;
        var nearest = all.OrderBy(one => one.Misses.Count).ThenByDescending(one => Terms(one.Match) - one.Misses.Count)
            .ThenBy(one => Apart(one.Match)).First();
        return new(nearest.Owner, $"{nearest.Field}.{nearest.Misses[0].Field}", string.Join(", and for ", nearest.Misses.Select(miss => miss.Words)),
            nearest.Misses.Count == 1 ? nearest.Misses[0].Remedy : "");
    }

    private IEnumerable<(string Field, HttpMatch Match)> MatchesOf(string owner)
    {
        if (IstioMetadata.IsOfGatewayApi(owner))
        {
            var rules = config.At.ApiRoutes.FirstOrDefault(route => $"{route.Source.Kind} {route.Namespace}/{route.Name}" == owner)?.Rules ?? default;
            return rules.Index().SelectMany(rule =>
                rule.Item.Matches.Index().Select(match => (Field: $"spec.rules[{rule.Index}].matches[{match.Index}]", Match: match.Item)));
        }
        var routes = config.At.Istio<VirtualService>().FirstOrDefault(service => $"{service.Namespace}/{service.Name}" == owner)?.Http ?? default;
        return routes.Index().Where(route => route.Item.Delegate is null)
            .SelectMany(route => route.Item.Matches.Index().Select(match => (Field: $"spec.http[{route.Index}].match[{match.Index}]", Match: match.Item)))
            .Where(one => call.Admitted is not null || CallerRoutes.Excludes(one.Match, call.Facts.ClientPod, call.Port).Field.Length == 0);
    }

    /// <summary>How far the path of the request is from that of a match.</summary>
    private int Apart(HttpMatch match) =>
        match.Uri is { } uri ? Spelling.Distance(uri.Value, RouteMiss.Beginning(_request.Path.Split('?', '#')[0], uri.Value)) : 0;

    private static int Terms(HttpMatch match) => (match.Uri is null ? 0 : 1) + (match.Method is null ? 0 : 1) + (match.Authority is null ? 0 : 1)
        + match.Headers.Count + match.WithoutHeaders.Count + match.QueryParams.Count;

    private List<RouteMiss> Misses(HttpMatch match, string owner)
    {
        var isOfApi = IstioMetadata.IsOfGatewayApi(owner);
        var isGrpc = owner.StartsWith($"{MeshApi.GrpcRoute.Kind} ", StringComparison.Ordinal);
        var (path, query) = (_request.Path.Split('?', '#')[0], QueryOf(_request.Path));
        List<RouteMiss?> misses =
        [
            isGrpc ? RouteMiss.OfGrpc(match.Uri, path)
                : RouteMiss.Of("path", isOfApi ? "path" : "uri", match.Uri, path, match.IgnoreUriCase, isOfApi),
            RouteMiss.Of("method", "method", match.Method, _request.Method, false, isOfApi),
            RouteMiss.Of("host", "authority", match.Authority, _request.Authority, false, isOfApi),
            .. match.Headers.Select(header => RouteMiss.Of($"header {header.Key}", $"headers[{header.Key}]", header.Value,
                ValueOf(header.Key), false, isOfApi)),
            .. match.WithoutHeaders.Select(header => RouteMiss.Unwanted(header.Key, header.Value, ValueOf(header.Key))),
            .. match.QueryParams.Select(one => RouteMiss.Of($"query parameter {one.Key}", $"queryParams[{one.Key}]", one.Value,
                query.GetValueOrDefault(one.Key), false, isOfApi)),
        ];
        return [.. misses.OfType<RouteMiss>()];
    }

    private string? ValueOf(string header) => header.ToLowerInvariant() switch
    {
        ":authority" => _request.Authority,
        ":method" => _request.Method,
        ":path" => _request.Path,
        var name => _request.Header(name),
    };

    private static Dictionary<string, string> QueryOf(string path)
    {
        var values = new Dictionary<string, string>(StringComparer.Ordinal);
        if (path.Split('#')[0].Split('?', 2) is not [_, var query]) return values;
        foreach (var pair in query.Split('&').Select(one => one.Split('=', 2))) values.TryAdd(pair[0], pair.Length > 1 ? pair[1] : "");
        return values;
    }
}

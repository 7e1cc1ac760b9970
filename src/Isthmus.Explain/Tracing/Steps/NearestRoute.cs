using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>The match that comes nearest to a request that no route takes, and what keeps them apart.</summary>
internal sealed class NearestRoute(CallerConfig config, TracedCall call)
{
    /// <param name="Owner">As <see cref="IstioMetadata.RuleOf"/> names it.</param>
    /// <param name="Why">What the match is for, and what the call has.</param>
    /// <param name="Remedy">Empty: the match is for other requests altogether.</param>
    internal sealed record Found(string Owner, string Field, string Why, string Remedy)
    {
        /// <summary>The VirtualService that leaves the request to the owner; empty when none does.</summary>
        public string Root { get; init; } = "";

        /// <summary>The match takes no request at all, because it is not within that of the root.</summary>
        public bool IsOutside { get; init; }
    }

    /// <param name="Field">That of the match.</param>
    private sealed record Candidate(string Owner, string Field, HttpMatch Match, List<RouteMiss> Misses)
    {
        public string Root { get; init; } = "";

        public bool IsOutside { get; init; }
    }

    private readonly AskedRequest _request = call.Request();

    /// <summary>Null: nothing is known about the matches, or one is for the request.</summary>
    /// <param name="owners">The objects with routes for the host.</param>
    public Found? Among(IEnumerable<string> owners)
    {
        var all = owners.SelectMany(Candidates).ToList();
        if (all.Count == 0 || all.Any(one => one.Misses.Count == 0)) return null;
        // Whoever leaves a request to a delegate has found a match for it.
        var nearest = all.OrderBy(one => one.Root.Length > 0 ? 0 : 1).ThenBy(one => one.Misses.Count)
            .ThenByDescending(one => Terms(one.Match) - one.Misses.Count).ThenBy(one => Apart(one.Match)).First();
        return new(nearest.Owner, $"{nearest.Field}.{nearest.Misses[0].Field}", string.Join(", and for ", nearest.Misses.Select(miss => miss.Words)),
            nearest.Misses.Count == 1 ? nearest.Misses[0].Remedy : "") { Root = nearest.Root, IsOutside = nearest.IsOutside };
    }

    private IEnumerable<Candidate> Candidates(string owner)
    {
        if (IstioMetadata.IsOfGatewayApi(owner))
        {
            var rules = config.At.ApiRoutes.FirstOrDefault(route => $"{route.Source.Kind} {route.Namespace}/{route.Name}" == owner)?.Rules ?? default;
            return rules.Index().SelectMany(rule => rule.Item.Matches.Index()
                .Select(match => new Candidate(owner, $"spec.rules[{rule.Index}].matches[{match.Index}]", match.Item, Misses(match.Item, owner))));
        }
        return config.At.Istio<VirtualService>().FirstOrDefault(service => $"{service.Namespace}/{service.Name}" == owner) is { } root
            ? root.Http.Index().SelectMany(route => route.Item.Delegate is { } name ? Delegated(root, route.Index, name) : OfRoute(root, route.Index, "")) : [];
    }

    private IEnumerable<Candidate> OfRoute(VirtualService service, int index, string root)
    {
        var owner = $"{service.Namespace}/{service.Name}";
        return service.Http[index].Matches.Index().Where(match => IsForCaller(match.Item))
            .Select(match => new Candidate(owner, FieldOf(index, match.Index), match.Item, Misses(match.Item, owner)) { Root = root });
    }

    /// <summary>What keeps a request from a delegate: the match of its root, or those of its own.</summary>
    private IEnumerable<Candidate> Delegated(VirtualService root, int index, ObjectName name)
    {
        var (owner, route) = ($"{root.Namespace}/{root.Name}", root.Http[index]);
        if (config.Service(name) is not { Hosts.IsEmpty: true } inner) return [];
        var own = OfRoute(root, index, "").ToList();
        var fitting = own.Where(one => one.Misses.Count == 0).Select(one => one.Match).ToList();
        if (fitting.Count == 0 && !route.Matches.IsEmpty) return own;
        return inner.Http.Index().SelectMany(child => OfRoute(inner, child.Index, owner))
            .Select(one => fitting.Count > 0 && fitting.TrueForAll(outer => Delegation.Misfit(outer, one.Match).Length > 0)
                ? Outside(one, root, index, fitting[0]) : one);
    }

    private Candidate Outside(Candidate inner, VirtualService root, int index, HttpMatch outer)
    {
        var field = Delegation.Misfit(outer, inner.Match);
        var (why, remedy) = RouteDelegates.Misfitting(root, index, outer, inner.Match, field);
        return inner with { IsOutside = true, Misses = [new(field, why, remedy)] };
    }

    private bool IsForCaller(HttpMatch match) =>
        call.Admitted is not null || CallerRoutes.Excludes(match, call) is null;

    private static string FieldOf(int route, int match) => $"spec.http[{route}].match[{match}]";

    /// <summary>How far the path of the request is from that of a match.</summary>
    private int Apart(HttpMatch match) =>
        match.Uri is { } uri ? Spelling.Distance(uri.Value, RouteMiss.Beginning(_request.Path.Split('?', '#')[0], uri.Value)) : 0;

    private static int Terms(HttpMatch match) => (match.Uri is null ? 0 : 1) + (match.Scheme is null ? 0 : 1) + (match.Method is null ? 0 : 1)
        + (match.Authority is null ? 0 : 1) + match.Headers.Count + match.WithoutHeaders.Count + match.QueryParams.Count;

    private List<RouteMiss> Misses(HttpMatch match, string owner)
    {
        var isOfApi = IstioMetadata.IsOfGatewayApi(owner);
        var isGrpc = owner.StartsWith($"{MeshApi.GrpcRoute.Kind} ", StringComparison.Ordinal);
        var (path, query) = (_request.Path.Split('?', '#')[0], QueryOf(_request.Path));
        List<RouteMiss?> misses =
        [
            isGrpc ? RouteMiss.OfGrpc(match.Uri, path)
                : RouteMiss.Of("path", isOfApi ? "path" : "uri", match.Uri, path, match.IgnoreUriCase, isOfApi),
            RouteMiss.OfScheme(match.Scheme, call.IsDecrypted ? "https" : "http", call.Admitted is not null),
            RouteMiss.Of("method", "method", match.Method, _request.Method, false, isOfApi),
            RouteMiss.Of("host", "authority", match.Authority, _request.Authority, false, isOfApi),
            .. match.Headers.Select(header => RouteMiss.Of($"header {header.Key}", $"headers[{header.Key}]", header.Value,
                ValueOf(header.Key), false, isOfApi)),
            .. match.WithoutHeaders.Select(header => RouteMiss.Unwanted(header.Key, header.Value, ValueOf(header.Key))),
            .. match.QueryParams.Select(one => RouteMiss.Of($"query parameter {one.Key}", $"queryParams[{one.Key}]", one.Value,
                query.GetValueOrDefault(one.Key), false, isOfApi)),
        ];
        // A sidecar's other routes are for others; at a gateway, all were meant for calls that come there.
        if (!isOfApi && call.Admitted is not null) misses.Add(CallerRoutes.Excludes(match, call)?.Miss);
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

using System.Globalization;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Mesh.Resolve.GatewayApi;

/// <summary>Where a reference to a backend leads.</summary>
/// <param name="To">Null: nowhere.</param>
/// <param name="Fault">Why not, as the condition <c>ResolvedRefs</c> says it.</param>
public readonly record struct BackendTarget(Destination? To, ApiFault? Fault)
{
    public static BackendTarget Missing(string reason, string message) => new(null, new(reason, message));
}

/// <summary>The rules of a route, with their backends found.</summary>
/// <param name="Http">Of HTTPRoutes and GRPCRoutes.</param>
/// <param name="L4">Where connections go, of other routes: what they match follows from the parents.</param>
/// <param name="Faults">Of rules that cannot apply: their requests get 500.</param>
/// <param name="References">Of references that lead nowhere.</param>
public sealed record ConvertedRoute(ValueList<RouteRule> Http, ValueList<L4Rule> L4, ValueList<ApiFault> Faults, ValueList<ApiFault> References)
{
    /// <summary>No rule applies as it is written.</summary>
    public bool IsAllFaulty { get; init; }
}

/// <summary>Rules of the Gateway API as those that proxies' routes are generated from.</summary>
public static class RouteConversion
{
    private static readonly RouteFilters Fails = new() { Direct = new(500, "", false) };

    /// <param name="route">The route.</param>
    /// <param name="targetOf">Finds backends.</param>
    public static ConvertedRoute Of(ApiRoute route, Func<ApiReference, BackendTarget> targetOf)
    {
        var (references, faults) = (new List<ApiFault>(), new List<ApiFault>());
        var isHttp = route.Source.Kind is "HTTPRoute" or "GRPCRoute";
        var (http, l4) = (new List<RouteRule>(), new List<L4Rule>());
        foreach (var (place, rule) in route.Rules.Index())
        {
            var name = NameOf(route, rule, place);
            faults.AddRange(rule.Faults);
            if (!isHttp) l4.Add(new(default, Shares(rule.Backends, Find)));
            else if (!rule.Faults.IsEmpty) http.AddRange(Failing(name, rule));
            else if (rule.Authorizer is not { } asked) http.AddRange(Rules(name, rule, null, Find));
            else if (Find(asked.To) is { } to) http.AddRange(Rules(name, rule, new(to, asked.Settings), Find));
            else
            {
                // Nobody has decided about its requests.
                http.AddRange(Failing(name, rule));
                faults.Add(new("UnsupportedValue", $"the authorizer of rule {name} cannot be asked"));
            }
        }
        return new(http.Select(rule => rule with { Source = route.Source }).ToValueList(), l4.ToValueList(), faults.ToValueList(),
            references.Distinct().ToValueList())
        {
            IsAllFaulty = !route.Rules.IsEmpty && route.Rules.All(rule => !rule.Faults.IsEmpty),
        };

        Destination? Find(ApiReference reference)
        {
            var target = targetOf(reference);
            if (target.Fault is { } fault) references.Add(fault);
            return target.To;
        }
    }

    /// <summary>The name of the route that proxies get for a rule.</summary>
    public static string NameOf(ApiRoute route, ApiRule rule, int place) =>
        rule.Name.Length > 0 ? rule.Name : string.Create(CultureInfo.InvariantCulture, $"{route.Namespace}.{route.Name}.{place}");

    /// <summary>A regular expression that proxies refuse would cost them all routes, so nothing is left of such a match.</summary>
    private static IEnumerable<RouteRule> Failing(string name, ApiRule rule)
    {
        var usable = rule.Matches.Where(match => match.Headers.Values.Concat(match.QueryParams.Values).Concat(match.Uri is { } uri ? [uri] : [])
            .All(value => value.Kind != MatchKind.Regex || LinearRegex.Fault(value.Value) is null)).ToValueList();
        return usable.IsEmpty && !rule.Matches.IsEmpty ? [] : [new(name, usable, default, Fails)];
    }

    private static IEnumerable<RouteRule> Rules(string name, ApiRule rule, RouteAuthorizer? authorizer, Func<ApiReference, Destination?> find)
    {
        var filters = rule.Filters with { Mirrors = Mirrors(rule.Mirrors, find), Authorizer = authorizer };
        if (filters.Redirect is not null) return [new(name, rule.Matches, default, filters)];
        if (!rule.Backends.Any(NeedsRule)) return [new(name, rule.Matches, Shares(rule.Backends, find), filters)];
        // Proxies change paths, redirect and mirror by rule: the requests are shared out among rules.
        var used = rule.Backends.Where(backend => backend.Weight > 0).ToList();
        if (used.Count == 0) return [new(name, rule.Matches, Shares(default, find), filters)];
        var rest = used.Sum(backend => (double)backend.Weight);
        var rules = new List<RouteRule>();
        foreach (var backend in used)
        {
            rules.Add(new(name, rule.Matches, Shares([backend], find),
                With(filters, backend, find)) { Share = backend == used[^1] ? 1 : backend.Weight / rest });
            rest -= backend.Weight;
        }
        return rules;
    }

    /// <summary>What it does to its share is not a matter of header fields and host alone.</summary>
    private static bool NeedsRule(ApiBackend backend) =>
        backend.Filters is { Redirect: not null } or { Cors: not null } or { Rewrite: { Regex: not null } or { Elements: not null } }
            || !backend.Mirrors.IsEmpty;

    private static RouteFilters With(RouteFilters filters, ApiBackend backend, Func<ApiReference, Destination?> find) => filters with
    {
        Redirect = backend.Filters.Redirect ?? filters.Redirect,
        Cors = backend.Filters.Cors ?? filters.Cors,
        Mirrors = filters.Mirrors.Concat(Mirrors(backend.Mirrors, find)).ToValueList(),
        Rewrite = backend.Filters.Rewrite is not { } own ? filters.Rewrite
            : own.Regex is not null || own.Elements is not null || filters.Rewrite is null
            ? own with { Authority = own.Authority.Length > 0 ? own.Authority : filters.Rewrite?.Authority ?? "" }
            : filters.Rewrite with { Authority = own.Authority },
    };

    private static ValueList<HttpMirror> Mirrors(ValueList<ApiMirror> mirrors, Func<ApiReference, Destination?> find) =>
        mirrors.Select(mirror => (To: find(mirror.To), mirror.Percent)).Where(mirror => mirror.To is not null)
            .Select(mirror => new HttpMirror(mirror.To!, mirror.Percent)).ToValueList();

    /// <summary>Without a backend that gets something, there is nothing for requests and connections.</summary>
    private static ValueList<RouteBackend> Shares(ValueList<ApiBackend> backends, Func<ApiReference, Destination?> find)
    {
        var shares = backends.Select(backend => (To: find(backend.To), Backend: backend)).Where(share => share.Backend.Weight > 0)
            .Select(share => new RouteBackend(share.To, share.Backend.Weight,
                share.Backend.Filters.Headers) { Authority = share.Backend.Filters.Rewrite?.Authority ?? "" })
            .ToValueList();
        return shares.IsEmpty ? [new(null, 1)] : shares;
    }
}

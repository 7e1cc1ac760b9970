using System.Text.RegularExpressions;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Mesh.Resolve.GatewayApi;

namespace Isthmus.Explain.Tracing.Facts;

/// <summary>Which field of a VirtualService, or of a route of the Gateway API, changes a header, the path or the host of requests.</summary>
internal static partial class RouteEdits
{
    private readonly record struct Edit(string Owner, string Route, string Field);

    /// <param name="key">The attribute of rules, one of <see cref="RuleKeys"/>.</param>
    /// <returns>Null: the object does not change it, so that something else does, such as an EnvoyFilter.</returns>
    public static (string Owner, string Field)? Find(CallerConfig config, RequestChanges changes, string key)
    {
        var rule = changes.Rule;
        if (rule.Length == 0) return null;
        var isOfApi = IstioMetadata.IsOfGatewayApi(rule);
        var owner = config.Named("VirtualService", rule, "");
        var edits = isOfApi
            ? config.At.ApiRoutes.Where(one => $"{one.Source.Kind} {one.Namespace}/{one.Name}" == rule).Select(route => Of(route, owner, key)).FirstOrDefault()
            : Services(config, rule).Select(service => Of(service, config.At.Context, key)).ToList() is [_, ..] found ? [.. found.SelectMany(all => all)]
            : null;
        if (edits is null) return (owner, isOfApi ? "spec.rules[*].filters" : HeaderOf(key).Length > 0 ? "spec.http[*].headers.request" : "spec.http[*]");
        var named = edits.Where(edit => edit.Route.Length > 0 && (changes.Route == edit.Route
            || changes.Route.StartsWith($"{edit.Route}.", StringComparison.Ordinal)
            || changes.Route.EndsWith($"-{edit.Route}", StringComparison.Ordinal))).ToList();
        return (named.Count > 0 ? named : edits) switch
        {
            [] => null,
            [var only] => (only.Owner, only.Field),
            [var first, .. var others] => (others.TrueForAll(other => other.Owner == first.Owner) ? first.Owner : owner, Index().Replace(first.Field, "[*]")),
        };
    }

    /// <summary>The VirtualService, and those to which it leaves routes.</summary>
    private static IEnumerable<VirtualService> Services(CallerConfig config, string rule)
    {
        var all = config.At.Istio<VirtualService>().ToList();
        return all.Where(one => $"{one.Namespace}/{one.Name}" == rule).SelectMany(root => root.Http.Select(route => route.Delegate).OfType<ObjectName>()
            .SelectMany(name => all.Where(other => other.Namespace == name.Namespace && other.Name == name.Name)).Prepend(root));
    }

    private static List<Edit> Of(VirtualService service, string context, string key) =>
        [.. from http in service.Http.Index()
            from field in Headers("headers.request", http.Item.Headers, key).Concat(Rewrite(http.Item.Rewrite, key, "rewrite"))
                .Concat(http.Item.Destinations.Index().SelectMany(to => Headers($"route[{to.Index}].headers.request", to.Item.Headers, key)))
            select new Edit($"VirtualService {service.Namespace}/{service.Name} in {context}", http.Item.Name, $"spec.http[{http.Index}].{field}")];

    private static List<Edit> Of(ApiRoute route, string owner, string key) =>
        [.. from rule in route.Rules.Index()
            from field in OfFilters("", rule.Item.Filters, key)
                .Concat(rule.Item.Backends.Index().SelectMany(to => OfFilters($"backendRefs[{to.Index}].", to.Item.Filters, key)))
            select new Edit(owner, RouteConversion.NameOf(route, rule.Item, rule.Index), $"spec.rules[{rule.Index}].{field}")];

    private static IEnumerable<string> OfFilters(string at, RouteFilters filters, string key) =>
        Headers($"{at}filters[*].requestHeaderModifier", filters.Headers, key).Concat(Rewrite(filters.Rewrite, key, $"{at}filters[*].urlRewrite"));

    private static IEnumerable<string> Headers(string at, HeaderChanges? changes, string key)
    {
        if (changes?.Request is not { } request) yield break;
        foreach (var name in key == RuleKeys.Host ? ["host", ":authority"] : HeaderOf(key) is { Length: > 0 } header ? (string[])[header] : [])
        {
            if (request.Remove.Any(Is)) yield return $"{at}.remove";
            if (request.Set.Any(pair => Is(pair.Key))) yield return $"{at}.set[{name}]";
            if (request.Add.Any(pair => Is(pair.Key))) yield return $"{at}.add[{name}]";

            bool Is(string other) => other.Equals(name, StringComparison.OrdinalIgnoreCase);
        }
    }

    private static IEnumerable<string> Rewrite(HttpRewrite? rewrite, string key, string at)
    {
        if (rewrite is null) yield break;
        var isOfApi = at.EndsWith("urlRewrite", StringComparison.Ordinal);
        if (key == RuleKeys.Host && rewrite.Authority.Length > 0) yield return $"{at}.{(isOfApi ? "hostname" : "authority")}";
        if (key == RuleKeys.Path && rewrite is { Uri.Length: > 0 } or { Regex: not null } or { Elements: not null })
            yield return $"{at}.{(isOfApi ? "path" : rewrite.Regex is null ? "uri" : "uriRegexRewrite")}";
    }

    /// <summary>The header that an attribute of rules is about, in lower case; empty: it is about something else.</summary>
    public static string HeaderOf(string key) => key.StartsWith($"{RuleKeys.Header}[", StringComparison.Ordinal)
        ? key[(RuleKeys.Header.Length + 1)..].TrimEnd(']').ToLowerInvariant() : "";

    [GeneratedRegex(@"\[\d+\]")]
    private static partial Regex Index();
}

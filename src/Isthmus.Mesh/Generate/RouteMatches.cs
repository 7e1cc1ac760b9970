using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Routes;
using StringMatch = Isthmus.Mesh.Model.StringMatch;

namespace Isthmus.Mesh.Generate;

/// <summary>Which requests a route matches.</summary>
internal static class RouteMatches
{
    /// <summary>What is known when routes are generated: gateway, port and client.</summary>
    public static bool Applies(HttpMatch match, HttpRoutes.Context context) =>
        (match.Gateways.IsEmpty || match.Gateways.Contains(context.Gateway))
        && (match.Port == 0 || match.Port == context.Port)
        && context.Caller.Source.Is(match.SourceNamespace, match.SourceLabels);

    /// <summary>Every request that reaches the route matches.</summary>
    public static bool IsEverything(HttpMatch match) =>
        match.Uri is null or { Kind: MatchKind.Prefix or MatchKind.PathPrefix, Value: "/" } or { Kind: MatchKind.Regex, Value: ".*" or "*" }
        && match.Method is null && match.Scheme is null && match.Authority is null
        && match.Headers.Count == 0 && match.WithoutHeaders.Count == 0 && match.QueryParams.Count == 0;

    public static RouteMatch Build(HttpMatch? match)
    {
        if (match is null) return new() { Prefix = "/" };
        var built = new RouteMatch { Prefix = "/", CaseSensitive = !match.IgnoreUriCase };
        if (match.Uri is { } uri)
        {
            if (uri.Kind == MatchKind.Exact) built.Path = uri.Value;
            else if (uri.Kind == MatchKind.Prefix || (uri.Kind == MatchKind.PathPrefix && uri.Value == "/")) built.Prefix = uri.Value;
            else if (uri.Kind == MatchKind.PathPrefix) built.PathSeparatedPrefix = uri.Value;
            else if (uri.Kind == MatchKind.Regex) built.SafeRegex = Regex(uri.Value);
        }
        foreach (var (name, value) in match.Headers)
        {
            if (TokenClaim.IsClaim(name)) built.DynamicMetadata.Add(Claim(name, value));
            else built.Headers.Add(Header(name, value));
        }
        foreach (var (name, value) in match.WithoutHeaders)
        {
            if (TokenClaim.IsClaim(name))
            {
                var claim = Claim(name, value);
                claim.Invert = true;
                built.DynamicMetadata.Add(claim);
                continue;
            }
            var header = Header(name, value);
            header.InvertMatch = true;
            built.Headers.Add(header);
        }
        if (match.Method is { } method) built.Headers.Add(Header(":method", method));
        if (match.Authority is { } authority) built.Headers.Add(Header(":authority", authority));
        if (match.Scheme is { } scheme) built.Headers.Add(Header(":scheme", scheme));
        foreach (var (name, value) in match.QueryParams) built.QueryParameters.Add(Query(name, value));
        return built;
    }

    public static RegexMatcher Regex(string regex) => new() { Regex = regex };

    public static StringMatcher Text(StringMatch match) => match.Kind switch
    {
        MatchKind.Prefix => TextMatches.Prefix(match.Value),
        MatchKind.Regex => TextMatches.Regex(match.Value),
        MatchKind.Present => TextMatches.Regex(".*"),
        _ => new StringMatcher { Exact = match.Value },
    };

    /// <summary>Proxies without a valid token of the request have no claims.</summary>
    private static MetadataMatcher Claim(string name, StringMatch value) => TokenClaims.Match(TokenClaim.Path(name), Text(value));

    private static HeaderMatcher Header(string name, StringMatch value)
    {
        var header = new HeaderMatcher { Name = name };
        if (value.Kind == MatchKind.Present) header.PresentMatch = true;
        else header.StringMatch = Text(value);
        return header;
    }

    private static QueryParameterMatcher Query(string name, StringMatch value)
    {
        var query = new QueryParameterMatcher { Name = name };
        if (value.Kind == MatchKind.Present) query.PresentMatch = true;
        else query.StringMatch = Text(value);
        return query;
    }
}

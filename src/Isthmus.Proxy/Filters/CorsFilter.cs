using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Telemetry;
using Isthmus.Wire.Envoy.HttpFilters;

namespace Isthmus.Proxy.Filters;

/// <summary>Cross-origin rules.</summary>
internal sealed record CorsSettings(
    IReadOnlyList<TextMatch> Origins, string Methods, string Headers, string Expose, string MaxAge, bool Credentials) : IRouteOverride
{
    /// <summary>Preflight requests of other origins are forwarded.</summary>
    public bool ForwardsUnmatched { get; init; } = true;

    public static CorsSettings Of(CorsPolicy cors) =>
        new([.. cors.AllowOriginStringMatch.Select(TextMatch.From)], cors.AllowMethods, cors.AllowHeaders, cors.ExposeHeaders, cors.MaxAge,
            cors.AllowCredentials ?? false) { ForwardsUnmatched = cors.ForwardNotMatchingPreflights ?? true };

    /// <returns>Null: they are off.</returns>
    public static CorsSettings? Of(Wire.Envoy.Routes.CorsPolicy? cors) => cors is null || cors.FilterEnabled?.DefaultValue?.Numerator == 0 ? null
        : new([.. cors.AllowOriginStringMatch.Select(TextMatch.From)], cors.AllowMethods, cors.AllowHeaders, cors.ExposeHeaders, cors.MaxAge,
            cors.AllowCredentials ?? false) { ForwardsUnmatched = cors.ForwardNotMatchingPreflights ?? true };
}

/// <summary>A cors filter: its settings are those of the route.</summary>
internal sealed class CorsFilter(string name) : RequestFilter(name)
{
    public static readonly HttpFilterKind Kind = HttpFilterKind.Of<Cors>("envoy.filters.http.cors", (_, from) => new CorsFilter(from.Name))
        .ForRoutes<CorsPolicy>((cors, _) => CorsSettings.Of(cors));

    public override FilterSteps Steps => FilterSteps.Request | FilterSteps.Answer;

    public override bool IsPolicy => false;

    /// <summary>Null if it does nothing.</summary>
    public CorsSettings? For(RouteSettings? route) => route is null ? null : route.Of(Name) is CorsSettings own ? own : route.OldCors;

    public override ValueTask<FilterAnswer?> OnRequestAsync(FilteredRequest request) =>
        new(For(request.TakeRoute()) is { } settings && TryPreflight(request.Head, settings, request.Response)
            ? new FilterAnswer(default, "", EndReason.DirectResponse) : null);

    public override void OnAnswer(FilteredRequest request)
    {
        if (For(request.TakeRoute()) is { } settings) Mark(request.Head, settings, request.Response);
    }

    /// <summary>Answers a preflight request of an allowed origin, and others without permission unless they are forwarded; other requests
    /// continue.</summary>
    public static bool TryPreflight(RequestHead request, CorsSettings cors, ResponseHead response)
    {
        if (request.Method != "OPTIONS" || !request.Headers.Contains("access-control-request-method"u8)) return false;
        var origin = AllowedOrigin(request, cors);
        if (origin is null && (cors.ForwardsUnmatched || !request.Headers.Contains("origin"u8))) return false;
        response.Clear();
        response.Status = 200;
        if (origin is null) return true;
        response.Headers.Add("access-control-allow-origin"u8, origin);
        if (cors.Credentials) response.Headers.Add("access-control-allow-credentials"u8, "true"u8);
        Allow(response, "access-control-allow-methods"u8, cors.Methods, cors.Credentials, request.Headers.GetString("access-control-request-method"u8));
        Allow(response, "access-control-allow-headers"u8, cors.Headers, cors.Credentials, request.Headers.GetJoined("access-control-request-headers"u8));
        if (cors.Expose.Length > 0) response.Headers.Add("access-control-expose-headers"u8, cors.Expose);
        if (cors.MaxAge.Length > 0) response.Headers.Add("access-control-max-age"u8, cors.MaxAge);
        return true;
    }

    /// <summary>Adds the CORS headers to the response for an allowed origin.</summary>
    private static void Mark(RequestHead request, CorsSettings cors, ResponseHead response)
    {
        if (AllowedOrigin(request, cors) is not { } origin) return;
        response.Headers.Set("access-control-allow-origin"u8, origin);
        if (cors.Credentials) response.Headers.Set("access-control-allow-credentials"u8, "true"u8);
        if (cors.Expose.Length > 0) response.Headers.Set("access-control-expose-headers"u8, cors.Expose);
    }

    // For requests with credentials, browsers take an asterisk for a name (Fetch standard): what was asked for is named.
    private static void Allow(ResponseHead response, ReadOnlySpan<byte> field, string allowed, bool withCredentials, string? asked)
    {
        var value = withCredentials && allowed == "*" ? asked ?? "" : allowed;
        if (value.Length > 0) response.Headers.Add(field, value);
    }

    private static string? AllowedOrigin(RequestHead request, CorsSettings cors) =>
        request.Headers.GetString("origin"u8) is { Length: > 0 } origin && cors.Origins.Any(o => o.IsMatch(origin)) ? origin : null;
}

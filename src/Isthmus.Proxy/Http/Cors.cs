using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Snapshot;

namespace Isthmus.Proxy.Http;

/// <summary>Cross-origin rules of a route (Envoy's cors filter).</summary>
internal static class Cors
{
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
    public static void Mark(RequestHead request, CorsSettings cors, ResponseHead response)
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

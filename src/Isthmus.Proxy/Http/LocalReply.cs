using System.Globalization;
using System.Text;
using Isthmus.Proxy.Filters;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Upstreams;

namespace Isthmus.Proxy.Http;

/// <summary>Local replies: responses from the proxy itself, with Envoy's texts.</summary>
internal static class LocalReply
{
    public const string NoHealthyUpstream = "no healthy upstream";
    public const string UpstreamTimeout = "upstream request timeout";

    public static string UpstreamReset(string reason, bool isRetried, string transportFailure) =>
        "upstream connect error or disconnect/reset before headers. " + (isRetried ? "retried and the latest " : "") + "reset reason: " + reason +
        (transportFailure.Length > 0 ? $", transport failure reason: {transportFailure}" : "");

    /// <summary>Fills in the head of a response with that text. gRPC clients get a gRPC status.</summary>
    public static ReadOnlyMemory<byte> Prepare(ResponseHead head, RequestHead request, int status,
        string body) => Prepare(head, request, status, Encoding.UTF8.GetBytes(body));

    /// <summary>Fills in the head of a response with those bytes. gRPC clients get a gRPC status.</summary>
    public static ReadOnlyMemory<byte> Prepare(ResponseHead head, RequestHead request, int status, ReadOnlyMemory<byte> body)
    {
        head.Clear();
        // To a client that asks for a tunnel, status 200 would say that it has one.
        if (GrpcCalls.Is(request.Headers) && !request.IsTunnel)
        {
            head.Status = 200;
            head.Headers.Add("content-type"u8, "application/grpc"u8);
            head.Headers.Add("grpc-status"u8, GrpcStatus(status).ToString(CultureInfo.InvariantCulture));
            if (body.Length > 0) head.Headers.Add("grpc-message"u8, GrpcCalls.MessageOf(body.Span));
            head.Body = BodyKind.None;
            return default;
        }
        head.Status = status;
        if (body.Length > 0)
        {
            head.ContentLength = body.Length;
            // For logs and matchers: what is sent is the length of the head.
            head.Headers.Add("content-length"u8, body.Length.ToString(CultureInfo.InvariantCulture));
            head.Headers.Add("content-type"u8, "text/plain"u8);
        }
        head.Body = body.Length == 0 || request.Method == "HEAD" ? BodyKind.None : BodyKind.Length;
        return head.Body == BodyKind.None ? default : body;
    }

    /// <summary>Fills in the head of a refusal.</summary>
    public static ReadOnlyMemory<byte> Prepare(ResponseHead head, RequestHead request, Refusal refusal, TrafficRecord record)
    {
        var body = Prepare(head, request, refusal.Status, refusal.Body);
        HeaderEditing.Response(head, HeaderEdits.None with { Response = refusal.Fields }, record);
        // The status of a call is in a response of gRPC, whatever the body of the refusal is.
        if (head.Headers.Contains("grpc-status"u8))
        {
            head.Headers.Set("content-type"u8, "application/grpc"u8);
            if (refusal.GrpcStatus is { } status) head.Headers.Set("grpc-status"u8, status.ToString(CultureInfo.InvariantCulture));
        }
        return body;
    }

    /// <summary>Sends the client to the normalized path, which the request has by now.</summary>
    public static ReadOnlyMemory<byte> PreparePathRedirect(ResponseHead head, RequestHead request, string scheme)
    {
        head.Clear();
        head.Status = 307;
        head.Headers.Add("location"u8, $"{scheme}://{request.Authority}{HeadRules.Ascii(request.Target)}");
        return default;
    }

    /// <summary>Sets <c>location</c> and the status of a redirect.</summary>
    /// <param name="scheme">Of the request, as proxies in front say.</param>
    /// <param name="isTls">Whether the connection has TLS.</param>
    public static void PrepareRedirect(ResponseHead head, RequestHead request, RouteSnapshot route, RedirectAct act, string scheme, bool isTls)
    {
        head.Clear();
        head.Status = act.Status;
        head.Body = BodyKind.None;
        head.Headers.Add("location"u8, Location(request, route, act, scheme, isTls));
    }

    /// <summary>Where a redirect leads.</summary>
    public static string Location(RequestHead request, RouteSnapshot route, RedirectAct act, string scheme, bool isTls)
    {
        var newScheme = act.Scheme.Length > 0 ? act.Scheme : scheme;
        var colon = request.Authority.LastIndexOf(':');
        var hasPort = colon > 0 && !request.Authority[colon..].Contains(']', StringComparison.Ordinal);
        var host = act.Host.Length > 0 ? act.Host : hasPort ? request.Authority[..colon] : request.Authority;
        // The port is kept unless the host or the port itself is replaced, or it is the default of a scheme that is.
        var port = act.Port > 0 ? $":{act.Port}" : act.Host.Length == 0 && hasPort ? request.Authority[colon..] : "";
        if (act.Port == 0 && newScheme != scheme && port == (scheme == "http" ? ":80" : ":443")) port = "";
        // Without a scheme, the port is that of the listener, which a load balancer that ends TLS may have in front of it.
        if (act.Scheme.Length == 0 && act.Port == (isTls ? 443 : 80)) port = "";
        if ((newScheme == "http" && port == ":80") || (newScheme == "https" && port == ":443")) port = "";
        var target = HeadRules.Ascii(request.Target);
        var question = target.IndexOf('?', StringComparison.Ordinal);
        var path = question < 0 ? target : target[..question];
        var query = question < 0 || act.StripQuery ? "" : target[question..];
        if (act.Path is not null)
        {
            path = act.Path;
            if (path.Contains('?', StringComparison.Ordinal)) query = "";
        }
        else if (HeaderEditing.RewritePath(Encoding.UTF8.GetBytes(path), route.Path, act.PrefixRewrite, act.PathRewrite) is { } rewritten)
        {
            path = Encoding.UTF8.GetString(rewritten);
        }
        return $"{newScheme}://{host}{port}{path}{query}";
    }

    private static int GrpcStatus(int status) => status switch
    {
        400 => 13, 401 => 16, 403 => 7, 404 => 12, 429 or 502 or 503 or 504 => 14, _ => 2,
    };
}

/// <summary>The <c>date</c> field, updated once a second.</summary>
internal sealed class DateField(TimeProvider time)
{
    private volatile Made _made = new(0, []);

    private sealed record Made(long Second, byte[] Text);

    public ReadOnlySpan<byte> Now
    {
        get
        {
            var now = time.GetUtcNow();
            var second = now.ToUnixTimeSeconds();
            if (_made.Second != second) _made = new(second, Encoding.ASCII.GetBytes(now.ToString("R", CultureInfo.InvariantCulture)));
            return _made.Text;
        }
    }
}

using System.Net;
using System.Net.Security;
using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Identity;
using Isthmus.Lab.ApiServer.VirtualResources;
using Isthmus.Wire.Tls;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Isthmus.Lab.ApiServer.Streaming;

/// <summary><c>pods/x/proxy</c> and <c>services/x/proxy</c>: passes the request on to a port of the Pod, or of a Pod behind the Service.</summary>
internal sealed class ProxyResource(string plural, string kind, Func<JsonObject, ProxyRequestName, Uri> target) : IStreamingResource
{
    // RFC 9110, section 7.6.1: these describe one connection.
    private static readonly HashSet<string> HopByHop = new(StringComparer.OrdinalIgnoreCase)
    {
        "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade",
    };

    // As a real API server, this trusts every certificate of a Pod. Made for the first request: most labs never proxy.
    private static readonly Lazy<HttpMessageInvoker> Client = new(() => new(new SocketsHttpHandler
    {
        UseProxy = false,
        AllowAutoRedirect = false,
        AutomaticDecompression = DecompressionMethods.None,
        UseCookies = false,
        ConnectTimeout = TimeSpan.FromSeconds(30),
        PooledConnectionIdleTimeout = TimeSpan.FromSeconds(30),
        SslOptions = new SslClientAuthenticationOptions
        {
            CertificateChainPolicy = PeerChain.Unjudged(), RemoteCertificateValidationCallback = (_, _, _, _) => true
        },
    }));

    public VirtualResourceDescriptor Descriptor { get; } = new("", "v1", plural, "", kind, "proxy", true, ["create", "delete", "get", "patch", "update"]);

    public async Task HandleAsync(HttpContext http, RequestAttributes attributes, JsonObject parent, CancellationToken stop)
    {
        var to = target(parent, ProxyRequestName.Parse(attributes.Name)!);
        var (prefix, rest) = Split(http.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget);
        if (rest.Length == 0 || rest[0] == '?')
        {
            // Links of a page are relative to its directory.
            http.Response.Headers.Location = $"{prefix}/{rest}";
            http.Response.StatusCode = StatusCodes.Status301MovedPermanently;
            return;
        }
        using var request = Forwarded(http, To(to, rest), prefix + rest.Split('?')[0]);
        HttpResponseMessage response;
        try
        {
            response = await Client.Value.SendAsync(request, stop);
        }
        catch (HttpRequestException e)
        {
            throw ProxyTarget.Unavailable($"error trying to reach service: {(e.InnerException ?? e).Message}");
        }
        using (response)
        {
            CopyHeaders(response, http.Response, location => prefix + new Uri(to, location).PathAndQuery, to.Authority);
            try
            {
                if (response.StatusCode == HttpStatusCode.SwitchingProtocols) await RelayAsync(http, response, stop);
                else await CopyBodyAsync(response, http.Response, stop);
            }
            catch (Exception e) when (e is IOException or HttpRequestException or OperationCanceledException)
            {
                // One of the two ends left. The client must not take what it got for the whole.
                http.Abort();
            }
        }
    }

    // The path as it was sent: its escapes are the Pod's affair. /api/v1/namespaces/NS/pods/NAME/proxy/REST
    private static (string Prefix, string Path) Split(string raw)
    {
        var end = 0;
        for (var segments = 0; segments < 7; segments++) end = raw.IndexOf('/', end) + 1;
        end += "proxy".Length;
        return (raw[..end], raw[end..]);
    }

    // Not relative to the target: a path that begins with "//" would name another host.
    private static Uri To(Uri target, string path) => new($"{target.Scheme}://{target.Authority}{path}");

    private static HttpRequestMessage Forwarded(HttpContext http, Uri to, string path)
    {
        var request = new HttpRequestMessage(new HttpMethod(http.Request.Method),
            to) { Version = HttpVersion.Version11, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        if (http.Features.Get<IHttpRequestBodyDetectionFeature>()?.CanHaveBody == true && !IsUpgrade(http))
            request.Content = new StreamContent(http.Request.Body);
        foreach (var (name, values) in http.Request.Headers)
        {
            // Pods must not see the caller's credentials for the API server.
            if (HopByHop.Contains(name) || name.StartsWith(':') || name.Equals("Authorization", StringComparison.OrdinalIgnoreCase)) continue;
            if (!request.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)values))
                request.Content?.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)values);
        }
        if (IsUpgrade(http))
        {
            request.Headers.TryAddWithoutValidation("Connection", "Upgrade");
            request.Headers.TryAddWithoutValidation("Upgrade", (IEnumerable<string?>)http.Request.Headers.Upgrade);
        }
        request.Headers.TryAddWithoutValidation("X-Forwarded-For", http.Connection.RemoteIpAddress?.ToString());
        request.Headers.TryAddWithoutValidation("X-Forwarded-Host", http.Request.Host.Value);
        request.Headers.TryAddWithoutValidation("X-Forwarded-Proto", http.Request.Scheme);
        request.Headers.TryAddWithoutValidation("X-Forwarded-Uri", path);
        return request;
    }

    private static bool IsUpgrade(HttpContext http) => http.Features.Get<IHttpUpgradeFeature>()?.IsUpgradableRequest == true;

    private static void CopyHeaders(HttpResponseMessage from, HttpResponse to, Func<Uri, string> throughProxy, string authority)
    {
        to.StatusCode = (int)from.StatusCode;
        foreach (var (name, values) in from.Headers.NonValidated.Concat(from.Content.Headers.NonValidated))
        {
            if (HopByHop.Contains(name) && !(from.StatusCode == HttpStatusCode.SwitchingProtocols && name is "Upgrade")) continue;
            to.Headers[name] = values.ToArray();
        }
        // A redirect within the Pod leads through the proxy again.
        if (from.Headers.Location is { } location && (!location.IsAbsoluteUri || location.Authority == authority)) to.Headers.Location = throughProxy(location);
    }

    private static async Task CopyBodyAsync(HttpResponseMessage from, HttpResponse to, CancellationToken stop)
    {
        await using var body = await from.Content.ReadAsStreamAsync(stop);
        await to.StartAsync(stop);
        var buffer = new byte[16 * 1024];
        while (await body.ReadAsync(buffer, stop) is var read and > 0)
        {
            await to.Body.WriteAsync(buffer.AsMemory(0, read), stop);
            // Events and watches come piece by piece.
            await to.Body.FlushAsync(stop);
        }
    }

    private static async Task RelayAsync(HttpContext http, HttpResponseMessage response, CancellationToken stop)
    {
        await using var pod = await response.Content.ReadAsStreamAsync(stop);
        await using var client = await http.Features.GetRequiredFeature<IHttpUpgradeFeature>().UpgradeAsync();
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var toPod = client.CopyToAsync(pod, over.Token);
        var toClient = pod.CopyToAsync(client, over.Token);
        await Task.WhenAny(toPod, toClient);
        await over.CancelAsync();
        try
        {
            await Task.WhenAll(toPod, toClient);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // Whoever closes first ends both directions.
        }
    }
}

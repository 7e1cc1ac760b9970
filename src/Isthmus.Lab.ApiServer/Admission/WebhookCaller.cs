using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Endpoints;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Admission;

/// <summary>The webhook is not reachable, or its response is not an AdmissionReview.</summary>
internal sealed class WebhookCallException(string message, Exception? cause = null) : Exception(message, cause);

/// <summary>Posts AdmissionReviews over HTTPS. Keeps connections for each webhook; a Service is reached at its ready endpoints.</summary>
/// <param name="machine">The way to a URL on the machine's loopback; null if this process runs on the machine itself.</param>
internal sealed class WebhookCaller(ServiceEndpoints endpoints, MachineLoopback? machine = null) : IDisposable
{
    // The lab has few connections to the machine's loopback, for all of its API servers.
    private const int MostToMachine = 4;
    private static readonly TimeSpan IdleToMachine = TimeSpan.FromSeconds(2);

    private const int MaxAnswer = 8 * 1024 * 1024;

    private readonly ConcurrentDictionary<WebhookClient, HttpClient> _clients = new();

    /// <exception cref="WebhookCallException">With the messages of a real API server: timeout, connection refused, unknown authority,
    /// service not found …</exception>
    public async Task<JsonObject> PostAsync(WebhookClient client, JsonObject review, int timeoutSeconds, CancellationToken stop)
    {
        var url = Address(client, timeoutSeconds);
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(stop);
        deadline.CancelAfter(TimeSpan.FromSeconds(timeoutSeconds));
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, url) { Content = new ByteArrayContent(JsonText.ToBytes(review)) };
            request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
            request.Headers.TryAddWithoutValidation("Accept", "application/json, */*");
            request.Headers.TryAddWithoutValidation("User-Agent", "kube-apiserver-admission");
            using var response = await _clients.GetOrAdd(client, Connect).SendAsync(request, deadline.Token);
            return await ReadAsync(response, deadline.Token);
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            throw new WebhookCallException($"Post \"{url}\": context deadline exceeded");
        }
        catch (HttpRequestException e)
        {
            throw new WebhookCallException($"Post \"{url}\": {Explain(e)}", e);
        }
    }

    public void Dispose()
    {
        foreach (var client in _clients.Values) client.Dispose();
    }

    private static string Address(WebhookClient client, int timeoutSeconds)
    {
        var address = client.IsService
            ? $"https://{client.ServiceName}.{client.ServiceNamespace}.svc:{client.ServicePort}{client.ServicePath}"
            : client.Url;
        return $"{address}{(address.Contains('?', StringComparison.Ordinal) ? '&' : '?')}timeout={timeoutSeconds}s";
    }

    private static async Task<JsonObject> ReadAsync(HttpResponseMessage response, CancellationToken stop)
    {
        if (!response.IsSuccessStatusCode)
            throw new WebhookCallException((int)response.StatusCode >= 500
                ? "an error on the server (\"unknown\") has prevented the request from succeeding"
                : $"the server rejected our request for an unknown reason ({(int)response.StatusCode})");
        var bytes = await response.Content.ReadAsByteArrayAsync(stop);
        try
        {
            if (JsonNode.Parse(bytes, documentOptions: new() { MaxDepth = JsonText.MaxDepth }) is JsonObject review) return review;
        }
        catch (JsonException e)
        {
            throw new WebhookCallException($"couldn't get version/kind; json parse error: {e.Message}", e);
        }
        throw new WebhookCallException(
            "couldn't get version/kind; json parse error: json: cannot unmarshal string into Go value of type struct { APIVersion string "
                + "\"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }");
    }

    private HttpClient Connect(WebhookClient client)
    {
        var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseProxy = false,
            UseCookies = false,
            PooledConnectionIdleTimeout = TimeSpan.FromSeconds(30),
            // A Pod that left the endpoints must not be asked for long.
            PooledConnectionLifetime = TimeSpan.FromSeconds(60),
            SslOptions = Trust(client),
        };
        if (client.IsService)
            handler.ConnectCallback = async (_, stop) => await endpoints.DialAsync(client.ServiceNamespace, client.ServiceName, client.ServicePort, stop);
        else if (machine is not null && Uri.TryCreate(client.Url, UriKind.Absolute, out var url) && MachineLoopback.AddressesOf(url.IdnHost).Count > 0)
        {
            handler.ConnectCallback = async (context, stop) => await machine.DialAsync(context.DnsEndPoint, stop);
            handler.MaxConnectionsPerServer = MostToMachine;
            handler.PooledConnectionIdleTimeout = IdleToMachine;
        }
        else
            handler.ConnectCallback = async (context, stop) => await ServiceEndpoints.DialAsync(context.DnsEndPoint, stop);
        return new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan, MaxResponseContentBufferSize = MaxAnswer };
    }

    private static SslClientAuthenticationOptions Trust(WebhookClient client)
    {
        var options = new SslClientAuthenticationOptions();
        if (client.CaPem.Length > 0)
        {
            var policy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                RevocationMode = X509RevocationMode.NoCheck,
                DisableCertificateDownloads = true,
            };
            // Anything that is not a certificate is ignored. Then nothing is trusted, and the error says so.
            if (client.CaPem.Contains("BEGIN CERTIFICATE", StringComparison.Ordinal)) policy.CustomTrustStore.ImportFromPem(client.CaPem);
            options.CertificateChainPolicy = policy;
        }
        if (client.IsService) options.TargetHost = $"{client.ServiceName}.{client.ServiceNamespace}.svc";
        // Thrown instead of returning false: the reason must reach the caller of the webhook.
        options.RemoteCertificateValidationCallback = (_, certificate, _, errors) => errors == SslPolicyErrors.None ? true
            : throw new AuthenticationException(Untrusted(errors, certificate, options.TargetHost ?? "the host"));
        return options;
    }

    private static string Untrusted(SslPolicyErrors errors, X509Certificate? certificate, string host) =>
        errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch)
            ? $"tls: failed to verify certificate: x509: certificate is not valid for {host}: {certificate?.Subject}"
            : "tls: failed to verify certificate: x509: certificate signed by unknown authority";

    private static string Explain(Exception e)
    {
        for (var at = e; at is not null; at = at.InnerException)
            switch (at)
            {
                case ServiceUnreachableException known:
                    return known.Message;
                case AuthenticationException tls when tls.Message.StartsWith("tls:", StringComparison.Ordinal):
                    return tls.Message;
            }
        return e.InnerException?.Message ?? e.Message;
    }
}

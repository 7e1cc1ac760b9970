using System.Security.Cryptography.X509Certificates;
using System.Text.RegularExpressions;
using Isthmus.Kubernetes.Client;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Extensions;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Isthmus.Tests.Clusters;

/// <summary>
/// An API server as coming versions of Kubernetes allow it: it lists its resources only by aggregated discovery v2, and has no Endpoints. Everything
/// else is answered by the lab's API server behind it.
/// </summary>
internal sealed partial class NewestServer : IAsyncDisposable
{
    private readonly HttpClient _behind;
    private OriginServer? _door;

    private NewestServer(ClusterAccess behind)
    {
        var handler = new SocketsHttpHandler { MaxConnectionsPerServer = 200 };
        handler.SslOptions.ClientCertificates = [X509Certificate2.CreateFromPem(behind.ClientCertificate!, behind.ClientKey!)];
        handler.SslOptions.RemoteCertificateValidationCallback = (_, _, _, _) => true;
        _behind = new(handler) { BaseAddress = behind.Server, Timeout = Timeout.InfiniteTimeSpan };
    }

    internal ClusterAccess Access => new() { Server = new($"http://127.0.0.1:{_door!.Port}"), Name = "newest" };

    /// <summary>How many requests asked for what such a server lacks.</summary>
    internal int Refused;

    internal static async Task<NewestServer> StartAsync(ClusterAccess behind)
    {
        var server = new NewestServer(behind);
        server._door = await OriginServer.StartAsync(HttpProtocols.Http1, server.HandleAsync);
        return server;
    }

    private async Task HandleAsync(HttpContext http)
    {
        var isList = Lists().IsMatch(http.Request.Path.Value!)
            && !http.Request.Headers.Accept.ToString().Contains("v=v2;as=APIGroupDiscoveryList", StringComparison.Ordinal);
        if (isList || Endpoints().IsMatch(http.Request.Path.Value!))
        {
            Interlocked.Increment(ref Refused);
            http.Response.StatusCode = 404;
            http.Response.ContentType = "application/json";
            await http.Response.WriteAsync(
                """{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"the server could not find the requested resource","reason":"NotFound","details":{},"code":404}""");
            return;
        }
        using var request = new HttpRequestMessage(new(http.Request.Method), http.Request.GetEncodedPathAndQuery());
        if (http.Request.ContentLength > 0 || http.Request.Headers.TransferEncoding.Count > 0) request.Content = new StreamContent(http.Request.Body);
        foreach (var name in (string[])["Accept", "User-Agent"]) request.Headers.TryAddWithoutValidation(name, http.Request.Headers[name].ToArray());
        if (http.Request.ContentType is { } type) request.Content?.Headers.TryAddWithoutValidation("Content-Type", type);
        using var answer = await _behind.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, http.RequestAborted);
        (http.Response.StatusCode, http.Response.ContentType) = ((int)answer.StatusCode, answer.Content.Headers.ContentType?.ToString());
        await using var body = await answer.Content.ReadAsStreamAsync(http.RequestAborted);
        var bytes = new byte[64 << 10];
        await http.Response.StartAsync(http.RequestAborted);
        // A watch sends one change, and then nothing for a while.
        while (await body.ReadAsync(bytes, http.RequestAborted) is > 0 and var read)
        {
            await http.Response.Body.WriteAsync(bytes.AsMemory(0, read), http.RequestAborted);
            await http.Response.Body.FlushAsync(http.RequestAborted);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _door!.DisposeAsync();
        _behind.Dispose();
    }

    [GeneratedRegex("^/(api|apis|api/v1|apis/[^/]+|apis/[^/]+/[^/]+)/?$")]
    private static partial Regex Lists();

    [GeneratedRegex("^/api/v1/(namespaces/[^/]+/)?endpoints(/.*)?$")]
    private static partial Regex Endpoints();
}

using System.Runtime.ExceptionServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Time;
using Isthmus.Kubernetes.Streaming;

namespace Isthmus.Kubernetes.Client;

/// <summary>A request to a port of a Pod.</summary>
/// <param name="Body">What to send; null for nothing.</param>
public sealed record PodRequest(string Method, string Path, JsonNode? Body = null)
{
    /// <summary>Programs begin to answer within a second or two, even with their largest pages. One that hangs must not hold up what asks many.</summary>
    public static readonly TimeSpan UsualPatience = TimeSpan.FromSeconds(10);

    /// <summary>How long nothing may arrive, at the beginning and between two parts of the answer.</summary>
    public TimeSpan Patience { get; init; } = UsualPatience;
}

/// <summary>
/// Sends HTTP requests to ports on Pods' loopback addresses, through the port forwarding of one API server. A forwarded connection costs the
/// API server a TLS handshake, so it stays open for further requests to the same port, for a minute after the last one.
/// </summary>
public sealed class PodHttp : IDisposable
{
    private const int Longest = 256 << 20;

    private static readonly HttpRequestOptionsKey<Target> Where = new("isthmus.pod");

    private readonly ClusterAccess _access;
    private readonly HttpMessageInvoker _server;
    private readonly HttpClient _pods;

    private sealed record Target(string Namespace, string Pod, int Port)
    {
        /// <summary>Connections are kept by the name of the host. Names of Pods are too long for one.</summary>
        public string Host => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{Namespace}/{Pod}")).AsSpan(0, 16));

        /// <summary>Admin interfaces answer no one who was sent there by another name.</summary>
        public string Name => Port == 80 ? "localhost" : $"localhost:{Port}";
    }

    /// <param name="server">Connects to the API server. It is not disposed of.</param>
    internal PodHttp(ClusterAccess access, HttpMessageHandler server)
    {
        _access = access;
        _server = new HttpMessageInvoker(server, disposeHandler: false);
        _pods = new HttpClient(new SocketsHttpHandler
        {
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            ActivityHeadersPropagator = null,
            ConnectCallback = async (context, stop) =>
            {
                if (!context.InitialRequestMessage.Options.TryGetValue(Where, out var target)) throw new InvalidOperationException("the request names no Pod");
                return await OpenAsync(target.Namespace, target.Pod, target.Port, stop);
            },
        })
        {
            Timeout = Timeout.InfiniteTimeSpan, // Requests have their own patience.
        };
    }

    public void Dispose()
    {
        _pods.Dispose();
        _server.Dispose();
    }

    /// <returns>The status and the body of the response.</returns>
    /// <exception cref="KubeException">The API server refuses to forward, or cannot be reached.</exception>
    /// <exception cref="HttpRequestException">Nothing answers on the port, or not in time, or it does not speak HTTP.</exception>
    public async Task<(int Status, string Body)> SendAsync(string ns, string pod, int port, PodRequest asked, CancellationToken stop)
    {
        if (_access.StandIn?.AskPod(ns, pod, port, asked) is { } given) return (given.Status, given.Body);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(stop);
        patience.CancelAfter(asked.Patience);
        try
        {
            using var response = await SendAsync(new(ns, pod, port), asked, HttpCompletionOption.ResponseHeadersRead, patience.Token);
            return ((int)response.StatusCode, await ReadAsync(response, () => patience.CancelAfter(asked.Patience), patience.Token));
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            throw new HttpRequestException($"no answer within {Durations.Text(asked.Patience)}");
        }
        catch (IOException e)
        {
            throw new HttpRequestException(e.Message, e);
        }
    }

    private static async Task<string> ReadAsync(HttpResponseMessage response, Action onPart, CancellationToken stop)
    {
        await using var content = await response.Content.ReadAsStreamAsync(stop);
        using var body = new MemoryStream();
        var part = new byte[64 << 10];
        while (await content.ReadAsync(part, stop) is > 0 and var count)
        {
            if (body.Length + count > Longest) throw new HttpRequestException($"the answer has more than {Longest} bytes");
            body.Write(part, 0, count);
            onPart();
        }
        return Encoding.UTF8.GetString(body.GetBuffer(), 0, (int)body.Length);
    }

    /// <summary>A connection to a port, for protocols other than HTTP.</summary>
    /// <exception cref="KubeException">The API server refuses to forward, or cannot be reached.</exception>
    public async Task<Stream> OpenAsync(string ns, string pod, int port, CancellationToken stop) =>
        new PodPortStream(new ChannelSocket(await PodSocket.OpenAsync(_access, _server, ns, pod, $"portforward?ports={port}", [ChannelProtocol.V4], stop)));

    /// <summary>Reads the body of a response while it arrives.</summary>
    /// <exception cref="KubeException">The API server refuses to forward, or cannot be reached.</exception>
    /// <exception cref="HttpRequestException">Nothing answers on the port, or the status is not one of success.</exception>
    public async Task GetAsync(string ns, string pod, int port, string path, Func<Stream, CancellationToken, Task> read, CancellationToken stop)
    {
        using var response = await SendAsync(new(ns, pod, port), new("GET", path), HttpCompletionOption.ResponseHeadersRead, stop);
        response.EnsureSuccessStatusCode();
        await using var body = await response.Content.ReadAsStreamAsync(stop);
        await read(body, stop);
    }

    private async Task<HttpResponseMessage> SendAsync(Target target, PodRequest asked, HttpCompletionOption completion, CancellationToken stop)
    {
        using var request = new HttpRequestMessage(new HttpMethod(asked.Method), new Uri($"http://{target.Host}:{target.Port}/{asked.Path.TrimStart('/')}"));
        request.Headers.Host = target.Name;
        request.Options.Set(Where, target);
        if (asked.Body is { } body) request.Content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json");
        try
        {
            return await _pods.SendAsync(request, completion, stop);
        }
        catch (HttpRequestException e) when (e.InnerException is KubeException refused)
        {
            ExceptionDispatchInfo.Throw(refused);
            throw;
        }
    }
}

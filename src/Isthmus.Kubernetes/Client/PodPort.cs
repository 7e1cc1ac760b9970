using Isthmus.Kubernetes.Streaming;

namespace Isthmus.Kubernetes.Client;

/// <summary>A port on a Pod's loopback address, for requests that repeat: the API server forwards one connection, which stays open
/// between them.</summary>
public sealed class PodPort : IDisposable
{
    private readonly HttpClient _http;
    private readonly int _port;

    public PodPort(ClusterAccess access, string ns, string pod, int port)
    {
        _port = port;
        _http = new HttpClient(new SocketsHttpHandler
        {
            UseProxy = false,
            UseCookies = false,
            ActivityHeadersPropagator = null,
            MaxConnectionsPerServer = 1,
            ConnectCallback = async (_, stop) => new PodPortStream(new ChannelSocket(await PodSocket.OpenAsync(access, ns, pod, $"portforward?ports={port}", [ChannelProtocol.V4], stop))),
        })
        {
            Timeout = Timeout.InfiniteTimeSpan,
        };
    }

    public void Dispose() => _http.Dispose();

    /// <summary>Reads the body of a response while it arrives.</summary>
    /// <exception cref="HttpRequestException">The API server does not forward, nothing answers on the port, or the status is not one of
    /// success.</exception>
    public async Task GetAsync(string path, Func<Stream, CancellationToken, Task> read, CancellationToken stop)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri($"http://localhost:{_port}/{path.TrimStart('/')}"));
        using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, stop);
        response.EnsureSuccessStatusCode();
        await using var body = await response.Content.ReadAsStreamAsync(stop);
        await read(body, stop);
    }
}

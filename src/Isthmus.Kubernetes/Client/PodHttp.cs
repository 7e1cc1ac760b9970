using Isthmus.Kubernetes.Streaming;

namespace Isthmus.Kubernetes.Client;

/// <summary>Sends HTTP requests to a port on a Pod's loopback address, through the API server's port forwarding.</summary>
public static class PodHttp
{
    private const int Longest = 256 << 20;

    /// <returns>The status and the body of the response.</returns>
    /// <exception cref="KubeException">The API server refuses to forward, or cannot be reached.</exception>
    /// <exception cref="HttpRequestException">Nothing answers on the port, or it does not speak HTTP.</exception>
    public static async Task<(int Status, string Body)> SendAsync(ClusterAccess access, string ns, string pod, int port, string method, string path, CancellationToken stop)
    {
        using var socket = new ChannelSocket(await PodSocket.OpenAsync(access, ns, pod, $"portforward?ports={port}", [ChannelProtocol.V4], stop));
        await using var stream = new PodPortStream(socket);
        using var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            UseCookies = false,
            ActivityHeadersPropagator = null,
            ConnectCallback = (_, _) => ValueTask.FromResult<Stream>(stream),
        };
        using var http = new HttpClient(handler) { MaxResponseContentBufferSize = Longest, Timeout = Timeout.InfiniteTimeSpan };
        using var request = new HttpRequestMessage(new HttpMethod(method), new Uri($"http://localhost:{port}/{path.TrimStart('/')}"));
        request.Headers.Connection.Add("close");
        using var response = await http.SendAsync(request, stop);
        return ((int)response.StatusCode, await response.Content.ReadAsStringAsync(stop));
    }
}

using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Streaming;

namespace Isthmus.Kubernetes.Client;

/// <summary>A request to a port of a Pod.</summary>
/// <param name="Body">What to send; null for nothing.</param>
public sealed record PodRequest(string Method, string Path, JsonNode? Body = null);

/// <summary>Sends HTTP requests to a port on a Pod's loopback address, through the API server's port forwarding.</summary>
public static class PodHttp
{
    private const int Longest = 256 << 20;

    /// <returns>The status and the body of the response.</returns>
    /// <exception cref="KubeException">The API server refuses to forward, or cannot be reached.</exception>
    /// <exception cref="HttpRequestException">Nothing answers on the port, or it does not speak HTTP.</exception>
    public static async Task<(int Status, string Body)> SendAsync(ClusterAccess access, string ns, string pod, int port, string method, string path, CancellationToken stop) =>
        await SendAsync(access, ns, pod, port, new(method, path), stop);

    /// <inheritdoc cref="SendAsync(ClusterAccess, string, string, int, string, string, CancellationToken)"/>
    public static async Task<(int Status, string Body)> SendAsync(ClusterAccess access, string ns, string pod, int port, PodRequest asked, CancellationToken stop)
    {
        if (access.StandIn?.AskPod(ns, pod, port, asked) is { } given) return (given.Status, given.Body);
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
        using var request = new HttpRequestMessage(new HttpMethod(asked.Method), new Uri($"http://localhost:{port}/{asked.Path.TrimStart('/')}"));
        request.Headers.Connection.Add("close");
        if (asked.Body is { } body) request.Content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json");
        using var response = await http.SendAsync(request, stop);
        return ((int)response.StatusCode, await response.Content.ReadAsStringAsync(stop));
    }
}

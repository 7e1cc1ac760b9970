using System.Net.Sockets;
using System.Net.WebSockets;
using Isthmus.Kubernetes.Streaming;

namespace Isthmus.Lab.ApiServer.Streaming.Nodes;

/// <summary>What the API server asks a node. Paths and queries are those of the kubelet's server.</summary>
internal interface INode
{
    /// <exception cref="HttpRequestException">The node is not reachable.</exception>
    Task<HttpResponseMessage> GetAsync(string path, CancellationToken stop);

    /// <summary>Opens the channels of a remote command.</summary>
    /// <exception cref="WebSocketException">The node is not reachable, or rejects the request.</exception>
    Task<ChannelSocket> OpenChannelsAsync(string path, CancellationToken stop);

    /// <summary>Opens a connection to a port of a Pod, or returns why that failed.</summary>
    /// <param name="path">The Pod's path below <c>/portForward</c>.</param>
    /// <exception cref="IOException">The connection to the node was lost.</exception>
    /// <exception cref="SocketException">The node is not reachable.</exception>
    /// <exception cref="WebSocketException">The node is not reachable, or rejects the request.</exception>
    Task<(NodeTunnel? Tunnel, string Error)> OpenTunnelAsync(string path, int port, CancellationToken stop);
}

/// <summary>The node reports that the connection to a port of a Pod failed.</summary>
internal sealed class TunnelException(string message) : IOException(message);

/// <summary>A connection to a port of a Pod. Reading may throw a <see cref="TunnelException"/>.</summary>
/// <param name="EndWrites">Ends the direction to the Pod, where the connection can do that.</param>
internal sealed record NodeTunnel(Stream Stream, Action EndWrites) : IAsyncDisposable
{
    public ValueTask DisposeAsync() => Stream.DisposeAsync();
}

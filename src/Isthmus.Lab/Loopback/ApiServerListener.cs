using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;

namespace Isthmus.Lab.Loopback;

/// <summary>An API server on the machine's loopback: bytes are relayed, so TLS and credentials are between client and server.</summary>
internal sealed partial class ApiServerListener : IAsyncDisposable
{
    private readonly Socket _listener;
    private readonly IPEndPoint _server;
    private readonly ILogger _log;
    private readonly CancellationTokenSource _over = new();
    private readonly Task _running;

    /// <param name="listener">Opened outside of the lab (<see cref="LoopbackSocket"/>). This object closes it.</param>
    internal ApiServerListener(Socket listener, IPEndPoint server, string cluster, ILogger log)
    {
        _listener = listener;
        _server = server;
        _log = log;
        Port = ((IPEndPoint)listener.LocalEndPoint!).Port;
        _running = new Acceptor(listener, $"the loopback address of cluster {cluster}", ServeAsync, log).RunAsync(_over.Token);
    }

    internal int Port { get; }

    public async ValueTask DisposeAsync()
    {
        await _over.CancelAsync();
        await _running;
        _listener.Dispose();
        _over.Dispose();
    }

    private async Task ServeAsync(Socket client, CancellationToken stop)
    {
        client.NoDelay = true;
        using var server = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        if (await Relay.DialAsync(server, _server, stop) is { } failure)
        {
            LogUnreachable(_server, failure);
            return;
        }
        await Relay.RunAsync(client, server, stop);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The API server at {Server} cannot be reached: {Error}")]
    private partial void LogUnreachable(IPEndPoint server, string error);
}

using System.Net;
using System.Net.Sockets;
using Isthmus.Core.Tasks;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary>Accepts connections at one address until disposed.</summary>
internal sealed class LoopbackServer : IAsyncDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly CancellationTokenSource _stop = new();
    private readonly BackgroundTasks _serving = new((_, _) => { });
    private readonly Task _accepting;

    /// <param name="serve">Handles a connection. A failure only ends that connection.</param>
    internal LoopbackServer(IPEndPoint address, Func<Socket, CancellationToken, Task> serve)
    {
        _listener.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        _listener.Bind(address);
        _listener.Listen(64);
        _accepting = AcceptAsync(serve);
    }

    internal IPEndPoint Address => (IPEndPoint)_listener.LocalEndPoint!;

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        await _accepting;
        await _serving.WhenEndedAsync();
        _stop.Dispose();
    }

    private async Task AcceptAsync(Func<Socket, CancellationToken, Task> serve)
    {
        while (true)
        {
            try
            {
                var socket = await _listener.AcceptAsync(_stop.Token);
                socket.NoDelay = true;
                _serving.Start("connection", async () =>
                {
                    using (socket) await serve(socket, _stop.Token);
                });
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException or SocketException)
            {
                if (_stop.IsCancellationRequested) return;
            }
        }
    }
}

using System.Net;
using System.Net.Sockets;
using Isthmus.Proxy.Http2;
using Isthmus.Rigs.Proxy;
using Isthmus.Tests.Proxy.Http;
using Xunit;

namespace Isthmus.Tests.Proxy.Traffic;

/// <summary>A server of HTTP/2 for one connection, which says what a test tells it to when a request arrives, and remembers what it
/// hears.</summary>
internal sealed class ScriptedH2Server : IDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly Task<List<H2Said>> _heard;
    private readonly SemaphoreSlim _asked = new(0), _pinged = new(0);
    private readonly TaskCompletionSource _reset = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <param name="first">Sent as soon as the connection is open.</param>
    /// <param name="answer">Sent when the head of a request with that number has arrived.</param>
    /// <param name="pong">Sent when a PING with that payload has arrived, or the answer to one; null: nothing.</param>
    internal ScriptedH2Server(byte[] first, Func<int, byte[]> answer, Func<H2Said, byte[]>? pong = null)
    {
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen();
        _heard = ServeAsync(first, answer, pong);
    }

    internal int Port => ((IPEndPoint)_listener.LocalEndPoint!).Port;

    /// <summary>All frames from the proxy, when it has closed the connection.</summary>
    internal Task<List<H2Said>> HeardAsync(CancellationToken stop) => _heard.WaitAsync(TimeSpan.FromSeconds(30), stop);

    /// <summary>Completes when the proxy has reset a stream.</summary>
    internal Task ResetAsync(CancellationToken stop) => _reset.Task.WaitAsync(TimeSpan.FromSeconds(30), stop);

    /// <summary>Completes when the head of another request has arrived.</summary>
    internal async Task AskedAsync(CancellationToken stop) => Assert.True(await _asked.WaitAsync(TimeSpan.FromSeconds(30), stop));

    /// <summary>Completes when another PING, or the answer to one, has arrived.</summary>
    internal async Task PingedAsync(CancellationToken stop) => Assert.True(await _pinged.WaitAsync(TimeSpan.FromSeconds(30), stop));

    public void Dispose() => _listener.Dispose();

    private async Task<List<H2Said>> ServeAsync(byte[] first, Func<int, byte[]> answer, Func<H2Said, byte[]>? pong)
    {
        using var socket = await _listener.AcceptAsync();
        await socket.SendAsync(first, SocketFlags.None);
        await using var stream = new NetworkStream(socket);
        var heard = new List<H2Said>();
        try
        {
            await stream.ReadExactlyAsync(new byte[H2.Preface.Length]);
            while (true)
            {
                var head = new byte[9];
                await stream.ReadExactlyAsync(head);
                var frame = new byte[9 + ((head[0] << 16) | (head[1] << 8) | head[2])];
                head.CopyTo(frame, 0);
                await stream.ReadExactlyAsync(frame.AsMemory(9));
                heard.AddRange(H2Frames.Parse(frame));
                if (heard[^1].Type == H2Frame.Reset) _reset.TrySetResult();
                if (heard[^1].Type == H2Frame.Ping)
                {
                    if (pong is not null) await stream.WriteAsync(pong(heard[^1]));
                    _pinged.Release();
                }
                if (heard[^1].Type != H2Frame.Headers) continue;
                await stream.WriteAsync(answer(heard[^1].Id));
                _asked.Release();
            }
        }
        catch (IOException)
        {
            // The proxy has closed the connection.
        }
        return heard;
    }
}

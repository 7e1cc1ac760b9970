using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;
using Isthmus.Lab.Machine.Linux;

namespace Isthmus.Lab.Loopback;

/// <summary>
/// Sockets that connect to the machine's loopback from inside the lab. A socket stays in the network namespace that it was opened in, so
/// these are opened outside, before the lab exists. The lab cannot open further ones, so each is used again and again.
/// </summary>
internal sealed class MachineSockets : IDisposable
{
    private const int OfVersion4 = 16, OfVersion6 = 4;

    /// <summary>How long a server may take to end a connection that its client has ended.</summary>
    internal TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(5);

    private readonly List<Socket> _all;
    private readonly Channel<Socket> _version4 = Channel.CreateUnbounded<Socket>(), _version6 = Channel.CreateUnbounded<Socket>();

    internal MachineSockets(IEnumerable<Socket> sockets)
    {
        _all = [.. sockets];
        foreach (var socket in _all)
        {
            socket.Blocking = false;
            FreeOf(socket.AddressFamily).Writer.TryWrite(socket);
        }
    }

    /// <summary>Opens the sockets, in the namespace of the caller.</summary>
    internal static List<Socket> Open()
    {
        List<Socket> sockets = [.. Enumerable.Range(0, OfVersion4)
            .Select(_ => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true })];
        if (Socket.OSSupportsIPv6)
            sockets.AddRange(Enumerable.Range(0, OfVersion6)
                .Select(_ => new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true }));
        return sockets;
    }

    /// <summary>Connects, and calls <paramref name="serve"/> with the connection. Waits while all sockets are in use.</summary>
    /// <returns>The error; null when it connected.</returns>
    internal async Task<SocketError?> ConnectAsync(IPEndPoint to, Func<MachineConnection, Task> serve, CancellationToken stop)
    {
        if (_all.TrueForAll(socket => socket.AddressFamily != to.AddressFamily)) return SocketError.AddressFamilyNotSupported;
        var free = FreeOf(to.AddressFamily);
        var socket = await free.Reader.ReadAsync(stop);
        var connection = new MachineConnection(socket, Patience);
        try
        {
            if (await connection.OpenAsync(to, stop) is { } error) return error;
            await serve(connection);
            return null;
        }
        finally
        {
            connection.Reset();
            free.Writer.TryWrite(socket);
        }
    }

    public void Dispose()
    {
        foreach (var socket in _all) socket.Dispose();
    }

    private Channel<Socket> FreeOf(AddressFamily family) => family == AddressFamily.InterNetworkV6 ? _version6 : _version4;
}

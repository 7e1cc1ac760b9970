using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Isthmus.Lab.Machine.Network;
using Microsoft.Extensions.Logging;

namespace Isthmus.Lab.Loopback;

/// <summary>
/// Connects the lab's API servers with servers on the machine's loopback, for webhooks that are under development there. Serves <see
/// cref="MachineSocket"/>. Pods do not see that socket.
/// </summary>
internal sealed partial class MachineDoor : IDisposable
{
    private static readonly TimeSpan RequestTimeout = TimeSpan.FromSeconds(5);

    private readonly string _path;
    private readonly MachineSockets _sockets;
    private readonly ILogger _log;
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly ConcurrentDictionary<IPEndPoint, bool> _reached = new();

    internal MachineDoor(string path, MachineSockets sockets, ILogger log)
    {
        _path = path;
        _sockets = sockets;
        _log = log;
        // A killed supervisor left this file.
        File.Delete(path);
        _listener.Bind(new UnixDomainSocketEndPoint(path));
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        _listener.Listen();
    }

    internal Task RunAsync(CancellationToken stop) => new Acceptor(_listener, "the way to the machine's loopback", ServeAsync, _log).RunAsync(stop);

    public void Dispose()
    {
        _listener.Dispose();
        File.Delete(_path);
    }

    private async Task ServeAsync(Socket client, CancellationToken stop)
    {
        var to = await ReadAsync(client, stop);
        if (to is null || !IPAddress.IsLoopback(to.Address))
        {
            await AnswerAsync(client, nameof(SocketError.AccessDenied), stop);
            return;
        }
        var error = await _sockets.ConnectAsync(to, async connection =>
        {
            if (_reached.TryAdd(to, true)) LogReached(to);
            await AnswerAsync(client, MachineSocket.Connected, stop);
            await connection.RelayAsync(client, stop);
        }, stop);
        if (error is { } known) await AnswerAsync(client, known.ToString(), stop);
    }

    private static async Task<IPEndPoint?> ReadAsync(Socket client, CancellationToken stop)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(stop);
        patience.CancelAfter(RequestTimeout);
        var buffer = new byte[MachineSocket.LongestLine];
        var length = 0;
        while (length == 0 || buffer[length - 1] != (byte)'\n')
        {
            var read = await client.ReceiveAsync(buffer.AsMemory(length), patience.Token);
            if (read == 0) throw new InvalidDataException("the request is not a line with an address and a port");
            length += read;
        }
        var words = Encoding.ASCII.GetString(buffer, 0, length - 1).Split(' ');
        return words.Length == 2 && IPAddress.TryParse(words[0], out var address)
            && ushort.TryParse(words[1], NumberStyles.None, CultureInfo.InvariantCulture, out var port)
            ? new(address, port) : null;
    }

    private static async Task AnswerAsync(Socket client, string line, CancellationToken stop) =>
        await client.SendAsync(Encoding.ASCII.GetBytes(line + "\n"), stop);

    [LoggerMessage(Level = LogLevel.Information, Message = "A webhook's URL leads to {Address} on this machine")]
    private partial void LogReached(IPEndPoint address);
}

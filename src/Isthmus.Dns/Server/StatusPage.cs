using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Isthmus.Dns.Server;

/// <summary>A page over HTTP for probes and scrapers: one path, one answer, then the connection is closed.</summary>
internal sealed class StatusPage : IAsyncDisposable
{
    private const int MaxHead = 8 * 1024;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private readonly Socket _listener = new(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp) { DualMode = true };
    private readonly CancellationTokenSource _stop = new();
    private readonly Func<string, (int Status, string Text)> _answer;
    private readonly Task _running;

    /// <param name="answer">From path to status and text.</param>
    /// <exception cref="SocketException">The port is in use or not permitted.</exception>
    internal StatusPage(IPEndPoint address, Func<string, (int Status, string Text)> answer)
    {
        _answer = answer;
        try
        {
            _listener.Bind(new IPEndPoint(address.Address.MapToIPv6(), address.Port));
            _listener.Listen(64);
        }
        catch (SocketException)
        {
            _listener.Dispose();
            throw;
        }
        _running = AcceptAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        await _running;
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        var serving = new HashSet<Task>();
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                var socket = await _listener.AcceptAsync(_stop.Token);
                serving.RemoveWhere(task => task.IsCompleted);
                serving.Add(ServeAsync(socket));
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
            {
                break;
            }
            catch (SocketException)
            {
                await Task.Yield();
            }
        }
        await Task.WhenAll(serving);
    }

    private async Task ServeAsync(Socket socket)
    {
        using var owned = socket;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        limit.CancelAfter(Patience);
        try
        {
            var buffer = new byte[MaxHead];
            var length = 0;
            while (buffer.AsSpan(0, length).IndexOf("\r\n\r\n"u8) < 0)
            {
                var read = await socket.ReceiveAsync(buffer.AsMemory(length), limit.Token);
                if (read == 0) return;
                length += read;
            }
            var words = Encoding.Latin1.GetString(buffer, 0, length).Split(' ', 3);
            var (status, text) = words.Length == 3 ? _answer(words[1].Split('?')[0]) : (400, "Bad Request\n");
            var reason = status switch { 200 => "OK", 404 => "Not Found", 503 => "Service Unavailable", _ => "Error" };
            var body = Encoding.UTF8.GetBytes(text);
            var head = Encoding.ASCII.GetBytes(
                $"HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {body.Length}\r\nConnection: close\r\n\r\n");
            for (ReadOnlyMemory<byte> rest = (byte[])[.. head, .. body]; rest.Length > 0;) rest = rest[await socket.SendAsync(rest, limit.Token)..];
            socket.Shutdown(SocketShutdown.Send);
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // Gone or too slow.
        }
    }
}

using System.Buffers;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Isthmus.Core.Time;

namespace Isthmus.Samples.Http;

/// <summary>Serves the requests of one connection, one after the other.</summary>
internal sealed class HttpConnection(Socket socket, string peer, HttpServer server) : IDisposable
{
    private const int MaxHead = 64 * 1024;
    private const int MaxBody = 64 * 1024 * 1024;
    private static readonly TimeSpan IdleTimeout = TimeSpan.FromSeconds(75);
    private static readonly TimeSpan RequestTimeout = TimeSpan.FromSeconds(30);

    private byte[] _buffer = ArrayPool<byte>.Shared.Rent(4096);
    private int _start;
    private int _end;

    public void Dispose()
    {
        ArrayPool<byte>.Shared.Return(_buffer);
        socket.Dispose();
    }

    internal async Task ServeAsync(CancellationToken stop)
    {
        try
        {
            while (await NextAsync(stop).ConfigureAwait(false)) { }
        }
        catch (BadRequestException bad)
        {
            await RefuseAsync(bad, stop).ConfigureAwait(false);
        }
        catch (SocketException)
        {
            // The caller is gone: nobody is left to answer.
        }
        catch (OperationCanceledException)
        {
            // Too slow, or the server is stopping.
        }
    }

    private async Task<bool> NextAsync(CancellationToken stop)
    {
        var headLength = await ReadHeadAsync(stop).ConfigureAwait(false);
        if (headLength == 0) return false;
        var head = HttpHead.Parse(_buffer.AsSpan(_start, headLength));
        _start += headLength;
        using var busy = server.Enter();
        var body = await ReadBodyAsync(head, stop).ConfigureAwait(false);
        var request = new HttpRequest(head.Method, head.Target, head.Version, head.Headers, body, peer);
        var reply = server.Handle(request);
        await server.Time.DelayInFullAsync(reply.Delay, stop).ConfigureAwait(false);
        var keep = head.KeepAlive && !server.Draining && (reply.Pieces is null || reply.PiecesLength is not null || head.Version == "HTTP/1.1");
        await SendAsync(request, reply, keep, stop).ConfigureAwait(false);
        server.Log(request, reply);
        return keep;
    }

    private async ValueTask<int> ReadHeadAsync(CancellationToken stop)
    {
        var searched = _start;
        while (true)
        {
            var found = _buffer.AsSpan(searched, _end - searched).IndexOf("\r\n\r\n"u8);
            if (found >= 0) return searched - _start + found + 4;
            searched = Math.Max(_start, _end - 3);
            if (_end - _start > MaxHead) throw new BadRequestException(431, $"The head of the request is longer than {MaxHead} bytes.");
            var shift = _start;
            if (await FillAsync(_end == _start ? IdleTimeout : RequestTimeout, stop).ConfigureAwait(false) == 0)
                return _end == _start ? 0 : throw new BadRequestException(400, "The connection ended inside a request.");
            if (_start != shift) searched -= shift - _start;
        }
    }

    private async ValueTask<ReadOnlyMemory<byte>> ReadBodyAsync(HttpHead head, CancellationToken stop)
    {
        if (head.ContentLength > MaxBody) throw new BadRequestException(413, $"The body is longer than {MaxBody} bytes.");
        if (head.ContentLength == 0 && !head.Chunked) return default;
        if (head.ExpectsContinue && _start == _end) await SendAllAsync("HTTP/1.1 100 Continue\r\n\r\n"u8.ToArray(), stop).ConfigureAwait(false);
        if (!head.Chunked) return await ReadExactlyAsync((int)head.ContentLength, stop).ConfigureAwait(false);
        var body = new ArrayBufferWriter<byte>();
        while (true)
        {
            var line = await ReadLineAsync(stop).ConfigureAwait(false);
            if (!int.TryParse(line.Split(';')[0].Trim(), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var size) || size < 0)
                throw new BadRequestException(400, "A chunk does not begin with its size.");
            if (size > MaxBody - body.WrittenCount) throw new BadRequestException(413, $"The body is longer than {MaxBody} bytes.");
            if (size == 0) break;
            body.Write((await ReadExactlyAsync(size, stop).ConfigureAwait(false)).Span);
            if ((await ReadLineAsync(stop).ConfigureAwait(false)).Length != 0) throw new BadRequestException(400, "A chunk is longer than it said.");
        }
        while ((await ReadLineAsync(stop).ConfigureAwait(false)).Length != 0) { }
        return body.WrittenMemory;
    }

    private async ValueTask<ReadOnlyMemory<byte>> ReadExactlyAsync(int count, CancellationToken stop)
    {
        var body = new ArrayBufferWriter<byte>(Math.Min(count, 64 * 1024));
        while (body.WrittenCount < count)
        {
            if (_start == _end && await FillAsync(RequestTimeout, stop).ConfigureAwait(false) == 0)
                throw new BadRequestException(400, "The connection ended inside a body.");
            var take = Math.Min(count - body.WrittenCount, _end - _start);
            body.Write(_buffer.AsSpan(_start, take));
            _start += take;
        }
        return body.WrittenMemory;
    }

    private async ValueTask<string> ReadLineAsync(CancellationToken stop)
    {
        while (true)
        {
            var found = _buffer.AsSpan(_start, _end - _start).IndexOf("\r\n"u8);
            if (found >= 0)
            {
                var line = Encoding.Latin1.GetString(_buffer, _start, found);
                _start += found + 2;
                return line;
            }
            if (_end - _start > MaxHead) throw new BadRequestException(400, "A line is too long.");
            if (await FillAsync(RequestTimeout, stop).ConfigureAwait(false) == 0) throw new BadRequestException(400, "The connection ended inside a body.");
        }
    }

    private async ValueTask<int> FillAsync(TimeSpan within, CancellationToken stop)
    {
        if (_start == _end) _start = _end = 0;
        if (_end == _buffer.Length) MakeRoom();
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(within);
        var read = await socket.ReceiveAsync(_buffer.AsMemory(_end), limit.Token).ConfigureAwait(false);
        _end += read;
        return read;
    }

    private void MakeRoom()
    {
        var target = _start > 0 ? _buffer : ArrayPool<byte>.Shared.Rent(_buffer.Length * 2);
        Buffer.BlockCopy(_buffer, _start, target, 0, _end - _start);
        (_end, _start) = (_end - _start, 0);
        if (target == _buffer) return;
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = target;
    }

    private async Task SendAsync(HttpRequest request, HttpReply reply, bool keep, CancellationToken stop)
    {
        var bodyless = reply.Status is >= 100 and < 200 or 204 or 304;
        var chunked = reply is { Pieces: not null, PiecesLength: null } && request.Version == "HTTP/1.1";
        var head = new StringBuilder(256);
        head.Append(CultureInfo.InvariantCulture, $"HTTP/1.1 {reply.Status} {reply.ReasonPhrase()}\r\n");
        head.Append(CultureInfo.InvariantCulture, $"Date: {server.Time.GetUtcNow():R}\r\nServer: {server.Name}\r\n");
        if (reply.ContentType is { } type && !bodyless) head.Append("Content-Type: ").Append(type).Append("\r\n");
        if (chunked && !bodyless) head.Append("Transfer-Encoding: chunked\r\n");
        else if (!bodyless && (reply.Pieces is null || reply.PiecesLength is not null))
            head.Append(CultureInfo.InvariantCulture, $"Content-Length: {reply.PiecesLength ?? reply.Body.Length}\r\n");
        foreach (var (name, value) in reply.Headers) head.Append(name).Append(": ").Append(value.ReplaceLineEndings(" ")).Append("\r\n");
        head.Append(keep ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n");
        var silent = bodyless || request.Method == "HEAD";
        var length = silent || reply.Pieces is not null ? 0 : reply.Body.Length;
        var message = new byte[head.Length + length];
        Encoding.Latin1.GetBytes(head.ToString(), message);
        if (length > 0) reply.Body.Span.CopyTo(message.AsSpan(head.Length));
        await SendAllAsync(message, stop).ConfigureAwait(false);
        if (!silent && reply.Pieces is { } pieces) await SendPiecesAsync(pieces, reply.Pause, chunked, stop).ConfigureAwait(false);
    }

    private async Task SendPiecesAsync(IEnumerable<ReadOnlyMemory<byte>> pieces, TimeSpan pause, bool chunked, CancellationToken stop)
    {
        var first = true;
        foreach (var piece in pieces)
        {
            if (!first) await server.Time.DelayInFullAsync(pause, stop).ConfigureAwait(false);
            first = false;
            if (piece.IsEmpty) continue;
            if (chunked) await SendAllAsync(Encoding.ASCII.GetBytes($"{piece.Length:x}\r\n"), stop).ConfigureAwait(false);
            await SendAllAsync(piece, stop).ConfigureAwait(false);
            if (chunked) await SendAllAsync("\r\n"u8.ToArray(), stop).ConfigureAwait(false);
        }
        if (chunked) await SendAllAsync("0\r\n\r\n"u8.ToArray(), stop).ConfigureAwait(false);
    }

    private async Task SendAllAsync(ReadOnlyMemory<byte> bytes, CancellationToken stop)
    {
        while (bytes.Length > 0) bytes = bytes[await socket.SendAsync(bytes, stop).ConfigureAwait(false)..];
    }

    private async Task RefuseAsync(BadRequestException bad, CancellationToken stop)
    {
        try
        {
            var request = new HttpRequest("?", "?", "HTTP/1.1", [], default, peer);
            var reply = HttpReply.Text(bad.Status, bad.Message + "\n", "text/plain; charset=utf-8");
            await SendAsync(request, reply, keep: false, stop).ConfigureAwait(false);
            server.Log(request, reply);
        }
        catch (SocketException)
        {
            // The caller did not wait for the answer.
        }
    }
}

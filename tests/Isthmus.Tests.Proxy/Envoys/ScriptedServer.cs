using System.Net;
using System.Net.Sockets;
using Isthmus.Proxy.Http2;
using Isthmus.Rigs.Proxy;
using Isthmus.Tests.Proxy.Http;

namespace Isthmus.Tests.Proxy.Envoys;

/// <summary>The server behind both proxies. It answers as the case says whose turn it is, and remembers what it hears.</summary>
internal sealed class ScriptedServer : IAsyncDisposable
{
    /// <summary>The field of the request that only asks whether a connection is still good.</summary>
    internal const string Probe = "x-probe";

    /// <summary>An answer of HTTP/2: the kernel takes the connection, and the process does not run.</summary>
    internal const string Stopped = "[stopped]";

    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly CancellationTokenSource _end = new();
    private readonly Task _running;
    private Turn _turn = new("", false);

    internal ScriptedServer()
    {
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen(100);
        _running = AcceptAsync();
    }

    internal int Port => ((IPEndPoint)_listener.LocalEndPoint!).Port;

    /// <summary>Begins a turn: all that comes from now on belongs to it.</summary>
    internal Turn Begin(string answer, bool isHttp2)
    {
        _turn.End();
        return _turn = new(answer, isHttp2);
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        _turn.End();
        await _running;
        _listener.Dispose();
        _end.Dispose();
    }

    private async Task AcceptAsync()
    {
        var serving = new List<Task>();
        try
        {
            while (true)
            {
                var socket = await _listener.AcceptAsync(_end.Token);
                serving.Add(_turn.ServeAsync(socket));
            }
        }
        catch (OperationCanceledException)
        {
            // The test has ended.
        }
        await Task.WhenAll(serving);
    }

    /// <summary>One case through one proxy.</summary>
    internal sealed class Turn(string answer, bool isHttp2)
    {
        private readonly Lock _gate = new();
        private readonly string[] _answers = answer.Split("[next]");
        private readonly List<HeardMessage> _heard = [];
        private readonly List<Socket> _open = [];
        private int _answered;

        /// <summary>The requests that have come, without probes.</summary>
        internal IReadOnlyList<HeardMessage> Heard
        {
            get
            {
                lock (_gate) return [.. _heard];
            }
        }

        /// <summary>Closes what is open.</summary>
        internal void End()
        {
            lock (_gate)
            {
                foreach (var socket in _open) socket.Dispose();
                _open.Clear();
            }
        }

        internal async Task ServeAsync(Socket socket)
        {
            lock (_gate) _open.Add(socket);
            try
            {
                if (isHttp2) await ServeFramesAsync(socket);
                else while (await AnswerAsync(socket)) { }
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException or IOException)
            {
                // The proxy has gone, or the turn has ended.
            }
        }

        private async Task<bool> AnswerAsync(Socket socket)
        {
            var text = "";
            HeardMessage? request = null;
            string? script = null;
            while (request is null)
            {
                var more = await ReceiveAsync(socket);
                if (more.Length == 0) return false;
                text += more;
                var at = 0;
                if (HeardMessage.Read(text, ref at, isEnd: false, isAnswer: false, _ => false) is { } head)
                {
                    script ??= Next(head);
                    if (script.StartsWith("[early]", StringComparison.Ordinal)) request = head;
                }
                at = 0;
                request ??= HeardMessage.Read(text, ref at, isEnd: false, isAnswer: false);
            }
            if (request[Probe] is null)
            {
                lock (_gate) _heard.Add(request);
            }
            return await SayAsync(socket, script!.Replace("[early]", "", StringComparison.Ordinal));
        }

        private async Task<bool> SayAsync(Socket socket, string script)
        {
            var end = script.LastIndexOf('[');
            var then = end < 0 ? "" : script[end..];
            var bytes = ProxyCase.Bytes(end < 0 ? script : script[..end]);
            if (bytes.Length > 0) await socket.SendAsync(bytes);
            switch (then)
            {
                case "[echo]":
                    await socket.SendAsync(ProxyCase.Bytes(await ReceiveAsync(socket)));
                    socket.Shutdown(SocketShutdown.Send);
                    return false;
                case "[close]":
                    socket.Shutdown(SocketShutdown.Send);
                    while (await ReceiveAsync(socket) is { Length: > 0 }) { }
                    return false;
                case "[reset]":
                    socket.LingerState = new(true, 0);
                    socket.Close();
                    return false;
                default:
                    return true;
            }
        }

        private string Next(HeardMessage head)
        {
            if (head[Probe] is not null) return ProxyCase.Ok;
            lock (_gate) return _answers[Math.Min(_answered++, _answers.Length - 1)];
        }

        private async Task ServeFramesAsync(Socket socket)
        {
            await using var stream = new NetworkStream(socket);
            if (answer == Stopped)
            {
                await stream.CopyToAsync(Stream.Null);
                return;
            }
            await stream.WriteAsync(H2Frames.Settings());
            await stream.ReadExactlyAsync(new byte[24]); // the client's preface
            var decoder = new HpackDecoder(4096, 1 << 20);
            List<(string, string)> fields = [], trailers = [];
            var body = "";
            while (true)
            {
                var frame = await FrameReader.ReadAsync(stream);
                if (frame.Type == H2Frame.Settings && (frame.Flags & (H2Flags)1) == 0) await stream.WriteAsync(H2Frames.Frame(H2Frame.Settings, (H2Flags)1, 0));
                if (frame.Type == H2Frame.Data) body += ProxyCase.Text(frame.Payload);
                if (frame.Type == H2Frame.Headers)
                    decoder.Decode(FrameReader.BlockOf(frame), (name, value) => (fields.Exists(field => field.Item1 == ":end") ? trailers : fields)
                        .Add((ProxyCase.Text(name), ProxyCase.Text(value))));
                if (frame.Type == H2Frame.Headers && !fields.Exists(field => field.Item1 == ":end")) fields.Add((":end", ""));
                if (frame.Type is not (H2Frame.Data or H2Frame.Headers) || (frame.Flags & H2Flags.EndStream) == 0) continue;
                fields.RemoveAll(field => field.Item1 == ":end");
                string Of(string name) => fields.Find(field => field.Item1 == name).Item2;
                var request = new HeardMessage($"{Of(":method")} {Of(":path")} HTTP/2", [.. fields.Where(field => field.Item1[0] != ':'),
                    ("host", Of(":authority"))], body, trailers);
                var script = Next(request);
                if (request[Probe] is null)
                {
                    lock (_gate) _heard.Add(request);
                }
                if (script == ProxyCase.Ok) script = ":status 200||ok";
                await FrameReader.SayAsync(stream, frame.Id, script);
                (fields, trailers, body) = ([], [], "");
            }
        }

        private static async Task<string> ReceiveAsync(Socket socket)
        {
            var buffer = new byte[16 * 1024];
            return ProxyCase.Text(buffer.AsSpan(0, await socket.ReceiveAsync(buffer)));
        }
    }
}

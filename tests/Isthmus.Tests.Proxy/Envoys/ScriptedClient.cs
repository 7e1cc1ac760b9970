using System.Net;
using System.Net.Sockets;
using System.Text;
using Isthmus.Proxy.Http2;
using Isthmus.Proxy.Messages;
using Isthmus.Rigs.Proxy;
using Isthmus.Tests.Proxy.Http;
using Xunit;

namespace Isthmus.Tests.Proxy.Envoys;

/// <summary>Sends the request of a case to a proxy.</summary>
internal static class ScriptedClient
{
    /// <summary>Every answer, and how the connection ended: <c>kept</c> if another request on it was answered.</summary>
    internal static async Task<(IReadOnlyList<HeardMessage> Answers, string End)> SendAsync(ProxyCase sent, int port)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        patience.CancelAfter(TimeSpan.FromMinutes(1));
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(IPAddress.Loopback, port, patience.Token);
        try
        {
            return sent.Request.StartsWith("h2 ", StringComparison.Ordinal) ? await FramesAsync(socket, sent.Request[3..], patience.Token)
                : await TextAsync(socket, sent.Request, patience.Token);
        }
        catch (OperationCanceledException) when (!TestContext.Current.CancellationToken.IsCancellationRequested)
        {
            return ([], "nothing for a minute");
        }
    }

    private static async Task<(IReadOnlyList<HeardMessage>, string)> TextAsync(Socket socket, string request, CancellationToken stop)
    {
        var text = new StringBuilder();
        var (isOver, ends) = (false, request.EndsWith("[end]", StringComparison.Ordinal));
        var parts = request.Replace("[end]", "", StringComparison.Ordinal).Split("[head]");
        var isHead = request.StartsWith("HEAD ", StringComparison.Ordinal);
        var isConnect = request.StartsWith("CONNECT ", StringComparison.Ordinal);
        foreach (var (index, part) in parts.Index())
        {
            while (index > 0 && !isOver && !text.ToString().Contains("\r\n\r\n", StringComparison.Ordinal)) await ReceiveAsync();
            await SayAsync(part);
        }
        if (ends) End();
        while (!isOver && !Answers().Exists(answer => answer.Status >= 200 || IsTunnel(answer))) await ReceiveAsync();
        var first = Answers();
        if (!isOver && !ends && !first.Exists(IsTunnel)) await SayAsync($"GET /probe HTTP/1.1|host: a|{ScriptedServer.Probe}: y|connection: close||");
        while (!isOver) await ReceiveAsync();
        var all = Answers();
        var isKept = !ends && all.Count > first.Count && !first.Exists(IsTunnel);
        return ([.. isKept ? all.SkipLast(1) : all], isKept ? "kept" : "closed");

        bool IsTunnel(HeardMessage answer) => answer.Status == 101 || (isConnect && answer.Status is >= 200 and < 300);

        void End()
        {
            try
            {
                socket.Shutdown(SocketShutdown.Send);
            }
            catch (SocketException)
            {
                // The proxy has closed first.
            }
        }

        List<HeardMessage> Answers()
        {
            var (all, at, whole) = (new List<HeardMessage>(), 0, text.ToString());
            while (HeardMessage.Read(whole, ref at, isOver, isAnswer: true,
                head => IsTunnel(head) || (head.Status >= 200 && head.Status is not (204 or 304) && !(isHead && all.TrueForAll(one => one.Status < 200))))
                is { } answer)
                all.Add(answer);
            if (isOver && at < whole.Length) all.Add(new(whole[at..], [], "", []));
            return all;
        }

        async Task SayAsync(string said)
        {
            try
            {
                await socket.SendAsync(ProxyCase.Bytes(said), stop);
            }
            catch (SocketException)
            {
                // The proxy has closed: what it said before is still there.
            }
        }

        async Task ReceiveAsync()
        {
            var buffer = new byte[16 * 1024];
            var count = 0;
            try
            {
                count = await socket.ReceiveAsync(buffer, stop);
            }
            catch (SocketException)
            {
                // A reset ends it as well.
            }
            isOver = count == 0;
            text.Append(ProxyCase.Text(buffer.AsSpan(0, count)));
        }
    }

    private static async Task<(IReadOnlyList<HeardMessage>, string)> FramesAsync(Socket socket, string request, CancellationToken stop)
    {
        await using var stream = new NetworkStream(socket);
        var decoder = new HpackDecoder(4096, 1 << 20);
        List<HeardMessage> answers = [];
        var end = "";
        try
        {
            await stream.WriteAsync("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8.ToArray(), stop);
            await stream.WriteAsync(H2Frames.Settings(), stop);
            await FrameReader.SayAsync(stream, 1, request);
            while (end.Length == 0)
            {
                var frame = await FrameReader.ReadAsync(stream).WaitAsync(stop);
                switch (frame.Type)
                {
                    case H2Frame.Headers:
                        List<(string, string)> fields = [];
                        decoder.Decode(FrameReader.BlockOf(frame), (name, value) => fields.Add((ProxyCase.Text(name), ProxyCase.Text(value))));
                        if (fields is [(":status", var status), ..]) answers.Add(new("HTTP/2 " + status, fields[1..], "", []));
                        else answers[^1] = answers[^1] with { Trailers = fields };
                        break;
                    case H2Frame.Data:
                        answers[^1] = answers[^1] with { Body = answers[^1].Body + ProxyCase.Text(frame.Payload) };
                        break;
                    case H2Frame.Reset:
                        end = $"reset {frame.Error}";
                        break;
                    case H2Frame.GoAway when frame.Error != H2Error.None:
                        end = $"goaway {frame.Error}";
                        break;
                }
                if (frame.Type is H2Frame.Headers or H2Frame.Data && (frame.Flags & H2Flags.EndStream) != 0) end = "kept";
            }
        }
        catch (IOException)
        {
            end = "closed";
        }
        return (answers, end);
    }
}

using System.Text;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using Isthmus.Kubernetes.Streaming;
using Isthmus.Lab.ApiServer.Streaming.Spdy;
using Isthmus.Lab.ApiServer.Values;
using Microsoft.AspNetCore.Http;

namespace Isthmus.Lab.ApiServer.Streaming;

/// <summary>Older kubectl: one SPDY stream for each channel, named by its streamType header.</summary>
internal sealed class SpdyClient : IRemoteClient
{
    /// <summary>Newest first. v4: the status is JSON, before it a text and only on failure; v3: terminals can be resized.</summary>
    internal static readonly string[] Protocols = [ChannelProtocol.V4, "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"];

    private static readonly TimeSpan OpenWithin = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan LeaveWithin = TimeSpan.FromSeconds(5);

    private readonly SpdyConnection _connection;
    private readonly Stream _transport;
    private readonly bool _statusIsJson;
    private readonly CancellationTokenSource _over = new();
    private readonly Dictionary<byte, SpdyStream> _streams = [];
    private readonly Channel<ChannelMessage> _received = Channel.CreateBounded<ChannelMessage>(16);
    private readonly Task _running;
    private readonly List<Task> _forwarding = [];

    private SpdyClient(Stream transport, string protocol)
    {
        _transport = transport;
        _statusIsJson = protocol == ChannelProtocol.V4;
        _connection = new SpdyConnection(transport);
        _running = RunAsync();
    }

    /// <summary>The streams that a client opens for a request.</summary>
    internal static IReadOnlyCollection<byte> Expected(IQueryCollection query, string protocol)
    {
        List<byte> expected = [ChannelProtocol.Status];
        if (query.IsOn("stdin")) expected.Add(ChannelProtocol.Input);
        if (query.IsOn("stdout")) expected.Add(ChannelProtocol.Output);
        if (query.IsOn("stderr") && !query.IsOn("tty")) expected.Add(ChannelProtocol.Error);
        if (query.IsOn("tty") && (protocol is ChannelProtocol.V4 or "v3.channel.k8s.io")) expected.Add(ChannelProtocol.Resize);
        return expected;
    }

    /// <summary>Waits until the client has opened every stream that its request implies.</summary>
    /// <exception cref="InvalidDataException">The client opens other streams, or opens them too slowly.</exception>
    internal static async Task<SpdyClient> AcceptAsync(Stream transport, string protocol, IReadOnlyCollection<byte> expected, CancellationToken stop)
    {
        var client = new SpdyClient(transport, protocol);
        try
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
            limit.CancelAfter(OpenWithin);
            await foreach (var stream in client._connection.OpenedAsync(limit.Token))
            {
                var channel = ChannelOf(stream);
                if (!client._streams.TryAdd(channel, stream)) throw new InvalidDataException($"stream {channel} was opened twice");
                if (expected.All(client._streams.ContainsKey)) break;
            }
            if (!expected.All(client._streams.ContainsKey)) throw new InvalidDataException("the client left before it opened its streams");
            foreach (var (channel, stream) in client._streams)
            {
                if (channel is ChannelProtocol.Input or ChannelProtocol.Resize) client._forwarding.Add(client.ForwardAsync(channel, stream));
            }
            return client;
        }
        catch
        {
            await client.DisposeAsync();
            throw;
        }
    }

    public async Task<ChannelMessage?> ReceiveAsync(CancellationToken stop)
    {
        while (await _received.Reader.WaitToReadAsync(stop))
        {
            if (_received.Reader.TryRead(out var message)) return message;
        }
        return null;
    }

    public Task SendAsync(byte channel, ReadOnlyMemory<byte> bytes, CancellationToken stop) =>
        _streams.TryGetValue(channel, out var stream) ? stream.SendAsync(bytes, stop) : Task.CompletedTask;

    public async Task FinishAsync(JsonObject status, CancellationToken stop)
    {
        var failed = (string?)status["status"] != "Success";
        var text = _statusIsJson ? status.ToJsonString() : failed ? (string?)status["message"] ?? "failed" : "";
        if (text.Length > 0) await SendAsync(ChannelProtocol.Status, Encoding.UTF8.GetBytes(text), stop);
        foreach (var stream in _streams.Values) await stream.EndAsync(stop);
        await _connection.GoAwayAsync(stop);
        // The client closes when it has read everything; closing first could cut off the last bytes.
        await Task.WhenAny(_running, Task.Delay(LeaveWithin, stop));
    }

    public async ValueTask DisposeAsync()
    {
        await _over.CancelAsync();
        await _transport.DisposeAsync();
        await _running;
        await Task.WhenAll(_forwarding);
        _connection.Dispose();
        _over.Dispose();
    }

    private static byte ChannelOf(SpdyStream stream) => stream.Headers.GetValueOrDefault("streamtype", "") switch
    {
        "stdin" => ChannelProtocol.Input,
        "stdout" => ChannelProtocol.Output,
        "stderr" => ChannelProtocol.Error,
        "error" => ChannelProtocol.Status,
        "resize" => ChannelProtocol.Resize,
        var other => throw new InvalidDataException($"unknown streamType '{other}'"),
    };

    private async Task RunAsync()
    {
        try
        {
            await _connection.RunAsync(_over.Token);
        }
        catch (Exception e) when (e is InvalidDataException or ObjectDisposedException)
        {
            // The client does not speak SPDY, or this side closed. Either way, the session is over.
        }
        _received.Writer.TryComplete();
    }

    private async Task ForwardAsync(byte channel, SpdyStream stream)
    {
        try
        {
            while (await stream.ReceiveAsync(_over.Token) is { } bytes) await _received.Writer.WriteAsync(new(channel, bytes, false), _over.Token);
            await _received.Writer.WriteAsync(new(channel, default, true), _over.Token);
        }
        catch (Exception e) when (e is OperationCanceledException or ChannelClosedException)
        {
            // The session is over.
        }
        catch (Exception bug)
        {
            // The session must not wait for input that does not come.
            _received.Writer.TryComplete(bug);
        }
    }
}

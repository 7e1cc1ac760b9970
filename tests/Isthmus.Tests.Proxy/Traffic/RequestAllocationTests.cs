using System.Buffers.Binary;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Isthmus.Proxy.Http2;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Telemetry;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Xunit;
using static Isthmus.Rigs.Proxy.H2Frames;

namespace Isthmus.Tests.Proxy.Traffic;

/// <summary>Other tests would allocate on the same loops.</summary>
[CollectionDefinition(nameof(RequestAllocation), DisableParallelization = true)]
public sealed class RequestAllocation;

/// <summary>What a request leaves to the garbage collector, on connections that are kept.</summary>
[Collection(nameof(RequestAllocation))]
public sealed class RequestAllocationTests
{
    /// <summary>Of a round: so few that on a busy machine, too, many rounds pass between two events of what other tests left behind.</summary>
    private const int Requests = 100;

    /// <summary>Code allocates until the compiler has optimized it, in the background.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    /// <summary>Requests that wait for their answers at the same time, in turns of so many.</summary>
    private const int AtOnce = 25;

#if DEBUG
    // Without optimization, each state machine of an async method is an object.
    private const long Most = 8_000, MostOfHttp2 = 16_000;
#else
    private const long Most = 0;

    // Each stream is an object, on both sides.
    private const long MostOfHttp2 = 1_070;
#endif

    private static readonly ProxyIdentity Self = ProxyIdentity.Unknown with
    {
        NodeId = "sidecar~a", PeerMetadata = PeerMetadataText.Write(ProxyIdentity.Unknown),
    };

    private static ReadOnlySpan<byte> Question => "GET /orders?page=2 HTTP/1.1\r\nhost: shop\r\nuser-agent: test\r\naccept: */*\r\n\r\n"u8;

    private static ReadOnlySpan<byte> Answer => "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-type: text/plain\r\n\r\nhello"u8;

    [Fact]
    public async Task A_request_in_the_steady_state_creates_no_object() => Assert.InRange(await LeastAsync(Most, http2: false, Answers, Ask), 0, Most);

    /// <summary>The next hop learns that the request is not traced, and nobody else hears of it.</summary>
    [Fact]
    public async Task A_request_that_is_not_traced_creates_none_either() => Assert.InRange(await LeastAsync(Most, http2: false, Answers, Ask, """
        "tracing": {"random_sampling": {"value": 0},
          "provider": {"name": "z", "typed_config": {"@type": "type.googleapis.com/envoy.config.trace.v3.ZipkinConfig", "collector_cluster": "up",
          "collector_endpoint": "/api/v2/spans", "collector_endpoint_version": "HTTP_JSON"} } },
        """), 0, Most);

    /// <summary>As a sidecar lists them for requests of its application.</summary>
    [Fact]
    public async Task Filters_that_have_nothing_to_do_create_none_either()
    {
        const string Filters = "type.googleapis.com/envoy.extensions.filters.http.";
        Assert.InRange(await LeastAsync(Most, http2: false, Answers, Ask, filters: $$"""
            {"name": "istio.metadata_exchange", "typed_config": {"@type": "type.googleapis.com/io.istio.http.peer_metadata.Config"} },
            {"name": "grpc_stats", "typed_config": {"@type": "{{Filters}}grpc_stats.v3.FilterConfig", "emit_filter_state": true} },
            {"name": "fault", "typed_config": {"@type": "{{Filters}}fault.v3.HTTPFault"} },
            {"name": "cors", "typed_config": {"@type": "{{Filters}}cors.v3.Cors"} },
            {"name": "session", "typed_config": {"@type": "{{Filters}}stateful_session.v3.StatefulSession"} },
            """), 0, Most);
    }

    [Fact]
    public async Task Requests_that_wait_at_once_create_none_either()
    {
        var clients = Array.Empty<Socket>();
        try
        {
            Assert.InRange(await LeastAsync(Most, http2: false, AnswersTogether, (first, times) =>
            {
                if (clients.Length == 0) clients = [.. Enumerable.Range(1, AtOnce - 1).Select(_ => Connected(first.RemoteEndPoint!)), first];
                AskTogether(clients, times);
            }), 0, Most);
        }
        finally
        {
            foreach (var client in clients) client.Dispose();
        }
    }

    [Fact]
    public async Task A_request_of_HTTP_2_with_a_body_and_trailers_creates_few_objects()
    {
        var id = 1;
        Assert.InRange(await LeastAsync(MostOfHttp2, http2: true, AnswersHttp2, (client, times) => id = AskHttp2(client, times, id)), 0, MostOfHttp2);
    }

    /// <summary>Bytes that a request allocates.</summary>
    /// <param name="enough">Where the search for the least ends.</param>
    private static async Task<long> LeastAsync(long enough, bool http2, Action<Socket> answers, Action<Socket, int> ask, string more = "",
        string filters = "")
    {
        using var origin = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        origin.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        origin.Listen();
        new Thread(() => answers(origin)) { IsBackground = true }.Start();
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up", http2)], """ "route": {"cluster": "up", "timeout": "0s"} """, filters, more,
            identity: Self);
        proxy.Endpoints("up", ((IPEndPoint)origin.LocalEndPoint!).Port);
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(IPAddress.Loopback, proxy.Port, TestContext.Current.CancellationToken);
        client.NoDelay = true;
        ask(client, 200);
        // What other tests left behind may still run on the loops, so the round that saw the least of it counts.
        var least = long.MaxValue;
        for (var begun = Stopwatch.GetTimestamp(); least > enough && Stopwatch.GetElapsedTime(begun) < Patience;)
        {
            var before = await AllocatedAsync();
            ask(client, Requests);
            least = Math.Min(least, (await AllocatedAsync() - before) / Requests);
        }
        return least;
    }

    /// <summary>Bytes that the threads of all loops have allocated.</summary>
    private static async Task<long> AllocatedAsync()
    {
        long total = 0;
        foreach (var loop in EventLoop.All)
        {
            var allocated = new TaskCompletionSource<long>(TaskCreationOptions.RunContinuationsAsynchronously);
            loop.Post(() => allocated.SetResult(GC.GetAllocatedBytesForCurrentThread()));
            total += await allocated.Task;
        }
        return total;
    }

    private static void Ask(Socket client, int times)
    {
        Span<byte> buffer = stackalloc byte[4096];
        for (var i = 0; i < times; i++)
        {
            client.Send(Question);
            var length = 0;
            while (!buffer[..length].EndsWith("hello"u8))
                length += client.Receive(buffer[length..]) is > 0 and var count ? count : throw new EndOfStreamException();
        }
    }

    private static Socket Connected(EndPoint to)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        socket.Connect(to);
        return socket;
    }

    private static void AskTogether(Socket[] clients, int times)
    {
        Span<byte> buffer = stackalloc byte[4096];
        for (var i = 0; i < times; i += clients.Length)
        {
            foreach (var client in clients) client.Send(Question);
            foreach (var client in clients)
            {
                var length = 0;
                while (!buffer[..length].EndsWith("hello"u8))
                    length += client.Receive(buffer[length..]) is > 0 and var count ? count : throw new EndOfStreamException();
            }
        }
    }

    /// <summary>Answers once all connections have a request.</summary>
    private static void AnswersTogether(Socket origin)
    {
        var connections = Enumerable.Range(0, AtOnce).Select(_ => origin.Accept()).ToArray();
        Span<byte> buffer = stackalloc byte[4096];
        while (true)
        {
            foreach (var connection in connections)
            {
                var length = 0;
                while (!buffer[..length].EndsWith("\r\n\r\n"u8))
                {
                    if (connection.Receive(buffer[length..]) is not (> 0 and var count)) return;
                    length += count;
                }
            }
            foreach (var connection in connections)
            {
                connection.NoDelay = true;
                connection.Send(Answer);
            }
        }
    }

    /// <summary>The ID of the next stream.</summary>
    private static int AskHttp2(Socket client, int times, int id)
    {
        if (id == 1) client.Send([.. H2.Preface, .. Settings(), .. WindowUpdate(0, 1 << 30)]);
        var head = Block(":method POST|:scheme http|:path /orders|:authority shop|content-type application/grpc|te trailers");
        for (var i = 0; i < times; i++, id += 2)
        {
            client.Send([.. Frame(H2Frame.Headers, H2Flags.EndHeaders, id, head), .. Data(id, 100, isLast: true)]);
            while (Read(client) is var (type, flags, of) && (type is not H2Frame.Headers || of != id || !flags.HasFlag(H2Flags.EndStream)))
            {
                // The rest comes before the trailers.
            }
        }
        return id;
    }

    private static void AnswersHttp2(Socket origin)
    {
        using var connection = origin.Accept();
        connection.NoDelay = true;
        ReceiveExactly(connection, new byte[H2.Preface.Length]);
        connection.Send([.. Settings(), .. WindowUpdate(0, 1 << 30)]);
        var (head, trailers) = (Block(":status 200|content-type application/grpc"), Block("grpc-status 0"));
        while (Read(connection) is var (type, flags, id))
        {
            if (type != H2Frame.Data || !flags.HasFlag(H2Flags.EndStream)) continue;
            connection.Send([.. Frame(H2Frame.Headers, H2Flags.EndHeaders, id, head), .. Data(id, 100),
                .. Frame(H2Frame.Headers, H2Flags.EndHeaders | H2Flags.EndStream, id, trailers)]);
        }
    }

    private static (H2Frame Type, H2Flags Flags, int Id)? Read(Socket from)
    {
        Span<byte> head = stackalloc byte[H2.FrameHeader];
        if (!ReceiveExactly(from, head)) return null;
        ReceiveExactly(from, new byte[(head[0] << 16) | (head[1] << 8) | head[2]]);
        return ((H2Frame)head[3], (H2Flags)head[4], BinaryPrimitives.ReadInt32BigEndian(head[5..]));
    }

    private static bool ReceiveExactly(Socket from, Span<byte> into)
    {
        while (!into.IsEmpty)
        {
            if (from.Receive(into) is not (> 0 and var count)) return false;
            into = into[count..];
        }
        return true;
    }

    private static void Answers(Socket origin)
    {
        Span<byte> buffer = stackalloc byte[4096];
        using var connection = origin.Accept();
        connection.NoDelay = true;
        var length = 0;
        while (connection.Receive(buffer[length..]) is > 0 and var count)
        {
            length += count;
            if (!buffer[..length].EndsWith("\r\n\r\n"u8)) continue;
            length = 0;
            connection.Send(Answer);
        }
    }
}

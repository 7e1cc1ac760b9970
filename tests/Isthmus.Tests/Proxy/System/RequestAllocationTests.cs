using System.Net;
using System.Net.Sockets;
using Isthmus.Proxy.Loops;
using Xunit;

namespace Isthmus.Tests.Proxy.System;

/// <summary>What a request of HTTP/1.1 leaves to the garbage collector, on connections that are kept.</summary>
public sealed class RequestAllocationTests
{
    private const int Requests = 50;

#if DEBUG
    // Without optimization, each state machine of an async method is an object.
    private const long Most = 8_000;
#else
    // The authority, for instance, is a string.
    private const long Most = 200;
#endif

    private static ReadOnlySpan<byte> Question => "GET /orders?page=2 HTTP/1.1\r\nhost: shop\r\nuser-agent: test\r\naccept: */*\r\n\r\n"u8;

    private static ReadOnlySpan<byte> Answer => "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-type: text/plain\r\n\r\nhello"u8;

    [Fact]
    public async Task A_request_in_the_steady_state_creates_few_objects()
    {
        using var origin = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        origin.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        origin.Listen();
        new Thread(() => Answers(origin)) { IsBackground = true }.Start();
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up", http2: false)], """ "route": {"cluster": "up", "timeout": "0s"} """);
        proxy.Endpoints("up", ((IPEndPoint)origin.LocalEndPoint!).Port);
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(IPAddress.Loopback, proxy.Port, TestContext.Current.CancellationToken);
        client.NoDelay = true;
        Ask(client, 200);
        // Other tests share the loops, so the round that saw the least of them counts.
        var least = long.MaxValue;
        for (var round = 0; round < 40; round++)
        {
            var before = await AllocatedAsync();
            Ask(client, Requests);
            least = Math.Min(least, (await AllocatedAsync() - before) / Requests);
        }
        Assert.InRange(least, 0, Most);
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
            while (!buffer[..length].EndsWith("hello"u8)) length += client.Receive(buffer[length..]) is > 0 and var count ? count : throw new EndOfStreamException();
        }
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

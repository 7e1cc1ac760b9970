using System.Text;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Transports;
using Xunit;

namespace Isthmus.Tests.Proxy.Loops;

/// <summary>Two sockets of one process are connected like those of two machines: bytes, ends and resets pass.</summary>
public sealed class SocketPairTests
{
    [Fact]
    public async Task Bytes_pass_in_both_directions_until_each_ends()
    {
        var (one, other) = Create();
        await one.WriteAsync("hello"u8.ToArray());
        Assert.Equal("hello", await TextAsync(other));
        await one.CloseWriteAsync();
        Assert.Empty(await ReadAsync(other));
        await other.WriteAsync("bye"u8.ToArray());
        Assert.Equal("bye", await TextAsync(one));
        other.Abort();
        Assert.Empty(await ReadAsync(one));
        one.Abort();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_reset_is_one_at_the_other_end_also_where_somebody_waits(bool waits)
    {
        var (one, other) = Create();
        var told = new TaskCompletionSource<bool>();
        other.Loop.OnEnd(() => told.TrySetResult(other.Loop.WasReset));
        var waiting = waits ? ReadAsync(other) : null;
        one.Abort(reset: true);
        Assert.True(await told.Task);
        Assert.Equal(TransportFailure.Reset, (await Assert.ThrowsAsync<TransportException>(() => waiting ?? ReadAsync(other))).Failure);
        Assert.Equal(TransportFailure.Reset, (await Assert.ThrowsAsync<TransportException>(() => ReadAsync(other))).Failure);
        Assert.Equal(TransportFailure.Reset, (await Assert.ThrowsAsync<TransportException>(async () => await other.WriteAsync(new byte[1]))).Failure);
        other.Abort();
    }

    [Fact]
    public async Task A_reset_is_one_for_a_pipe_too()
    {
        var (one, other) = Create();
        using var pipe = Pipe.Rent()!;
        one.Abort(reset: true);
        Assert.Equal(TransportFailure.Reset, (await Assert.ThrowsAsync<TransportException>(async () => await other.ReadAsync(pipe))).Failure);
        other.Abort();
    }

    [Fact]
    public async Task An_end_is_no_reset()
    {
        var (one, other) = Create();
        var told = new TaskCompletionSource<bool>();
        other.Loop.OnEnd(() => told.TrySetResult(other.Loop.WasReset));
        one.Abort();
        Assert.False(await told.Task);
        Assert.Empty(await ReadAsync(other));
        other.Abort();
    }

    private static (SocketTransport One, SocketTransport Other) Create()
    {
        var (one, other) = LoopSocket.Pair(EventLoop.Next());
        return (new(one.Socket, one.Loop, InternalEndPoint.Client), new(other.Socket, other.Loop, InternalEndPoint.Client));
    }

    private static async Task<string> TextAsync(SocketTransport from) => Encoding.ASCII.GetString(await ReadAsync(from));

    private static async Task<byte[]> ReadAsync(SocketTransport from)
    {
        var buffer = new byte[16];
        return buffer[..await from.ReadAsync(buffer)];
    }
}

using System.Net;
using Isthmus.Proxy.Transports;
using Xunit;

namespace Isthmus.Tests.Proxy.Tls;

/// <summary>What TLS reads from and writes to a transport that is no socket.</summary>
public sealed class BufferedBytesTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task After_bytes_that_were_lost_nothing_is_written(bool isExpected)
    {
        var broken = new BrokenTransport(isExpected ? new TransportException(TransportFailure.Reset, "lost") : new InvalidOperationException("lost"));
        var bytes = BufferedBytes.Of(broken);
        Assert.Equal(3, bytes.TryWrite("abc"u8));
        broken.Break();
        await bytes.WaitToWriteAsync();
        Assert.Equal("lost", Assert.Throws<TransportException>(() => bytes.TryWrite("def"u8)).Message);
        Assert.Equal(1, broken.Writes);
        await Assert.ThrowsAsync<TransportException>(() => bytes.CloseWriteAsync().AsTask());
    }

    private sealed class BrokenTransport(Exception failure) : Transport
    {
        private readonly TaskCompletionSource _written = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public int Writes { get; private set; }

        public void Break() => _written.SetException(failure);

        public override EndPoint? Local => null;

        public override EndPoint? Remote => null;

        public override bool IsQuiet => true;

        public override ValueTask<int> ReadAsync(Memory<byte> into) => default;

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> bytes)
        {
            Writes++;
            return new(_written.Task);
        }

        public override ValueTask CloseWriteAsync() => default;

        public override void Abort(bool reset = false)
        {
        }
    }
}

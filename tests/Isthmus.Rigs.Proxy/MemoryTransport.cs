using System.Net;
using Isthmus.Proxy.Transports;

namespace Isthmus.Rigs.Proxy;

/// <summary>A transport that reads given bytes in given pieces, then ends. It remembers what was written.</summary>
internal sealed class MemoryTransport(byte[] input, Func<int> nextPiece) : Transport
{
    private int _at;

    internal List<byte> Written { get; } = [];

    internal TlsPeer? Client { get; init; }

    public override TlsPeer? Peer => Client;

    public override EndPoint? Local => null;

    public override EndPoint? Remote => null;

    public override bool IsQuiet => _at == input.Length;

    public override ValueTask<int> ReadAsync(Memory<byte> into)
    {
        var count = Math.Min(Math.Min(into.Length, input.Length - _at), Math.Max(1, nextPiece()));
        input.AsMemory(_at, count).CopyTo(into);
        _at += count;
        return ValueTask.FromResult(count);
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> bytes)
    {
        Written.AddRange(bytes.Span);
        return ValueTask.CompletedTask;
    }

    public override ValueTask CloseWriteAsync() => ValueTask.CompletedTask;

    public override void Abort(bool reset = false)
    {
    }
}

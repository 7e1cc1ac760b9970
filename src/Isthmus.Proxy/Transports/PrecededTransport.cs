using System.Net;
using Isthmus.Proxy.Loops;

namespace Isthmus.Proxy.Transports;

/// <summary>A transport of which some bytes were read already: they come first.</summary>
internal sealed class PrecededTransport : Transport
{
    private readonly Transport _inner;
    private ReadOnlyMemory<byte> _first;

    private PrecededTransport(Transport inner, ReadOnlyMemory<byte> first) => (_inner, _first) = (inner, first);

    public override EndPoint? Local => _inner.Local;

    public override EndPoint? Remote => _inner.Remote;

    public override EventLoop? EventLoop => _inner.EventLoop;

    public override TlsPeer? Peer => _inner.Peer;

    public override bool IsQuiet => _first.IsEmpty && _inner.IsQuiet;

    public override Action? Suspected { get => _inner.Suspected; set => _inner.Suspected = value; }

    /// <summary>Puts bytes back in front of a transport.</summary>
    public static Transport Of(Transport inner, ReadOnlyMemory<byte> first)
    {
        if (first.IsEmpty) return inner;
        if (inner is not SocketTransport { HasUnread: false } socket) return new PrecededTransport(inner, first);
        socket.Unread(first);
        return socket;
    }

    public override ValueTask<int> ReadAsync(Memory<byte> into)
    {
        if (_first.IsEmpty) return _inner.ReadAsync(into);
        var count = Math.Min(into.Length, _first.Length);
        _first[..count].CopyTo(into);
        _first = _first[count..];
        return new(count);
    }

    public override ValueTask BeginWriteAsync() => _inner.BeginWriteAsync();

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> bytes) => _inner.WriteAsync(bytes);

    public override ValueTask WriteLastAsync(ReadOnlyMemory<byte> bytes) => _inner.WriteLastAsync(bytes);

    public override ValueTask CloseWriteAsync() => _inner.CloseWriteAsync();

    public override void Abort(bool reset = false) => _inner.Abort(reset);
}

using System.Runtime.CompilerServices;
using Isthmus.Proxy.Loops;

namespace Isthmus.Proxy.Transports;

/// <summary>A transport whose bytes arrive in pieces that are lent: each stays until the next one is asked for.</summary>
internal abstract class PieceTransport : Transport
{
    private ReadOnlyMemory<byte> _arrived;
    private bool _hasEnded;

    public override bool IsQuiet => _arrived.IsEmpty && !_hasEnded && WouldBlock;

    public override ValueTask<int> ReadAsync(Memory<byte> into) => _arrived.IsEmpty && !_hasEnded ? ReadLaterAsync(into) : new(Take(into));

    /// <summary>No piece is there yet.</summary>
    protected abstract bool WouldBlock { get; }

    /// <summary>Waits for the next piece; an empty one is the end.</summary>
    /// <exception cref="TransportException">The connection failed.</exception>
    protected abstract ValueTask<ReadOnlyMemory<byte>> NextAsync();

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    private async ValueTask<int> ReadLaterAsync(Memory<byte> into)
    {
        _arrived = await NextAsync().ConfigureAwait(false);
        _hasEnded = _arrived.IsEmpty;
        return Take(into);
    }

    private int Take(Memory<byte> into)
    {
        var count = Math.Min(into.Length, _arrived.Length);
        _arrived[..count].CopyTo(into);
        _arrived = _arrived[count..];
        return count;
    }
}

using System.Runtime.CompilerServices;
using Isthmus.Proxy.Loops;

namespace Isthmus.Proxy.Transports;

/// <summary>How a relay ended.</summary>
internal enum RelayEnd { Completed, DownstreamReset, UpstreamReset, Aborted }

/// <summary>Carries bytes between two transports, each direction until its own end: closing one half leaves the other open.</summary>
internal sealed class Relay(Transport downstream, Transport upstream, IActivity activity, TimeProvider time)
{
    private long _received;
    private long _sent;
    private int _end = -1;
    private int _done;
    private long _lastAt = time.GetTimestamp();
    private volatile bool _lastWasUp;

    /// <summary>Bytes from downstream to upstream.</summary>
    public long Received => Interlocked.Read(ref _received);

    /// <summary>Bytes from upstream to downstream.</summary>
    public long Sent => Interlocked.Read(ref _sent);

    /// <summary>Nothing has moved for that long, and the last bytes went to the client: no response is awaited.</summary>
    public bool IsStill(TimeSpan idle) => !_lastWasUp && time.GetElapsedTime(Volatile.Read(ref _lastAt)) >= idle;

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public async ValueTask<RelayEnd> RunAsync()
    {
        var up = PumpAsync(downstream, upstream, isUp: true);
        var down = PumpAsync(upstream, downstream, isUp: false);
        await up.ConfigureAwait(false);
        await down.ConfigureAwait(false);
        return _end < 0 ? RelayEnd.Completed : (RelayEnd)_end;
    }

    private async Task PumpAsync(Transport from, Transport to, bool isUp)
    {
        using var stretch = new Stretch(from, to);
        var reading = false;
        try
        {
            await to.BeginWriteAsync().ConfigureAwait(false);
            while (true)
            {
                reading = true;
                var count = await stretch.TakeAsync().ConfigureAwait(false);
                if (count == 0) break;
                activity.Touch();
                _lastWasUp = isUp;
                Volatile.Write(ref _lastAt, time.GetTimestamp());
                if (isUp) Interlocked.Add(ref _received, count);
                else Interlocked.Add(ref _sent, count);
                reading = false;
                // A slow reader that takes a part is not idle.
                while (await stretch.GiveAsync().ConfigureAwait(false)) activity.Touch();
            }
            reading = false;
            // At the end of both directions, the sockets are closed anyway.
            if (Interlocked.Increment(ref _done) < 2 || to is not SocketTransport) await to.CloseWriteAsync().ConfigureAwait(false);
        }
        catch (TransportException e)
        {
            var broken = reading ? from : to;
            var end = e.Failure == TransportFailure.Aborted
                ? RelayEnd.Aborted
                : ReferenceEquals(broken, downstream)
                ? RelayEnd.DownstreamReset
                : RelayEnd.UpstreamReset;
            // The first failure is the cause; the other direction then fails because the relay ends it.
            if (Interlocked.CompareExchange(ref _end, (int)end, -1) == -1)
            {
                downstream.Abort(reset: true);
                upstream.Abort(reset: true);
            }
        }
    }
}

using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Traffic;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Listeners;

/// <summary>Reads the header of the PROXY protocol from a new connection (Envoy's proxy_protocol listener filter).</summary>
internal sealed class ProxyHeaderFilter(TimeProvider time)
{
    /// <summary>Takes the header off, and changes the ends of the connection to what it says.</summary>
    /// <returns>False: the header is missing, malformed, late or of a version that is not allowed.</returns>
    /// <exception cref="TransportException">The client reset the connection.</exception>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public async ValueTask<bool> ApplyAsync(Downstream connection, ProxyHeaderRules rules, CancellationToken stop)
    {
        var buffer = Buffers<byte>.Rent(4096);
        var length = 0;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var patience = connection.Listener.InspectionTimeout;
        using var timer = time.CreateTimer(static l => ((CancellationTokenSource)l!).Cancel(), limit,
            patience > TimeSpan.Zero ? patience : Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        try
        {
            while (true)
            {
                switch (ProxyHeader.Read(buffer.AsSpan(0, length), out var header))
                {
                    case ProxyHeaderStatus.Complete when rules.Allows(header.Version):
                        connection.Socket.Unread(buffer.AsSpan(header.Length, length - header.Length).ToArray());
                        if (header.Carried is { } carried) connection.Carry(carried);
                        return true;
                    case ProxyHeaderStatus.Absent when rules.IsOptional:
                        connection.Socket.Unread(buffer.AsSpan(0, length).ToArray());
                        return true;
                    case not ProxyHeaderStatus.Incomplete:
                        return false;
                }
                // Nothing is read beyond a header that does not fit.
                if (ProxyHeader.LengthOf(buffer.AsSpan(0, length)) is var whole && whole > buffer.Length) buffer = Grown(buffer, whole);
                var end = whole > 4096 ? whole : buffer.Length;
                var count = await connection.Socket.Loop.ReceiveAsync(buffer.AsMemory(length, end - length), limit.Token).ConfigureAwait(false);
                if (count == 0) return false;
                length += count;
            }
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            return false;
        }
        catch (SocketException e)
        {
            throw TransportException.From(e);
        }
        catch (ObjectDisposedException e)
        {
            throw new TransportException(TransportFailure.Aborted, "closed", e);
        }
        finally
        {
            Buffers<byte>.Return(buffer);
        }
    }

    private static byte[] Grown(byte[] buffer, int length)
    {
        var next = Buffers<byte>.Rent(length);
        buffer.CopyTo(next, 0);
        Buffers<byte>.Return(buffer);
        return next;
    }
}

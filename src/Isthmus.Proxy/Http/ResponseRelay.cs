using System.Runtime.CompilerServices;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Http;

/// <summary>The way back: copies the response to the client, or the bytes of an upgraded connection in both directions.</summary>
internal static class ResponseRelay
{
    /// <summary>Sends the prepared head, and then the body as it arrives.</summary>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    public static async ValueTask RunAsync(DownstreamStream stream, RequestAttempts attempts, ClusterState cluster, RequestBody? body)
    {
        var (upstream, record, response) = (attempts.Upstream!, attempts.Record, attempts.Response);
        if (body is { IsPumping: true } && response.Body is BodyKind.None) stream.MustClose = true;
        await stream.SendHeadAsync(response).ConfigureAwait(false);
        while (true)
        {
            if (upstream.WouldBlock) await stream.FlushAsync().ConfigureAwait(false);
            ReadOnlyMemory<byte> piece;
            try
            {
                piece = await upstream.ReceiveBodyAsync().ConfigureAwait(false);
            }
            catch (Exception e) when (e is TransportException or HttpMessageException)
            {
                if (attempts.HasClientLeft || body?.Failure is not null) record.Reason = EndReason.ClientClosed;
                else record.Reason = attempts.Limits.IsReached ? EndReason.UpstreamTimeout : EndReason.UpstreamReset;
                record.Details = attempts.HasClientLeft ? RequestAttempts.ClientLeft : "upstream_reset_after_response_started{connection_termination}";
                attempts.Limits.Record(record, stream);
                // The client must see that the response is incomplete.
                stream.Reset();
                return;
            }
            if (piece.IsEmpty) break;
            Interlocked.Add(ref cluster.Counters.BytesReceived, piece.Length);
            await stream.SendBodyAsync(piece).ConfigureAwait(false);
        }
        await stream.EndAsync(record.Keep(upstream.ResponseTrailers)).ConfigureAwait(false);
    }

    /// <summary>Within a tunnel the proxy only copies bytes.</summary>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    public static async ValueTask TunnelAsync(HttpParts parts, DownstreamStream stream, RequestAttempts attempts)
    {
        var upstream = attempts.Upstream!;
        await stream.SendHeadAsync(attempts.Response).ConfigureAwait(false);
        await stream.FlushAsync().ConfigureAwait(false);
        var (down, up) = (stream.TakeOver(), upstream.TakeOver());
        using var watched = parts.Watch.Add(attempts.Limits.Idle, attempts.Limits.Duration, _ =>
        {
            // Either may have ended its direction, so that nobody reads from it.
            down.Abort(reset: true);
            up.Abort(reset: true);
        });
        var relay = new Relay(down, up, watched, parts.Ports.Time);
        var client = new TunnelClient(stream, up);
        stream.Waiting = client;
        var end = await relay.RunAsync().ConfigureAwait(false);
        stream.Waiting = null;
        attempts.Record.Reason = end switch
        {
            _ when client.HasLeft && end != RelayEnd.Completed => EndReason.ClientClosed,
            RelayEnd.DownstreamReset => EndReason.ClientClosed,
            RelayEnd.UpstreamReset => EndReason.UpstreamReset,
            _ => watched.IsExpired ? EndReason.IdleTimeout : EndReason.Completed,
        };
        stream.CountTunnel(relay.Received, relay.Sent);
        if (end != RelayEnd.Completed) upstream.Abort();
    }

    /// <summary>Nobody reads from a client that has ended its direction: when it leaves, the server's next bytes would be the first to find out.</summary>
    private sealed class TunnelClient(DownstreamStream stream, Transport up) : IWaiting
    {
        private volatile bool _hasLeft;

        public bool HasLeft => _hasLeft;

        public void OnClientLeft()
        {
            if (!stream.HasClientLeft) return;
            _hasLeft = true;
            up.Abort(reset: true);
        }

        public void OnSuspected(UpstreamStream of)
        {
            // Another host does not help a tunnel.
        }

        public void OnSecond()
        {
            // The limits of a tunnel have a watch of their own.
        }
    }
}

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
        using var watched = parts.Watch.Add(attempts.Limits.Idle, attempts.Limits.Duration, _ => down.Abort(reset: true));
        var relay = new Relay(down, up, watched, parts.Ports.Time);
        var end = await relay.RunAsync().ConfigureAwait(false);
        attempts.Record.Reason = end switch
        {
            RelayEnd.DownstreamReset => EndReason.ClientClosed,
            RelayEnd.UpstreamReset => EndReason.UpstreamReset,
            _ => watched.IsExpired ? EndReason.IdleTimeout : EndReason.Completed,
        };
        stream.CountTunnel(relay.Received, relay.Sent);
        if (end != RelayEnd.Completed) upstream.Abort();
    }
}

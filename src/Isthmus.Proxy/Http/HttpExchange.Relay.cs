using System.Runtime.CompilerServices;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Http;

/// <summary>The way back: edits the response's head, copies its body, turns an upgraded connection into a tunnel.</summary>
internal sealed partial class HttpExchange
{
    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    private async ValueTask RelayAsync(RouteSnapshot route, WeightedTarget target, ClusterState cluster, UpstreamStream upstream, RequestBody? body)
    {
        _record.Status = _response.Status;
        _record.Details = "via_upstream";
        PrepareResponse(route, target);
        if (body is { IsPumping: true } && _response.Body is BodyKind.None) stream.MustClose = true;
        await stream.SendHeadAsync(_response).ConfigureAwait(false);
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
                if (HasClientLeft || body?.Failure is not null) _record.Reason = EndReason.ClientClosed;
                else _record.Reason = _limits.IsReached ? EndReason.UpstreamTimeout : EndReason.UpstreamReset;
                _record.Details = HasClientLeft ? ClientDisconnected : "upstream_reset_after_response_started{connection_termination}";
                _limits.Record(_record, stream);
                // The client must see that the response is incomplete.
                stream.Reset();
                return;
            }
            if (piece.IsEmpty) break;
            Interlocked.Add(ref cluster.Counters.BytesReceived, piece.Length);
            await stream.SendBodyAsync(piece).ConfigureAwait(false);
        }
        await stream.EndAsync(_record.Keep(upstream.ResponseTrailers)).ConfigureAwait(false);
    }

    private void PrepareResponse(RouteSnapshot route, WeightedTarget target)
    {
        var headers = _response.Headers;
        TakePeerAnswer(headers);
        HeaderEditing.Response(_response, target.Edits, _record);
        HeaderEditing.Response(_response, route.Edits, _record);
        HeaderEditing.Response(_response, _decision.Host!.Edits, _record);
        HeaderEditing.Response(_response, _decision.Table.Edits, _record);
        if (_action.HasCors && route.Cors is not null) Cors.Mark(Request, route.Cors, _response);
        if (_action.AddsEnvoyFields) HeaderEditing.SetServiceTime(headers, _record.ResponseAfter!.Value);
        if (_decision.Host!.AttemptCountInResponse) headers.Set("x-envoy-attempt-count"u8, HeaderEditing.AttemptText(_record.Attempts));
        if (connection.Listener.Direction == Direction.Inbound && route.Operation.Length > 0) headers.Set("x-envoy-decorator-operation"u8, route.Operation);
        SetCommonFields();
    }

    private void TakePeerAnswer(HeaderBlock headers)
    {
        if (connection.Listener.Direction != Direction.Outbound) return;
        headers.Remove("x-envoy-decorator-operation"u8);
        if (!_action.ExchangesMetadata) return;
        _record.PeerMetadata = _peer.In(headers);
        headers.Remove("x-envoy-peer-metadata"u8);
        headers.Remove("x-envoy-peer-metadata-id"u8);
    }

    /// <summary>After 101 the proxy only copies bytes.</summary>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    private async ValueTask TunnelAsync(UpstreamStream upstream)
    {
        // From here on, the bytes pass by this exchange.
        Disarm();
        _record.Status = 101;
        _record.Details = "via_upstream";
        SetCommonFields();
        await stream.SendHeadAsync(_response).ConfigureAwait(false);
        await stream.FlushAsync().ConfigureAwait(false);
        if (stream.TakeOver() is not { } down || upstream.TakeOver() is not { } up)
        {
            stream.Reset();
            return;
        }
        if (!up.Extra.IsEmpty) await down.Transport.WriteAsync(up.Extra).ConfigureAwait(false);
        using var watched = parts.Watch.Add(_limits.Idle, _limits.Duration, _ => down.Transport.Abort(reset: true));
        var relay = new Relay(down.Transport, up.Transport, watched, parts.Ports.Time);
        if (!down.Extra.IsEmpty) await up.Transport.WriteAsync(down.Extra).ConfigureAwait(false);
        var end = await relay.RunAsync().ConfigureAwait(false);
        _record.Reason = end switch
        {
            RelayEnd.DownstreamReset => EndReason.ClientClosed,
            RelayEnd.UpstreamReset => EndReason.UpstreamReset,
            _ => watched.IsExpired ? EndReason.IdleTimeout : EndReason.Completed,
        };
        upstream.Abort();
    }

    // The response is complete. An unfinished request ends with it: nothing would receive the rest of its body.
    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    private async ValueTask SettleAsync(RequestBody? body)
    {
        if (body is { IsPumping: true })
        {
            _upstream?.Abort();
            stream.MustClose = true;
            await stream.AbandonRequestAsync(body.FinishAsync(), parts.Ports.Time).ConfigureAwait(false);
        }
        if (body is not null) await body.FinishAsync().ConfigureAwait(false);
        Detach();
    }
}

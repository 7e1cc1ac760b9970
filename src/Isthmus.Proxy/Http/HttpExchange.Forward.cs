using System.Runtime.CompilerServices;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Upstreams;

namespace Isthmus.Proxy.Http;

/// <summary>Forwarding: chooses a cluster, prepares the request for it, sends it, relays the response.</summary>
internal sealed partial class HttpExchange
{
    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    private async ValueTask ForwardAsync(RouteSnapshot route, ForwardAct act)
    {
        if (Request.IsTunnel && !RequestPreparation.TakeUpgrade(Request, _action, act))
        {
            await _own.ReplyAsync(403, "", "upgrade_failed", EndReason.ClientProtocolError).ConfigureAwait(false);
            return;
        }
        var target = _route.Choose(act);
        _record.ClusterName = target.Cluster;
        if (!_snapshot.Clusters.TryGetValue(target.Cluster, out var cluster))
        {
            await _own.ReplyAsync(act.NotFoundStatus, "", "cluster_not_found", EndReason.ClusterNotFound).ConfigureAwait(false);
            return;
        }
        _record.Cluster = cluster;
        // HTTP/2 has no place for it: data after the head is of the other protocol.
        if (Request.Upgrade.Length > 0 && Request.Body != BodyKind.None && HttpUpstreams.IsHttp2(cluster, Request.Version))
        {
            await _own.ReplyAsync(400, "", "http2.upgrade_with_a_body", EndReason.ClientProtocolError).ConfigureAwait(false);
            return;
        }
        if (!cluster.TryBeginRequest(canQueue: !HttpUpstreams.IsHttp2(cluster, Request.Version)))
        {
            await _own.ReplyOverflowAsync(isRetried: false, closes: false).ConfigureAwait(false);
            return;
        }
        Interlocked.Increment(ref cluster.Counters.Requests);
        try
        {
            attempts.Arm(_action, act, cluster, _decision.Host!.IncludeAttemptCount);
            _filters.Forward();
            PrepareUpstreamRequest(route, act, target);
            var (taken, late) = await RequestBody.TakeInTimeAsync(stream, attempts.Limits, _filters.TakeBody(), mayAsk: act.Mirrors.IsEmpty)
                .ConfigureAwait(false);
            using var body = taken;
            if (late is null && !Request.IsTunnel) MirroredRequest.Start(parts, _snapshot, act, Request, body, connection, _action);
            await (late is null ? ForwardAsync(route, act, target, cluster, body) : _own.RefuseBodyAsync(late)).ConfigureAwait(false);
        }
        finally
        {
            attempts.Disarm();
            cluster.EndRequest();
        }
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    private async ValueTask ForwardAsync(RouteSnapshot route, ForwardAct act, WeightedTarget target, ClusterState cluster, RequestBody? body)
    {
        var hasTimeout = act.Timeout > TimeSpan.Zero && !Request.IsTunnel;
        using var timer = hasTimeout
            ? parts.Ports.Time.CreateTimer(static a => ((RequestAttempts)a!).OnTimeout(TimeLimit.Response), attempts, act.Timeout, Timeout.InfiniteTimeSpan)
            : null;
        try
        {
            ulong? hash = null;
            if (!act.HashKeys.IsEmpty)
            {
                var client = RequestPreparation.RemoteAddress(Request.Headers, connection, _action.Client);
                (hash, _decision) = _decision.Hash(act, Request, client, connection.Source, connection.Destination);
                _own.Cookie = _decision.SetCookie;
            }
            if (await attempts.RunAsync(act, cluster, body, hash, _filters.Wish).ConfigureAwait(false) && attempts.TryRelay())
                await RelayAsync(route, target, cluster, body).ConfigureAwait(false);
            else await _own.ReplyFailureAsync(body).ConfigureAwait(false);
        }
        finally
        {
            attempts.Disarm();
            await attempts.SettleAsync(body).ConfigureAwait(false);
        }
    }

    private void PrepareUpstreamRequest(RouteSnapshot route, ForwardAct act, WeightedTarget target)
    {
        HeaderEditing.Request(Request, target.Edits, _record);
        HeaderEditing.Request(Request, route.Edits, _record);
        HeaderEditing.Request(Request, _decision.Host!.Edits, _record);
        HeaderEditing.Request(Request, _decision.Table.Edits, _record);
        HeaderEditing.Rewrite(Request, route, act, target, _action.AddsEnvoyFields ? _record : null);
        if (act.Timeout > TimeSpan.Zero && _action.AddsEnvoyFields)
            Request.Headers.Set("x-envoy-expected-rq-timeout-ms"u8,
                ((long)act.Timeout.TotalMilliseconds).ToString(System.Globalization.CultureInfo.InvariantCulture));
        if (connection.Listener.Direction == Direction.Outbound && route.Operation.Length > 0)
            Request.Headers.Set("x-envoy-decorator-operation"u8, route.Operation);
    }

    private ValueTask RelayAsync(RouteSnapshot route, WeightedTarget target, ClusterState cluster, RequestBody? body)
    {
        _record.Status = _response.Status;
        _record.Details = "via_upstream";
        PrepareResponse(route, target);
        if (!_response.IsTunnel) return ResponseRelay.RunAsync(stream, attempts, cluster, body);
        // From here on, the bytes pass by this exchange.
        attempts.Disarm();
        WebSocketFields.Accept(Request, _response);
        return ResponseRelay.TunnelAsync(parts, stream, attempts);
    }

    private void PrepareResponse(RouteSnapshot route, WeightedTarget target)
    {
        var headers = _response.Headers;
        if (connection.Listener.Direction == Direction.Outbound) headers.Remove("x-envoy-decorator-operation"u8);
        HeaderEditing.Response(_response, target.Edits, _record);
        HeaderEditing.Response(_response, route.Edits, _record);
        HeaderEditing.Response(_response, _decision.Host!.Edits, _record);
        HeaderEditing.Response(_response, _decision.Table.Edits, _record);
        _filters.Answer();
        if (_action.AddsEnvoyFields) HeaderEditing.SetServiceTime(headers, _record.ResponseAfter!.Value);
        if (_decision.Host!.AttemptCountInResponse) headers.Set("x-envoy-attempt-count"u8, HeaderEditing.AttemptText(_record.Attempts));
        if (connection.Listener.Direction == Direction.Inbound && route.Operation.Length > 0) headers.Set("x-envoy-decorator-operation"u8, route.Operation);
        _own.Complete();
    }
}

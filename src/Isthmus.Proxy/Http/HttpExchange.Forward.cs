using System.Runtime.CompilerServices;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;

namespace Isthmus.Proxy.Http;

/// <summary>Forwarding: chooses a cluster, prepares the request for it, sends it, relays the response.</summary>
internal sealed partial class HttpExchange
{
    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    private async ValueTask ForwardAsync(RouteSnapshot route, ForwardAct act)
    {
        if (Request.Upgrade.Length > 0 && !RequestPreparation.TakeUpgrade(Request, _action, act))
        {
            await ReplyAsync(403, "", "upgrade_failed", EndReason.ClientProtocolError).ConfigureAwait(false);
            return;
        }
        var target = _route.Choose(act);
        _record.ClusterName = target.Cluster;
        if (!_snapshot.Clusters.TryGetValue(target.Cluster, out var cluster))
        {
            await ReplyAsync(act.NotFoundStatus, "", "cluster_not_found", EndReason.ClusterNotFound).ConfigureAwait(false);
            return;
        }
        _record.Cluster = cluster;
        if (!cluster.TryBeginRequest(canQueue: !HttpUpstreams.IsHttp2(cluster, Request.Version)))
        {
            await ReplyOverflowAsync(isRetried: false, closes: false).ConfigureAwait(false);
            return;
        }
        Interlocked.Increment(ref cluster.Counters.Requests);
        try
        {
            Arm(act, cluster);
            PrepareUpstreamRequest(route, act, target, cluster);
            var (taken, late) = await RequestBody.TakeInTimeAsync(stream, _limits, _access?.TakeBody()).ConfigureAwait(false);
            using var body = taken;
            if (late is null) MirroredRequest.Start(parts, _snapshot, act, Request, body, connection, _action);
            await (late is null ? ForwardAsync(route, act, target, cluster, body) : RefuseBodyAsync(late)).ConfigureAwait(false);
        }
        finally
        {
            Disarm();
            cluster.EndRequest();
        }
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    private async ValueTask ForwardAsync(RouteSnapshot route, ForwardAct act, WeightedTarget target, ClusterState cluster, RequestBody? body)
    {
        var hasTimeout = act.Timeout > TimeSpan.Zero && Request.Upgrade.Length == 0;
        using var timer = hasTimeout
            ? parts.Ports.Time.CreateTimer(static e => ((HttpExchange)e!).OnTimeout(TimeLimit.Response), this, act.Timeout, Timeout.InfiniteTimeSpan) : null;
        try
        {
            if (!await AttemptAllAsync(act, cluster, body).ConfigureAwait(false)) return;
            if (_response.Status == 101) await TunnelAsync(_upstream!).ConfigureAwait(false);
            else await RelayAsync(route, target, cluster, _upstream!, body).ConfigureAwait(false);
        }
        finally
        {
            Disarm();
            await SettleAsync(body).ConfigureAwait(false);
        }
    }

    private void PrepareUpstreamRequest(RouteSnapshot route, ForwardAct act, WeightedTarget target, ClusterState cluster)
    {
        HeaderEditing.Request(Request, target.Edits, _record);
        HeaderEditing.Request(Request, route.Edits, _record);
        HeaderEditing.Request(Request, _decision.Host!.Edits, _record);
        HeaderEditing.Request(Request, _decision.Table.Edits, _record);
        HeaderEditing.Rewrite(Request, route, act, target, _action.AddsEnvoyFields ? _record : null);
        if (act.Timeout > TimeSpan.Zero && _action.AddsEnvoyFields)
            Request.Headers.Set("x-envoy-expected-rq-timeout-ms"u8, ((long)act.Timeout.TotalMilliseconds).ToString(System.Globalization.CultureInfo.InvariantCulture));
        if (connection.Listener.Direction != Direction.Outbound) return;
        if (route.Operation.Length > 0) Request.Headers.Set("x-envoy-decorator-operation"u8, route.Operation);
        if (!_action.ExchangesMetadata || parts.Identity.PeerMetadata.Length == 0 || (_action.TellsMeshOnly && cluster.Config.IsExternal)) return;
        Request.Headers.Set("x-envoy-peer-metadata"u8, parts.Identity.PeerMetadata);
        Request.Headers.Set("x-envoy-peer-metadata-id"u8, parts.Identity.NodeId);
    }
}

using Isthmus.Proxy.Balancing;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Tcp;
using Isthmus.Proxy.Telemetry;

namespace Isthmus.Proxy.Http;

/// <summary>Forwarding: chooses a cluster, prepares the request for it, sends it, relays the response.</summary>
internal sealed partial class HttpExchange
{
    private async ValueTask ForwardAsync(RouteSnapshot route, ForwardAct act)
    {
        if (Request.Upgrade.Length > 0 && !TakeUpgrade(act))
        {
            await ReplyAsync(403, "", "upgrade_failed", EndReason.ClientProtocolError).ConfigureAwait(false);
            return;
        }
        var target = RouteDecision.Choose(act, Request, parts.Ports.Random);
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
            PrepareUpstreamRequest(route, act, target);
            using var body = await RequestBody.TakeAsync(stream).ConfigureAwait(false);
            Mirror(act, body);
            await ForwardAsync(route, act, target, cluster, body).ConfigureAwait(false);
        }
        finally
        {
            cluster.EndRequest();
        }
    }

    private async ValueTask ForwardAsync(RouteSnapshot route, ForwardAct act, WeightedTarget target, ClusterState cluster, RequestBody? body)
    {
        _timedOut = 0;
        _upstream = null;
        lock (_record)
        {
            _clientLeft = false;
            _queued = null;
        }
        stream.Waiting = this;
        var hasTimeout = act.Timeout > TimeSpan.Zero && Request.Upgrade.Length == 0;
        using var timer = hasTimeout
            ? parts.Ports.Time.CreateTimer(static e => ((HttpExchange)e!).OnTimeout(1), this, act.Timeout, Timeout.InfiniteTimeSpan) : null;
        try
        {
            if (!await AttemptAllAsync(act, cluster, body).ConfigureAwait(false)) return;
            if (_response.Status == 101) await TunnelAsync(_upstream!).ConfigureAwait(false);
            else await RelayAsync(route, target, cluster, _upstream!, body).ConfigureAwait(false);
        }
        finally
        {
            stream.Waiting = null;
            await SettleAsync(body).ConfigureAwait(false);
        }
    }

    private bool TakeUpgrade(ForwardAct act)
    {
        // An offer to upgrade to HTTP/2 in plain text may be ignored, and is.
        if (Request.Upgrade.StartsWith("h2c", StringComparison.Ordinal))
        {
            Request.Upgrade = "";
            Request.Headers.Remove("http2-settings"u8);
            return true;
        }
        return _action.Upgrades.Contains(Request.Upgrade) || act.Upgrades.Contains(Request.Upgrade);
    }

    private void PrepareUpstreamRequest(RouteSnapshot route, ForwardAct act, WeightedTarget target)
    {
        HeaderEditing.Request(Request, target.Edits, _record);
        HeaderEditing.Request(Request, route.Edits, _record);
        HeaderEditing.Request(Request, _decision.Host!.Edits, _record);
        HeaderEditing.Request(Request, _decision.Table.Edits, _record);
        HeaderEditing.Rewrite(Request, route, act, target, _record);
        if (act.Timeout > TimeSpan.Zero)
            Request.Headers.Set("x-envoy-expected-rq-timeout-ms"u8, ((long)act.Timeout.TotalMilliseconds).ToString(System.Globalization.CultureInfo.InvariantCulture));
        if (connection.Listener.Direction != Direction.Outbound) return;
        if (route.Operation.Length > 0) Request.Headers.Set("x-envoy-decorator-operation"u8, route.Operation);
        if (!_action.ExchangesMetadata || parts.Identity.PeerMetadata.Length == 0) return;
        Request.Headers.Set("x-envoy-peer-metadata"u8, parts.Identity.PeerMetadata);
        Request.Headers.Set("x-envoy-peer-metadata-id"u8, parts.Identity.NodeId);
    }
}

using System.Runtime.CompilerServices;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Http;

/// <summary>Attempts: sends to a host, and to another one while a retry makes sense; gives up on timeout or when the client
/// has left.</summary>
internal sealed partial class HttpExchange
{
    private UpstreamStream? _upstream;
    private QueuedRequest? _queued; // guarded by _record
    private AttemptEnd _attempt;
    private string _failure = "";
    private string _resetReason = "";
    private bool _mayRepeat; // guarded by _record, as _upstream is against others
    private bool _clientLeft; // guarded by _record

    // A timer may abort the upstream at any moment; once detached it is out of the timer's reach and may return to the pool.
    private void Attach(UpstreamStream upstream)
    {
        lock (_record)
        {
            _upstream = upstream;
            _queued = null;
            if (_clientLeft) upstream.Abort();
        }
    }

    private void Detach()
    {
        UpstreamStream? upstream;
        lock (_record)
        {
            upstream = _upstream;
            _upstream = null;
        }
        if (upstream is null) return;
        upstream.Release();
        _record.Host!.End();
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    private async ValueTask ReceiveHeadAsync(UpstreamStream upstream, bool mayRepeat)
    {
        upstream.Waiting = mayRepeat ? this : null;
        lock (_record) _mayRepeat = mayRepeat;
        await upstream.ReceiveHeadAsync(_response).ConfigureAwait(false);
        if (!mayRepeat) return;
        upstream.Waiting = null;
        lock (_record)
        {
            // Aborted just as the response arrived: the rest of it would never come.
            if (!_mayRepeat) throw new TransportException(TransportFailure.Aborted, "given up");
            _mayRepeat = false;
        }
    }

    void IWaiting.OnSuspected(UpstreamStream of)
    {
        lock (_record)
        {
            if (!_mayRepeat || _upstream != of) return;
            _mayRepeat = false;
            of.Abort();
        }
    }

    void IWaiting.OnClientLeft()
    {
        lock (_record)
        {
            // A request before this one may have had that client.
            if (!stream.HasClientLeft) return;
            _clientLeft = true;
            _upstream?.Abort();
            _queued?.Leave();
        }
    }

    string IQueueing.Authority => Request.Authority;

    ProxiedConnection? IQueueing.Carried => new(connection.Source, connection.Destination);

    void IQueueing.OnQueued(QueuedRequest place)
    {
        lock (_record)
        {
            _queued = place;
            if (_clientLeft || _limits.IsReached) place.Leave();
        }
    }

    private bool HasClientLeft => Volatile.Read(ref _clientLeft);

    /// <summary>Tries hosts until one answers; false when the client got an error instead.</summary>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    private async ValueTask<bool> AttemptAllAsync(ForwardAct act, ClusterState cluster, RequestBody? body)
    {
        List<Host>? tried = null;
        ulong? hash = null;
        if (act.HashKeys.Count > 0) (hash, _decision) = _decision.Hash(act, Request, RequestPreparation.RemoteAddress(Request.Headers, connection, _action), connection.Source, connection.Destination);
        var retries = act.Retry?.Retries ?? 0;
        var (fresh, holdsRetry) = (false, false);
        try
        {
            for (var attempt = 1; ; attempt++)
            {
                var picked = cluster.Names is { } names ? await names.PickAsync(Request.Authority, parts.Ports, tried).ConfigureAwait(false)
                    : cluster.Pick(tried, hash, connection.Destination, act.Retry?.LeaveAfter ?? 0);
                if (picked is not { } host)
                {
                    if (attempt == 1) Interlocked.Increment(ref cluster.Counters.NoHost);
                    await ReplyNoHostAsync(attempt).ConfigureAwait(false);
                    return false;
                }
                _record.Host = host;
                _record.Attempts = attempt;
                var hasOther = attempt <= retries && cluster.HasOther(host, tried);
                await AttemptAsync(act, cluster, host, body, attempt, fresh, hasOther).ConfigureAwait(false);
                // A slot is held while its retry runs.
                if (holdsRetry) cluster.EndRetry();
                holdsRetry = false;
                // Every request has one retry, which needs no slot, for a kept connection that closed just as it was reused.
                fresh = _attempt is AttemptEnd.Reset or AttemptEnd.Refused && _upstream is { IsReused: true };
                var isRetriable = _limits.Reached is TimeLimit.None or TimeLimit.Try or TimeLimit.UpstreamDuration && !HasClientLeft && CanSendAgain(body) && RetryDecision.IsRetriable(act.Retry, _attempt, Request, _response, fresh);
                if (!isRetriable || attempt > Math.Max(retries, fresh ? 1 : 0) || !(fresh || (holdsRetry = cluster.TryBeginRetry())))
                {
                    if ((_record.RetriesExhausted = isRetriable && retries > 0) && attempt > retries) Interlocked.Increment(ref cluster.Counters.RetryLimits);
                    if (_attempt == AttemptEnd.Answered)
                    {
                        if (attempt > 1 && _response.Status < 500) Interlocked.Increment(ref cluster.Counters.RetrySuccesses);
                        return true;
                    }
                    await GiveUpAsync(body, attempt).ConfigureAwait(false);
                    return false;
                }
                Interlocked.Increment(ref cluster.Counters.Retries);
                await DropAttemptAsync(body).ConfigureAwait(false);
                if (act.Retry is not { OtherHosts: false }) (tried ??= []).Add(host);
                if (!fresh && (act.Retry is { AlwaysWaits: true } || tried is null || cluster.Hosts.All.Count <= tried.Count)) await Task.Delay(RetryDecision.Pause(act.Retry, attempt, parts.Ports.Random), parts.Ports.Time).ConfigureAwait(false);
            }
        }
        finally
        {
            if (holdsRetry) cluster.EndRetry();
        }
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    private async ValueTask AttemptAsync(ForwardAct act, ClusterState cluster, Host host, RequestBody? body, int attempt, bool fresh, bool hasOther)
    {
        _failure = _resetReason = "";
        _limits.BeginAttempt(parts.Ports.Time);
        host.Begin();
        var tryTimer = act.Retry is { } retry && retry.PerTryTimeout > TimeSpan.Zero
            ? parts.Ports.Time.CreateTimer(static e => ((HttpExchange)e!).OnTimeout(TimeLimit.Try), this, retry.PerTryTimeout, Timeout.InfiniteTimeSpan) : null;
        try
        {
            var patience = hasOther && RetryDecision.IsRetriable(act.Retry, AttemptEnd.ConnectFailed, Request, _response, wasReused: false) ? cluster.ShortPatience : cluster.Config.ConnectTimeout;
            var upstream = await parts.Upstreams.OpenAsync(cluster, host, Request.Version, _action.AlpnOverride, fresh, patience, this).ConfigureAwait(false);
            Attach(upstream);
            _record.UpstreamLocal = upstream.Local;
            _record.UpstreamPeer = upstream.Peer;
            if (_decision.Host!.IncludeAttemptCount) Request.Headers.Set("x-envoy-attempt-count"u8, HeaderEditing.AttemptText(attempt));
            if (_limits.IsReached) throw new TransportException(TransportFailure.TimedOut, "timeout");
            await upstream.SendHeadAsync(Request).ConfigureAwait(false);
            if (body is null) await upstream.EndAsync(null).ConfigureAwait(false);
            else await body.SendAsync(upstream).ConfigureAwait(false);
            var mayRepeat = hasOther && CanSendAgain(body) && RetryDecision.IsRetriable(act.Retry, AttemptEnd.Reset, Request, _response, upstream.IsReused);
            await ReceiveHeadAsync(upstream, mayRepeat).ConfigureAwait(false);
            if (_response.Status == 101 && Request.Upgrade.Length == 0) throw new HttpMessageException(502, "http1.upgrade_not_asked_for");
            _record.ResponseAfter = parts.Ports.Time.GetElapsedTime(_record.StartedAt);
            cluster.Answered(host, _response);
            cluster.Counters.Count(_response.Status);
            _attempt = AttemptEnd.Answered;
        }
        catch (OverflowException)
        {
            _attempt = AttemptEnd.Overflow;
            _resetReason = "overflow";
        }
        catch (HttpMessageException e)
        {
            cluster.Answered(host, 502);
            Interlocked.Increment(ref cluster.Counters.ProtocolErrors);
            (_attempt, _resetReason) = (AttemptEnd.ProtocolError, "protocol error");
            _failure = e.Detail;
        }
        catch (TransportException e)
        {
            SettleFailure(e, cluster, host);
        }
        finally
        {
            tryTimer?.Dispose();
            if (_attempt != AttemptEnd.Answered && _upstream is null) host.End();
        }
    }

    private void SettleFailure(TransportException e, ClusterState cluster, Host host)
    {
        if (HasClientLeft)
        {
            // Says nothing about the host.
            _attempt = AttemptEnd.Reset;
            return;
        }
        if (_limits.IsReached)
        {
            _attempt = AttemptEnd.Timeout;
            if (!TimeLimits.BlamesHost(_limits.Reached)) return;
            cluster.Counters.TimedOut(_limits.Reached);
            // A request that never reached the host says nothing about it.
            if (_upstream is null) return;
            Interlocked.Increment(ref host.Counters.Timeouts);
            cluster.Answered(host, 504);
            return;
        }
        _failure = UpstreamConnector.Describe(e);
        if (_upstream is null)
        {
            _attempt = AttemptEnd.ConnectFailed;
            _resetReason = e.Failure == TransportFailure.TimedOut ? "connection timeout" : "connection failure";
            return;
        }
        Interlocked.Increment(ref cluster.Counters.Resets);
        if (e.Failure == TransportFailure.Refused)
        {
            (_attempt, _resetReason, _failure) = (AttemptEnd.Refused, "remote refused stream reset", "");
            return;
        }
        if (!_upstream.IsReused) cluster.Answered(host, 502);
        (_attempt, _resetReason) = (AttemptEnd.Reset, "connection termination");
        if (e.Failure is TransportFailure.Reset) _failure = "";
    }

    // A streamed body cannot be sent again once it has started: it is intact only if the host was never reached.
    private bool CanSendAgain(RequestBody? body) => body is not { IsStreaming: true } || _upstream is null;

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    private async ValueTask DropAttemptAsync(RequestBody? body)
    {
        if (_upstream is not { } upstream) return;
        if (_attempt != AttemptEnd.Answered || !await upstream.TryDrainAsync().ConfigureAwait(false)) upstream.Abort();
        if (body is not null) await body.FinishAsync().ConfigureAwait(false);
        Detach();
    }

    private ValueTask ReplyNoHostAsync(int attempt)
    {
        if (attempt > 1) _record.RetriesExhausted = true;
        return ReplyAsync(503, LocalReply.NoHealthyUpstream, "no_healthy_upstream", EndReason.NoHealthyUpstream);
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    private async ValueTask GiveUpAsync(RequestBody? body, int attempt)
    {
        if (HasClientLeft) throw new TransportException(TransportFailure.Aborted, "the client left");
        if (body?.Failure is { } failure) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
        var closes = body is { IsPumping: true };
        _record.TransportFailure = _failure;
        if (_attempt == AttemptEnd.Timeout)
        {
            await ReplyTimeoutAsync(closes).ConfigureAwait(false);
            return;
        }
        if (_attempt == AttemptEnd.Overflow)
        {
            await ReplyOverflowAsync(attempt > 1, closes).ConfigureAwait(false);
            return;
        }
        var details = _resetReason.Replace(' ', '_') + (_failure.Length > 0 ? $"|{_failure}" : "");
        var (status, reason) = _attempt switch
        {
            AttemptEnd.ConnectFailed => (503, EndReason.ConnectFailed),
            AttemptEnd.ProtocolError => (502, EndReason.UpstreamProtocolError),
            _ => (503, EndReason.UpstreamReset),
        };
        await ReplyAsync(status, LocalReply.UpstreamReset(_resetReason, attempt > 1, _failure), $"upstream_reset_before_response_started{{{details}}}", reason, closes).ConfigureAwait(false);
    }

    /// <summary>A limit of the cluster was reached. The field tells the callers' proxies not to retry, as Envoy's does.</summary>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    private async ValueTask ReplyOverflowAsync(bool isRetried, bool closes)
    {
        var body = LocalReply.Prepare(_response, Request, 503, LocalReply.UpstreamReset("overflow", isRetried, ""));
        if (_action.AddsEnvoyFields) _response.Headers.Add("x-envoy-overloaded"u8, "true"u8);
        if (closes) stream.MustClose = true;
        await SendOwnAsync(body, "upstream_reset_before_response_started{overflow}", EndReason.Overflow).ConfigureAwait(false);
    }
}

using System.Runtime.CompilerServices;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Filters;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Traffic;
using Isthmus.Proxy.Transports;
using Isthmus.Proxy.Upstreams;

namespace Isthmus.Proxy.Http;

/// <summary>
/// The attempts of one request after another: each sends it to a host, and to another one while a retry makes sense; gives up at a time limit or when
/// the client has left.
/// </summary>
internal sealed class RequestAttempts(HttpParts parts, Downstream connection, DownstreamStream stream) : IWaiting, IQueueing
{
    /// <summary>What the access log says of a client that is gone.</summary>
    public const string ClientLeft = "downstream_remote_disconnect";

    private readonly Lock _guard = new();
    private HttpAction _action = null!;
    private bool _countsAttempts;
    private OpenCall _call; // guarded by _guard
    private UpstreamStream? _upstream;
    private QueuedRequest? _queued; // guarded by _guard
    private bool _mayRepeat; // guarded by _guard, as _upstream is against others
    private bool _clientLeft; // guarded by _guard
    private bool _isRelayed; // guarded by _guard

    /// <summary>What is known about the request.</summary>
    public TrafficRecord Record { get; } = new();

    /// <summary>The head of the response that came last.</summary>
    public ResponseHead Response { get; } = new();

    public RequestLimits Limits { get; } = new();

    /// <summary>The attempt that answered; null before, and once it was released.</summary>
    public UpstreamStream? Upstream => _upstream;

    /// <summary>How the last attempt ended.</summary>
    public AttemptEnd End { get; private set; }

    /// <summary>Why its connection failed, as the transport says; empty when it does not.</summary>
    public string Failure { get; private set; } = "";

    /// <summary>Why its stream was reset, in Envoy's words.</summary>
    public string ResetReason { get; private set; } = "";

    // A timer may abort the upstream at any moment; once detached it is out of the timer's reach and may return to the pool.
    internal void Attach(UpstreamStream upstream)
    {
        lock (_guard)
        {
            _upstream = upstream;
            _queued = null;
            if (_clientLeft) upstream.Abort();
        }
    }

    private void Detach()
    {
        UpstreamStream? upstream;
        lock (_guard)
        {
            upstream = _upstream;
            _upstream = null;
        }
        if (upstream is null) return;
        upstream.Release();
        Record.Host!.End();
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    private async ValueTask ReceiveHeadAsync(UpstreamStream upstream, bool mayRepeat)
    {
        upstream.Waiting = mayRepeat ? this : null;
        lock (_guard) _mayRepeat = mayRepeat;
        await upstream.ReceiveHeadAsync(Response).ConfigureAwait(false);
        while (Response.Status == 100)
        {
            await ContinueAsync().ConfigureAwait(false);
            await upstream.ReceiveHeadAsync(Response).ConfigureAwait(false);
        }
        if (!mayRepeat) return;
        upstream.Waiting = null;
        lock (_guard)
        {
            // Aborted just as the response arrived: the rest of it would never come.
            if (!_mayRepeat) throw new TransportException(TransportFailure.Aborted, "given up");
            _mayRepeat = false;
        }
    }

    /// <summary>The server wants the body that the client holds back.</summary>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    private async ValueTask ContinueAsync()
    {
        try
        {
            await stream.ContinueAsync().ConfigureAwait(false);
        }
        catch (TransportException)
        {
            lock (_guard) _clientLeft = true;
            throw;
        }
    }

    void IWaiting.OnSuspected(UpstreamStream of)
    {
        lock (_guard)
        {
            if (!_mayRepeat || _upstream != of) return;
            _mayRepeat = false;
            of.Abort();
        }
    }

    void IWaiting.OnClientLeft()
    {
        lock (_guard)
        {
            // A request before this one may have had that client.
            if (!stream.HasClientLeft) return;
            _clientLeft = true;
            _upstream?.Abort();
            _queued?.Leave();
        }
    }

    string IQueueing.Authority => stream.Request.Authority;

    ProxiedConnection? IQueueing.Carried => new(connection.Source, connection.Destination);

    FilterState IQueueing.Passed => Record.State.Shared;

    void IQueueing.OnQueued(QueuedRequest place)
    {
        lock (_guard)
        {
            _queued = place;
            if (_clientLeft || Limits.IsReached) place.Leave();
        }
    }

    /// <summary>Nobody waits for the response any more.</summary>
    public bool HasClientLeft => Volatile.Read(ref _clientLeft);

    /// <summary>Tries hosts until one answers; false when none did: <see cref="End"/> says why.</summary>
    /// <param name="wish">The host to try first.</param>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public async ValueTask<bool> RunAsync(ForwardAct act, ClusterState cluster, RequestBody? body, ulong? hash, HostWish wish)
    {
        List<Host>? tried = null;
        var retries = act.Retry?.Retries ?? 0;
        var (fresh, holdsRetry, goesElsewhere) = (false, false, false);
        try
        {
            for (var attempt = 1; ; attempt++)
            {
                var picked = cluster.Names is { } names ? await names.PickAsync(stream.Request.Authority, parts.Ports, tried).ConfigureAwait(false)
                    : (!goesElsewhere || wish.IsOnly) && !wish.IsFree(cluster, out var wanted) ? wanted
                    : cluster.Pick(tried, hash, connection.DestinationIn(cluster.Config), act.Retry?.LeaveAfter ?? 0);
                if (picked is not { } host)
                {
                    if (attempt == 1) cluster.Counters.FoundNoHost();
                    if (attempt > 1) Record.RetriesExhausted = true;
                    End = AttemptEnd.NoHost;
                    return false;
                }
                Record.Host = host;
                Record.Attempts = attempt;
                var hasOther = attempt <= retries && !wish.IsOnly && cluster.HasOther(host, tried);
                await AttemptAsync(act, cluster, host, body, attempt, fresh, hasOther).ConfigureAwait(false);
                // A slot is held while its retry runs.
                if (holdsRetry) cluster.EndRetry();
                holdsRetry = false;
                // Every request has one retry, which needs no slot, for a kept connection that closed just as it was reused.
                fresh = End is AttemptEnd.Reset or AttemptEnd.Refused && _upstream is { IsReused: true };
                var isRetriable = Limits.Reached is TimeLimit.None or TimeLimit.Try or TimeLimit.UpstreamDuration && !HasClientLeft
                    && body is not { IsIntact: false } && RetryDecision.IsRetriable(act.Retry, End, stream.Request, Response, fresh);
                if (!isRetriable || attempt > Math.Max(retries, fresh ? 1 : 0) || !(fresh || (holdsRetry = cluster.TryBeginRetry()))
                    || body?.TryTakeBack() == false)
                {
                    if ((Record.RetriesExhausted = isRetriable && retries > 0) && attempt > retries) Interlocked.Increment(ref cluster.Counters.RetryLimits);
                    if (End == AttemptEnd.Answered)
                    {
                        if (attempt > 1 && Response.Status < 500) Interlocked.Increment(ref cluster.Counters.RetrySuccesses);
                        return true;
                    }
                    return false;
                }
                Interlocked.Increment(ref cluster.Counters.Retries);
                var end = End;
                await DropAttemptAsync(body).ConfigureAwait(false);
                goesElsewhere |= !fresh;
                // What belongs to a host does not leave it because a connection to it was old.
                var stays = fresh && (hash is not null || wish.Address is not null);
                if (!stays && act.Retry is not { OtherHosts: false }) (tried ??= []).Add(host);
                var pause = fresh
                    ? TimeSpan.Zero
                    : RetryDecision.Pause(act.Retry, end, attempt, !wish.IsOnly && tried is not null && cluster.Hosts.All.Count > tried.Count,
                        parts.Ports.Random);
                if (pause > TimeSpan.Zero) await Task.Delay(pause, parts.Ports.Time).ConfigureAwait(false);
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
        Failure = ResetReason = "";
        Limits.BeginAttempt(parts.Ports.Time);
        host.Begin();
        var tryTimer = act.Retry is { } retry && retry.PerTryTimeout > TimeSpan.Zero
            ? parts.Ports.Time.CreateTimer(static e => ((RequestAttempts)e!).OnTimeout(TimeLimit.Try), this, retry.PerTryTimeout, Timeout.InfiniteTimeSpan)
            : null;
        try
        {
            var patience = hasOther && RetryDecision.IsRetriable(act.Retry, AttemptEnd.ConnectFailed, stream.Request, Response, wasReused: false)
                ? cluster.ShortPatience
                : cluster.Config.ConnectTimeout;
            var opening = act.Connect is { } ends && stream.Request.IsConnect
                ? parts.Upstreams.OpenTcpAsync(cluster, host, ends, patience, this)
                : parts.Upstreams.OpenAsync(cluster, host, stream.Request.Version, _action.AlpnOverride, fresh, patience, this);
            var upstream = await opening.ConfigureAwait(false);
            Attach(upstream);
            Record.UpstreamLocal = upstream.Local;
            Record.UpstreamPeer = upstream.Peer;
            if (_countsAttempts) stream.Request.Headers.Set("x-envoy-attempt-count"u8, HeaderEditing.AttemptText(attempt));
            if (Limits.IsReached) throw new TransportException(TransportFailure.TimedOut, "timeout");
            await upstream.SendHeadAsync(stream.Request).ConfigureAwait(false);
            if (body is null) await upstream.EndAsync(null).ConfigureAwait(false);
            else await body.SendAsync(upstream).ConfigureAwait(false);
            var mayRepeat = hasOther && body is not { IsStreaming: true }
                && RetryDecision.IsRetriable(act.Retry, AttemptEnd.Reset, stream.Request, Response, upstream.IsReused);
            await ReceiveHeadAsync(upstream, mayRepeat).ConfigureAwait(false);
            UpgradeAnswers.Check(stream.Request, Response, isSending: body is { IsPumping: true });
            Record.ResponseAfter = parts.Ports.Time.GetElapsedTime(Record.StartedAt);
            cluster.Answered(host, Response);
            cluster.Counters.Count(Response.Status);
            End = AttemptEnd.Answered;
        }
        catch (OverflowException)
        {
            End = AttemptEnd.Overflow;
            ResetReason = "overflow";
        }
        catch (HttpMessageException e)
        {
            if (e.BlamesHost)
            {
                cluster.Answered(host, 502, new(0, "UPE", e.Detail));
                Interlocked.Increment(ref cluster.Counters.ProtocolErrors);
            }
            (End, ResetReason) = (AttemptEnd.ProtocolError, "protocol error");
            Failure = e.Detail;
        }
        catch (TransportException e)
        {
            SettleFailure(e, cluster, host, body);
        }
        finally
        {
            tryTimer?.Dispose();
            if (End != AttemptEnd.Answered && _upstream is null) host.End();
        }
    }

    private void SettleFailure(TransportException e, ClusterState cluster, Host host, RequestBody? body)
    {
        // A client that breaks off its body ends the exchange with the host: copying stops before anything else notices.
        if (HasClientLeft || body?.Failure is not null)
        {
            // Says nothing about the host.
            End = AttemptEnd.Reset;
            return;
        }
        if (Limits.IsReached)
        {
            End = AttemptEnd.Timeout;
            if (!TimeLimits.BlamesHost(Limits.Reached)) return;
            cluster.Counters.TimedOut(Limits.Reached);
            // A request that never reached the host says nothing about it.
            if (_upstream is null) return;
            Interlocked.Increment(ref host.Counters.Timeouts);
            cluster.Answered(host, 504, new(0, "UT", ""));
            return;
        }
        Failure = UpstreamConnector.Describe(e);
        if (_upstream is null)
        {
            End = AttemptEnd.ConnectFailed;
            ResetReason = e.Failure == TransportFailure.TimedOut ? "connection timeout" : "connection failure";
            return;
        }
        Interlocked.Increment(ref cluster.Counters.Resets);
        if (e.Failure == TransportFailure.Refused)
        {
            (End, ResetReason, Failure) = (AttemptEnd.Refused, "remote refused stream reset", "");
            return;
        }
        if (!_upstream.IsReused) cluster.Answered(host, 502, new(0, "UC", ""));
        (End, ResetReason) = (AttemptEnd.Reset, "connection termination");
        if (e.Failure is TransportFailure.Reset) Failure = "";
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    private async ValueTask DropAttemptAsync(RequestBody? body)
    {
        if (_upstream is not { } upstream) return;
        if (End != AttemptEnd.Answered || !await upstream.TryDrainAsync().ConfigureAwait(false)) upstream.Abort();
        if (body is not null) await body.StopAsync().ConfigureAwait(false);
        Detach();
    }

    /// <summary>Begins with a request: from here on, its time limits count, and it ends when its client leaves.</summary>
    /// <param name="countsAttempts">Each attempt tells the server its number.</param>
    public void Arm(HttpAction action, ForwardAct act, ClusterState cluster, bool countsAttempts)
    {
        (_action, _countsAttempts) = (action, countsAttempts);
        lock (_guard)
        {
            (_upstream, _queued, _clientLeft, _isRelayed) = (null, null, false, false);
            _call = new(_action, connection);
            Limits.Begin(_action, act, cluster.Config.MaxStreamDuration, Record.StartedAt);
        }
        stream.Waiting = this;
    }

    /// <summary>Time limits no longer count.</summary>
    public void Disarm()
    {
        stream.Waiting = null;
        lock (_guard) Limits.End();
    }

    /// <summary>Begins to relay the response; false when a time limit was reached before, and the client gets that as its answer.</summary>
    public bool TryRelay()
    {
        lock (_guard)
        {
            _isRelayed = !Limits.IsReached;
            if (!_isRelayed) End = AttemptEnd.Timeout;
            return _isRelayed;
        }
    }

    void IWaiting.OnSecond()
    {
        lock (_guard)
        {
            if (Limits.Look(stream, parts.Ports.Time) is not TimeLimit.None and var limit) OnTimeout(limit);
            if (_upstream is not null) _call.Look(stream, Record, parts.Report);
        }
    }

    /// <summary>Ends what the request waits for; called on any thread.</summary>
    public void OnTimeout(TimeLimit limit)
    {
        lock (_guard)
        {
            // Asked first, because what follows makes the exchange answer at once, on another thread: that answer must reach the client.
            var hasBegun = _isRelayed || stream.IsResponseStarted;
            Limits.Reach(limit);
            _upstream?.Abort();
            _queued?.Leave();
            // It may wait for a client that does not read.
            if (hasBegun && TimeLimits.EndsStream(limit)) stream.Reset();
        }
    }

    /// <summary>The response is complete. An unfinished request ends with it: nothing would receive the rest of its body.</summary>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    public async ValueTask SettleAsync(RequestBody? body)
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

using System.Collections.Concurrent;
using System.Net;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Messages;

namespace Isthmus.Proxy.Clusters;

/// <summary>The runtime state of a cluster: its hosts, work in progress, failures. Lives as long as its resource stays equal.</summary>
internal sealed class ClusterState
{
    private static readonly TimeSpan LeastAvoidance = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan MostAvoidance = TimeSpan.FromSeconds(10);

    /// <summary>A round trip around the world and a lost packet (sent again after 1 s, RFC 6298) fit in here.</summary>
    private static readonly TimeSpan Impatience = TimeSpan.FromSeconds(2);

    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly OutlierDetector? _outliers;
    private readonly Warmup? _warmup;
    private readonly RecentRequests? _recent;
    private readonly ConcurrentDictionary<EndPoint, Host>? _destinations; // Null unless clients or names decide on the hosts.
    private volatile HostSet _hosts = HostSet.Empty;
    private readonly Lock _updating = new();   // one change of the hosts at a time: guards _given
    private LoadAssignment _assignment = LoadAssignment.Empty;
    private LoadAssignment _given = LoadAssignment.Empty;
    private OwnZones? _own;   // guarded by _updating
    private long _impairedUntil;
    private volatile bool _hasDoubted;

    /// <param name="before">The state of an earlier resource of this name, which may still be in use; null if there is none.</param>
    public ClusterState(ClusterSnapshot config, TimeProvider time, Random random, ClusterState? before = null)
    {
        Config = config;
        Counters = before?.Counters ?? new();
        _time = time;
        _random = random;
        if (config.Kind is ClusterKind.OriginalDst or ClusterKind.Dynamic) _destinations = new();
        _warmup = config.SlowStart is null ? null : new Warmup(config.SlowStart, time);
        _outliers = config.Outlier is null ? null : new OutlierDetector(config.Outlier, time, Counters);
        if (config.Limits.Budget is { Interval.Ticks: > 0 } budget) _recent = new(budget.Interval, time);
        if (config.HealthCheck is { } check) Health = new(this, check);
        if (config.Dynamic is { } dynamic) Names = new(this, dynamic, time);
        if (config.Inline is not null) Update(config.Inline);
    }

    public ClusterSnapshot Config { get; }

    /// <summary>As in Envoy, they go on when the resource changes.</summary>
    public ClusterCounters Counters { get; }

    /// <summary>What counts against the limits.</summary>
    public ClusterUse Use { get; } = new();

    /// <summary>Chooses hosts by the names that requests bring along; null: hosts do not depend on them.</summary>
    public DynamicNames? Names { get; }

    /// <summary>What active health checks say about the hosts; null if there are none.</summary>
    public ActiveHealth? Health { get; }

    public HostSet Hosts => _hosts;

    public LoadAssignment Assignment => _assignment;

    public long EjectedHosts
    {
        get
        {
            var now = _time.GetTimestamp();
            return _outliers is null ? 0 : _hosts.All.Count(host => host.IsEjected(now));
        }
    }

    public long HealthyHosts
    {
        get
        {
            var now = _time.GetTimestamp();
            return _hosts.All.Count(host => host.IsHealthy(now));
        }
    }

    /// <summary>Every host, including original destinations.</summary>
    public IEnumerable<Host> AllHosts => _destinations?.Values ?? (IEnumerable<Host>)_hosts.All;

    /// <summary>Applies new endpoints: remaining hosts keep their state, removed hosts get no new work.</summary>
    public void Update(LoadAssignment assignment)
    {
        lock (_updating)
        {
            _given = assignment;
            Arrange();
        }
    }

    /// <summary>Where this workload and its like are; null if unknown.</summary>
    public void Place(OwnZones? own)
    {
        lock (_updating)
        {
            _own = own;
            Arrange();
        }
    }

    /// <summary>A host has failed the checks that alone kept it.</summary>
    public void Review()
    {
        lock (_updating) Arrange();
    }

    private void Arrange()
    {
        var known = new Dictionary<(string, ValueMap<string>), Host>();
        foreach (var host in _hosts.All) known.TryAdd(Key(host.Endpoint), host);
        foreach (var host in _hosts.All) host.IsLeaving = false;
        var assignment = Health is null ? _given : Health.Keep(_given, _assignment, endpoint => known.GetValueOrDefault(Key(endpoint)));
        var kept = new HashSet<Host>();
        var (now, joined, warms) = (_time.GetTimestamp(), false, false);
        var localities = new List<(LocalityEndpoints, IReadOnlyList<Host>)>();
        foreach (var locality in assignment.Localities)
        {
            var hosts = new List<Host>();
            foreach (var endpoint in locality.Endpoints)
            {
                var isChecked = Health is not null && ActiveHealth.Covers(endpoint);
                if (known.TryGetValue(Key(endpoint), out var host) && (host.Check is not null) == isChecked)
                {
                    // What was not ready until now has served nothing yet.
                    if (endpoint.Health == EndpointHealth.Healthy && host.Endpoint.Health != EndpointHealth.Healthy) (host.JoinedAt, warms) = (now, true);
                    host.Endpoint = endpoint;
                }
                else
                {
                    known[Key(endpoint)] = host = new Host(endpoint) { JoinedAt = now, Check = isChecked ? Health!.Join(_hosts) : null };
                    joined = true;
                }
                kept.Add(host);
                hosts.Add(host);
            }
            localities.Add((locality, hosts));
        }
        if (joined || warms) _warmup?.Begin(now);
        var old = _hosts;
        _assignment = assignment;
        var arranged = new HostSet(localities, Config.WeightLocalities, Config.Hashing, _warmup,
            _own is { } own && Config.Zones is { } zones ? (zones, own) : null);
        if (Health is null) _hosts = arranged;
        else Health.Move(() => _hosts = arranged);
        var left = false;
        foreach (var host in old.All)
        {
            if (kept.Contains(host)) continue;
            host.Remove();
            left = true;
        }
        if (joined || left) Interlocked.Increment(ref Counters.MembershipChanges);
    }

    /// <summary>Chooses a host for a request; null when none is usable.</summary>
    /// <param name="destination">Where the client wanted to go; only original-destination clusters use it.</param>
    /// <param name="leaveAfter">After so many tried hosts, those of other priorities come first; 0: never.</param>
    public Host? Pick(IReadOnlyList<Host>? tried, ulong? hash, EndPoint? destination, int leaveAfter = 0)
    {
        var now = _time.GetTimestamp();
        if (Config.Kind != ClusterKind.OriginalDst)
            return _hosts.Pick(new(now, tried, hash) { LeaveAfter = leaveAfter }, Config.Policy, _random,
                _hasDoubted || Health is { HasFailed: true } ? long.MaxValue : Volatile.Read(ref _impairedUntil), Config.PanicThreshold);
        return destination is null ? null : At(destination);
    }

    /// <summary>The host with that address; null if it has none, or one that should get no requests.</summary>
    public Host? Healthy(IPEndPoint address)
    {
        var now = _time.GetTimestamp();
        foreach (var host in _hosts.All)
            if (host.IsHealthy(now) && host.Address.Equals(address)) return host;
        return null;
    }

    /// <summary>The host at an address of the cluster.</summary>
    internal Host At(EndPoint destination) =>
        _destinations!.GetOrAdd(destination, static d => new Host(new Endpoint(d, 1, EndpointHealth.Healthy, ValueMap<string>.Empty, Workload.Unknown, false)));

    /// <summary>
    /// How long to wait for a connection to a host when a request may go elsewhere: a broken network drops packets without
    /// an error, and waiting for the whole connect timeout loses the callers that give up earlier.
    /// </summary>
    public TimeSpan ShortPatience => Config.ConnectTimeout < Impatience ? Config.ConnectTimeout : Impatience;

    /// <summary>Another host is available when this one does not answer.</summary>
    public bool HasOther(Host host, IReadOnlyList<Host>? tried)
    {
        var now = _time.GetTimestamp();
        foreach (var other in _hosts.All)
            if (other != host && other.IsHealthy(now) && !other.IsAvoided(now) && tried?.Contains(other) != true) return true;
        return false;
    }

    /// <summary>Reserves a request slot of the cluster; false when the circuit breaker is open.</summary>
    /// <param name="canQueue">The request uses a connection alone and can wait for it. A limit that no number of connections can reach does
    /// not apply to those that wait.</param>
    public bool TryBeginRequest(bool canQueue)
    {
        var limits = Config.Limits;
        if (Interlocked.Increment(ref Use.ActiveRequests) <= limits.Requests || (canQueue && limits.Connections <= limits.Requests)) return true;
        Interlocked.Decrement(ref Use.ActiveRequests);
        Counters.Refused(ref Counters.PendingOverflows);
        return false;
    }

    public void EndRequest()
    {
        Interlocked.Decrement(ref Use.ActiveRequests);
        _recent?.Add();
    }

    /// <summary>Reserves a place for a request that has no connection yet; false when the circuit breaker is open.</summary>
    public bool TryBeginPending()
    {
        if (Interlocked.Increment(ref Use.PendingRequests) <= Config.Limits.Pending)
        {
            Interlocked.Increment(ref Counters.PendingTotal);
            return true;
        }
        Interlocked.Decrement(ref Use.PendingRequests);
        Counters.Refused(ref Counters.PendingOverflows);
        return false;
    }

    public void EndPending() => Interlocked.Decrement(ref Use.PendingRequests);

    /// <summary>Reserves a connection slot of the cluster; false when the circuit breaker is open.</summary>
    public bool TryBeginConnection()
    {
        if (TryTakeConnection(isFirst: false)) return true;
        Counters.Refused(ref Counters.ConnectionOverflows);
        return false;
    }

    /// <summary>As <see cref="TryBeginConnection"/>, but counts no overflow.</summary>
    /// <param name="isFirst">Reserves the slot even beyond the limit.</param>
    public bool TryTakeConnection(bool isFirst)
    {
        if (Interlocked.Increment(ref Use.ActiveConnections) <= Config.Limits.Connections || isFirst) return true;
        Interlocked.Decrement(ref Use.ActiveConnections);
        return false;
    }

    public void EndConnection() => Interlocked.Decrement(ref Use.ActiveConnections);

    /// <summary>Reserves a slot for a retry, until the retry is settled; false when the circuit breaker is open.</summary>
    public bool TryBeginRetry()
    {
        var most = Config.Limits.Budget is { } budget
            ? Math.Max((long)(budget.Percent / 100 * (Volatile.Read(ref Use.ActiveRequests) + (_recent?.Count ?? 0))), budget.Least)
            : Config.Limits.Retries;
        if (Interlocked.Increment(ref Use.ActiveRetries) <= most) return true;
        Interlocked.Decrement(ref Use.ActiveRetries);
        Interlocked.Increment(ref Counters.RetryOverflows);
        return false;
    }

    public void EndRetry() => Interlocked.Decrement(ref Use.ActiveRetries);

    /// <summary>
    /// Records that a host could not be reached. Others are preferred for a while, longer if the failure took long: a refusal costs
    /// little to hit again, a timeout costs its caller seconds.
    /// </summary>
    /// <param name="reason">Envoy's text for why it failed.</param>
    public void ConnectFailed(Host host, TimeSpan took, string reason)
    {
        host.Fail(new(0, "UF", reason), _time.GetTimestamp());
        Interlocked.Increment(ref Counters.ConnectFailures);
        Interlocked.Increment(ref host.Counters.ConnectFailures);
        var avoidance = took * 2;
        if (avoidance < LeastAvoidance) avoidance = LeastAvoidance;
        if (avoidance > MostAvoidance) avoidance = MostAvoidance;
        var until = _time.GetTimestamp() + (long)(avoidance.TotalSeconds * _time.TimestampFrequency);
        host.Avoid(until);
        Impair(until);
        Doubt(host);
        if (_outliers is not null) Impair(_outliers.Report(host, AttemptResult.ConnectFailed, _hosts.All));
    }

    /// <summary>
    /// A host no longer acknowledges what is sent to it. Its idle connections may be as dead as the one that revealed it, and
    /// new requests go elsewhere until a probe connection has reached the host.
    /// </summary>
    public void Suspect(Host host)
    {
        host.Kept?.CloseIdle();
        Doubt(host);
    }

    private void Doubt(Host host)
    {
        if (_hosts.All.Count < 2) return;
        host.Doubt();
        _hasDoubted = true;
    }

    /// <summary>
    /// The hosts in doubt whose avoidance and ejection have expired. Each is returned once: it is avoided until its probe is answered.
    /// </summary>
    public IReadOnlyList<Host> TakeDoubted()
    {
        if (!_hasDoubted) return [];
        // Cleared before the scan, so that a doubt that arises meanwhile is not lost.
        _hasDoubted = false;
        var doubted = _hosts.All.Where(host => host.IsDoubted).ToList();
        if (doubted.Count == 0) return [];
        _hasDoubted = true;
        var now = _time.GetTimestamp();
        var due = doubted.Where(host => !host.IsResting(now) && !host.IsEjected(now)).ToList();
        var until = now + (long)((Config.ConnectTimeout + LeastAvoidance).TotalSeconds * _time.TimestampFrequency);
        foreach (var host in due) host.Avoid(until);
        return due;
    }

    /// <summary>Records the status of a response, or 0 for a connection that did not carry HTTP.</summary>
    /// <param name="failure">How the call ended where the status stands for that; null: with a response.</param>
    public void Answered(Host host, int status, HostFailure? failure = null)
    {
        // Responses through a gateway come from the services behind it.
        if (status >= 500 && (failure is not null || !host.Endpoint.IsGateway)) host.Fail(failure ?? new(status, "", ""), _time.GetTimestamp());
        else if (status < 500) host.Serve();
        Interlocked.Increment(ref host.Counters.Requests);
        if (status >= 500) Interlocked.Increment(ref host.Counters.Errors);
        else Interlocked.Increment(ref host.Counters.Successes);
        if (_outliers is null) return;
        var result = status switch { 502 or 503 or 504 => AttemptResult.GatewayError, >= 500 => AttemptResult.ServerError, _ => AttemptResult.Success };
        Impair(_outliers.Report(host, result, _hosts.All));
    }

    /// <summary>A host has passed a health check: like in Envoy, its ejection ends.</summary>
    public void Passed(Host host)
    {
        if (_outliers is not null && Config.Outlier is { ReturnsByCheck: true }) _outliers.Return(host);
    }

    /// <summary>Records a response, which may say that its host wants no more requests. What comes through a gateway says nothing about the gateway.</summary>
    public void Answered(Host host, ResponseHead response)
    {
        if (Health is not null && !host.Endpoint.IsGateway && response.Headers.Contains("x-envoy-immediate-health-check-fail"u8))
            Health.Record(host, new(CheckOutcome.Passive, ""));
        Answered(host, response.Status);
    }

    /// <summary>Closes connections that were idle for too long and forgets unused original destinations.</summary>
    public void Sweep()
    {
        foreach (var host in AllHosts) host.Kept?.Sweep(_time, Config.IdleTimeout);
        if (_destinations is null) return;
        foreach (var (address, host) in _destinations)
            if (host.Active == 0 && host.Connections == 0) _destinations.TryRemove(new(address, host));
    }

    /// <summary>The cluster was removed or replaced: idle connections close, busy ones finish.</summary>
    public void Retire()
    {
        foreach (var host in AllHosts) host.Remove();
    }

    private void Impair(long until)
    {
        long seen;
        while ((seen = Volatile.Read(ref _impairedUntil)) < until)
            if (Interlocked.CompareExchange(ref _impairedUntil, until, seen) == seen) return;
    }

    internal static (string, ValueMap<string>) Key(Endpoint endpoint) => (endpoint.AddressText, endpoint.TransportMatch);
}

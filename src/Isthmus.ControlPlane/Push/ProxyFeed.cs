using Isthmus.Graph.Metrics;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Losses;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Overflows;
using Isthmus.Mesh.Spoken;
using Isthmus.Wire.Reports;
using Isthmus.Wire.Xds;

namespace Isthmus.ControlPlane.Push;

/// <summary>What was sent to a proxy for one resource type, and how it responded.</summary>
/// <param name="Acked">The last nonce that it accepted; equal to <paramref name="Sent"/> when it is in sync.</param>
/// <param name="Error">Why it rejects resources; empty when it does not.</param>
public sealed record TypeSync(string TypeUrl, string Sent, string Acked, string Version, string Error, DateTimeOffset SentAt, DateTimeOffset AckedAt);

/// <summary>How far a proxy follows what it is offered.</summary>
public enum SyncState
{
    /// <summary>It has accepted the newest configuration.</summary>
    Synced,

    /// <summary>The newest configuration was not sent, or not accepted, yet.</summary>
    Stale,

    /// <summary>It rejects a part.</summary>
    Rejected,
}

/// <summary>A connected proxy, for proxy-status.</summary>
public sealed record ProxyStatus(ProxyIdentity Proxy, DateTimeOffset Since, IReadOnlyList<TypeSync> Types);

/// <summary>One proxy's stream: holds only the newest snapshot, so that a slow proxy skips older ones and never delays others.</summary>
public sealed class ProxyFeed : IXdsFeed
{
    private readonly Lock _guard = new(); // Guards the fields below.
    private readonly List<TypeProgress> _types = []; // few
    private readonly Action<ProxyFeed> _left;
    private readonly TimeProvider _time;
    private readonly ControlMetrics? _metrics;
    private XdsSnapshot? _snapshot;
    private XdsSnapshot? _taken; // the newest that its stream has sent
    private DateTimeOffset? _changedAt; // the first change that the proxy may lack
    private DateTimeOffset? _offeredAt; // since when something waits for the stream
    private readonly Queue<string> _unwritten = new(); // the types of responses that are being written
    private (ValueList<string> Gateways, ValueList<Problem> Problems) _served;
    private Problem? _unproven;
    private ValueList<LostTelemetry> _losses;
    private ValueList<SpokenOnPort> _spoken;
    private ValueList<RefusedCalls> _refused;
    private Action? _tell; // the stream, once it follows

    internal ProxyFeed(ProxyIdentity proxy, TimeProvider time, Action<ProxyFeed> left, ControlMetrics? metrics = null)
    {
        (Proxy, _time, _left, _metrics) = (proxy, time, left, metrics);
        Since = time.GetUtcNow();
    }

    public ProxyIdentity Proxy { get; }

    public DateTimeOffset Since { get; }

    /// <summary>The newest snapshot; null before the first.</summary>
    public XdsSnapshot? Snapshot
    {
        get { lock (_guard) return _snapshot; }
    }

    /// <summary>What the proxy asks for and cannot get: certificates of a gateway's servers, or to be a gateway.</summary>
    public IEnumerable<Problem> Problems => Unproven is { } problem ? [problem] : Served.Problems;

    /// <summary>The resources that the proxy refuses, and what that holds back.</summary>
    public IEnumerable<Problem> Refusals => Status.Types.Where(type => type.Error.Length > 0).Select(type => Refusal.Of(Proxy, type));

    /// <summary>The types of which the proxy refuses resources.</summary>
    internal IEnumerable<(string TypeUrl, string Node)> RejectedTypes =>
        Status.Types.Where(type => type.Error.Length > 0).Select(type => (type.TypeUrl, Proxy.Id));

    /// <summary>The Gateways with certificates that the proxy serves, and which of these it lacks.</summary>
    internal (ValueList<string> Gateways, ValueList<Problem> Problems) Served
    {
        get { lock (_guard) return _served; }
        set { lock (_guard) _served = value; }
    }

    /// <summary>Why what the proxy says of itself does not count; null: it does.</summary>
    internal Problem? Unproven
    {
        get { lock (_guard) return _unproven; }
        set { lock (_guard) _unproven = value; }
    }

    /// <summary>The telemetry that the proxy loses at present, as it says.</summary>
    internal ValueList<LostTelemetry> Losses
    {
        get { lock (_guard) return _losses; }
    }

    /// <summary>What clients lately spoke on ports of the proxy's application where it was not expected, as it says.</summary>
    internal ValueList<SpokenOnPort> Spoken
    {
        get { lock (_guard) return _spoken; }
    }

    /// <summary>What the limits of the proxy's clusters lately refused, as it says.</summary>
    internal ValueList<RefusedCalls> Refused
    {
        get { lock (_guard) return _refused; }
    }

    /// <summary>Called when <see cref="Losses"/> change.</summary>
    internal Action? LossesChanged { get; init; }

    /// <summary>Whether the proxy has everything that it was offered.</summary>
    public SyncState Sync
    {
        get
        {
            lock (_guard)
            {
                return _types.Exists(static type => type.Error.Length > 0) ? SyncState.Rejected
                    : _snapshot is not null && ReferenceEquals(_taken, _snapshot) && IsInSync ? SyncState.Synced : SyncState.Stale;
            }
        }
    }

    /// <summary>What the publisher shares with proxies of the same scope; used on its thread only.</summary>
    internal PublishedProxy? Published { get; set; }

    public ProxyStatus Status
    {
        get
        {
            lock (_guard)
            {
                var hosts = _types.Find(static type => type.TypeUrl == TypeUrls.VirtualHost)?.Sync;
                return new(Proxy, Since, [.. _types.Where(static type => type.TypeUrl != TypeUrls.VirtualHost).OrderBy(type => TypeUrls.Rank(type.TypeUrl))
                    .Select(type => hosts is not null && type.TypeUrl == TypeUrls.Route ? Tables(type.Sync, hosts) : type.Sync)]);
            }
        }
    }

    /// <summary>Route tables and their virtual hosts are one: as far as that of both which is behind, or else changed last.</summary>
    private static TypeSync Tables(TypeSync tables, TypeSync hosts)
    {
        var isBehind = (tables.Sent != tables.Acked, hosts.Sent != hosts.Acked);
        var shown = isBehind is (true, false) || (isBehind is not (false, true) && tables.SentAt > hosts.SentAt) ? tables : hosts;
        string[] errors = [tables.Error, hosts.Error];
        return shown with { TypeUrl = TypeUrls.Route, Error = string.Join("; ", errors.Where(error => error.Length > 0).Distinct()) };
    }

    /// <param name="snapshot">The newest.</param>
    /// <param name="changedAt">When the first change happened that it contains; null if unknown.</param>
    internal void Offer(XdsSnapshot snapshot, DateTimeOffset? changedAt = null)
    {
        Action? tell;
        lock (_guard)
        {
            // A change that concerned nothing that the proxy subscribes to is over.
            _changedAt = IsInSync ? changedAt : _changedAt ?? changedAt;
            _snapshot = snapshot;
            _offeredAt ??= _time.GetUtcNow();
            tell = _tell;
        }
        tell?.Invoke();
    }

    public void Follow(Action offered)
    {
        lock (_guard)
        {
            _tell = offered;
            if (_snapshot is null) return;
        }
        offered();
    }

    public XdsSnapshot? Newer(XdsSnapshot? last)
    {
        lock (_guard)
        {
            if (_snapshot is not { } snapshot || ReferenceEquals(snapshot, last)) return null;
            if (_offeredAt is { } offeredAt) _metrics?.Taken(_time.GetUtcNow() - offeredAt);
            _offeredAt = null;
            return snapshot;
        }
    }

    public void Took(XdsSnapshot snapshot)
    {
        lock (_guard) _taken = snapshot;
    }

    public void Observe(XdsEvent happened)
    {
        var now = _time.GetUtcNow();
        _metrics?.Count(happened);
        lock (_guard)
        {
            ProgressOf(happened.TypeUrl).Observe(happened, now);
            if (happened.Kind == XdsEventKind.Sent) _unwritten.Enqueue(happened.TypeUrl);
            if (happened.Kind == XdsEventKind.Rejected) _changedAt = null;
            if (happened.Kind != XdsEventKind.Acknowledged || _changedAt is not { } changedAt || !IsInSync) return;
            _metrics?.Converged(now - changedAt);
            _changedAt = null;
        }
    }

    public void Written(TimeSpan making, TimeSpan writing)
    {
        string type;
        lock (_guard) type = _unwritten.Dequeue();
        _metrics?.Written(type, making, writing);
    }

    public void Reported(TelemetryReport report)
    {
        var (losses, spoken, refused) = (LostTelemetry.Of(report), SpokenOnPort.Of(report), RefusedCalls.Of(report));
        lock (_guard)
        {
            (_spoken, _refused) = (spoken, refused);
            if (_losses == losses) return;
            _losses = losses;
        }
        LossesChanged?.Invoke();
    }

    /// <summary>The proxy has accepted everything that was sent. Only under the guard.</summary>
    private bool IsInSync => _types.TrueForAll(static type => type.IsAccepted);

    /// <summary>Only under the guard.</summary>
    private TypeProgress ProgressOf(string typeUrl)
    {
        foreach (var type in _types)
            if (type.TypeUrl == typeUrl) return type;
        var made = new TypeProgress(typeUrl);
        _types.Add(made);
        return made;
    }

    /// <summary>A <see cref="TypeSync"/> while it changes: every change of the mesh goes by here twice for each proxy.</summary>
    private sealed class TypeProgress(string typeUrl)
    {
        private string _sent = "", _acked = "", _version = "";
        private DateTimeOffset _sentAt, _ackedAt;

        public string TypeUrl => typeUrl;

        public string Error { get; private set; } = "";

        /// <summary>Nothing was sent after what was accepted last.</summary>
        public bool IsAccepted { get; private set; } = true;

        public TypeSync Sync => new(typeUrl, _sent, _acked, _version, Error, _sentAt, _ackedAt);

        public void Observe(XdsEvent happened, DateTimeOffset now)
        {
            switch (happened.Kind)
            {
                case XdsEventKind.Sent:
                    (_sent, _version, _sentAt, IsAccepted) = (happened.Nonce, happened.Version, now, false);
                    break;
                case XdsEventKind.Acknowledged:
                    (_acked, Error, _ackedAt) = (happened.Nonce, happened.Detail, now);
                    IsAccepted = _sent == _acked;
                    break;
                case XdsEventKind.Rejected or XdsEventKind.Withdrawn:
                    Error = happened.Detail;
                    break;
            }
        }
    }

    public ValueTask DisposeAsync()
    {
        _left(this);
        return ValueTask.CompletedTask;
    }
}

using System.Collections.Concurrent;
using Isthmus.Core.Identity;
using Isthmus.Proxy.Clusters;

namespace Isthmus.Proxy.Telemetry;

/// <summary>The labels of Istio's standard metrics that both request and TCP metrics have, in the order in which they are
/// written.</summary>
internal sealed record MeshLabels(IReadOnlyList<KeyValuePair<string, string>> Pairs)
{
    private string? _text;

    /// <summary>Those of the series that counts what no other does.</summary>
    public MeshLabels AllOverflow => new([.. Pairs.Select(label => label.Key == "reporter" ? label : KeyValuePair.Create(label.Key, PeerClaims.Overflow))]);

    /// <summary>As Prometheus reads them.</summary>
    public string Text => _text ??= Join(Pairs);

    public static string Join(IEnumerable<KeyValuePair<string, string>> labels) =>
        string.Join(',', labels.Select(label => $"{label.Key}=\"{Escape(label.Value)}\""));

    public static string Escape(string value) =>
        value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
}

/// <summary>The counters of one set of labels.</summary>
internal sealed class MeshCounts(MeshLabels labels, MetricRules? rules, TagValues? tags, HistogramBuckets buckets)
{
    public MeshLabels Labels { get; } = labels;

    /// <summary>The labels of one metric; null if it is dropped.</summary>
    public IEnumerable<KeyValuePair<string, string>>? LabelsOf(string metric) => rules is null ? Labels.Pairs : rules.Labels(metric, Labels.Pairs, tags);

    /// <summary>The same, as Prometheus reads them.</summary>
    public string? TextOf(string metric) => rules is null ? Labels.Text : LabelsOf(metric) is { } labels ? MeshLabels.Join(labels) : null;

    public long Requests;
    public long Opened;
    public long Closed;
    public long ReceivedBytes;
    public long SentBytes;
    public long RequestMessages;
    public long ResponseMessages;

    public Histogram Duration { get; } = new(buckets.Duration);

    public Histogram RequestBytes { get; } = new(buckets.RequestBytes);

    public Histogram ResponseBytes { get; } = new(buckets.ResponseBytes);
}

/// <summary>Istio's standard metrics (<c>istio_requests_total</c> and its siblings) of this proxy.</summary>
/// <param name="buckets">Of histograms; null: Envoy's.</param>
internal sealed class MeshMetrics(ProxyIdentity identity, HistogramBuckets? buckets = null)
{
    private const string Unknown = "unknown";

    private const int Codes = 17;

    private static readonly string[] GrpcTexts = [.. Enumerable.Range(0, Codes)
        .Select(code => code.ToString(System.Globalization.CultureInfo.InvariantCulture))];

    /// <summary>Peers choose what they tell of themselves, and clients most of what tags have: with more series than that, new ones no longer depend on
    /// it.</summary>
    internal const int MostToldSeries = 2_000;

    /// <summary>With more than that, all that is new is counted in one series.</summary>
    internal const int MostSeries = 10_000;

    private const int MostKeyChars = 8 * 1024 * 1024, CharsOfKey = 256;

    /// <summary>What determines the labels, cheap to compare: most are references to long-lived objects.</summary>
    internal readonly record struct Key(
        ClusterState? Cluster, string ClusterName, Endpoint? Endpoint, Direction Direction, string Peer, string PeerMetadata, string UpstreamPeer,
        int Status, EndReason Reason, bool Exhausted, string Grpc, int Version, MetricRules? Rules = null, TagValues? Tags = null)
    {
        /// <summary>What it takes to keep it.</summary>
        public int Size => CharsOfKey + ClusterName.Length + PeerMetadata.Length + (Tags?.Length ?? 0);

        /// <summary>Whether it depends on what a peer or a client chooses.</summary>
        public bool IsTold => PeerMetadata.Length > 0 || Tags is not null;
    }

    // Not a value of the field.
    private const string TooMuch = "-";

    private readonly Family _http = new(), _calls = new(), _tcp = new();
    private readonly HistogramBuckets _buckets = buckets ?? HistogramBuckets.Default;
    private readonly PeerClaims _claims = new();
    private int _series, _told;
    private long _overflows;

    /// <summary>All metrics, and what they mean.</summary>
    public static IReadOnlyList<(string Name, string Type, string Meaning)> All { get; } =
    [
        ("istio_requests_total", "counter", "Requests that have ended."),
        ("istio_request_duration_milliseconds", "histogram", "How long requests took, from the first byte of the request to the last of the response."),
        ("istio_request_bytes", "histogram", "Sizes of the bodies of requests."),
        ("istio_response_bytes", "histogram", "Sizes of the bodies of responses."),
        ("istio_request_messages_total", "counter",
            "Messages of gRPC that clients sent, on ports whose protocol is `GRPC`; those of an open call count within 5 seconds."),
        ("istio_response_messages_total", "counter",
            "Messages of gRPC that servers sent, on ports whose protocol is `GRPC`; those of an open call count within 5 seconds."),
        ("istio_tcp_connections_opened_total", "counter", "TCP connections that were opened; an open connection counts within 5 seconds."),
        ("istio_tcp_connections_closed_total", "counter", "TCP connections that were closed."),
        ("istio_tcp_received_bytes_total", "counter", "Bytes that clients sent over TCP connections."),
        ("istio_tcp_sent_bytes_total", "counter", "Bytes that servers sent over TCP connections."),
    ];

    /// <summary>The names of all metrics.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. All.Select(metric => metric.Name)];

    /// <summary>How often there were too many series to tell what a peer says of itself, the values of tags, or anything.</summary>
    public long Overflows => Interlocked.Read(ref _overflows);

    public IEnumerable<MeshCounts> Http => _http.All.Values;

    /// <summary>The messages of gRPC calls.</summary>
    public IEnumerable<MeshCounts> Calls => _calls.All.Values;

    public IEnumerable<MeshCounts> Tcp => _tcp.All.Values;

    /// <param name="direction">Of the listener.</param>
    /// <param name="r">The request.</param>
    /// <param name="rules">How its metrics differ from the standard ones; null if they do not.</param>
    public void Request(Direction direction, TrafficRecord r, MetricRules? rules = null)
    {
        if (rules is { DropsAll: true }) return;
        var key = KeyOf(direction, r, GrpcText(r));
        if (rules is not null) key = key with { Rules = rules, Tags = rules.Evaluate(r, r.CountsKey.Tags) };
        // The requests of a connection are mostly alike: hashing all these strings for each would cost more than the rest.
        if (r.Counts is null || r.CountsKey != key) (r.CountsKey, r.Counts) = (key, Find(_http, key, r));
        var counts = r.Counts;
        Interlocked.Increment(ref counts.Requests);
        counts.Duration.Add(r.Duration.TotalMilliseconds);
        counts.RequestBytes.Add(r.BytesReceived);
        counts.ResponseBytes.Add(r.BytesSent);
        if (r.RequestMessages > 0 || r.ResponseMessages > 0) Messages(key, r);
    }

    /// <summary>Counts the messages of a gRPC call that are new since the last time.</summary>
    /// <param name="direction">Of the listener.</param>
    /// <param name="r">The request, which goes on.</param>
    /// <param name="rules">How its metrics differ from the standard ones; null if they do not.</param>
    public void Messages(Direction direction, TrafficRecord r, MetricRules? rules)
    {
        if (rules is { DropsAll: true }) return;
        var key = KeyOf(direction, r, "");
        if (rules is not null) key = key with { Rules = rules, Tags = rules.Evaluate(r, r.CallKey.Tags) };
        Messages(key, r);
    }

    // How the call ends must not matter: all messages of a call belong to the same series.
    private void Messages(Key key, TrafficRecord r)
    {
        key = key with { Status = 0, Reason = EndReason.Completed, Exhausted = false, Grpc = "" };
        if (r.CallCounts is null || r.CallKey != key) (r.CallKey, r.CallCounts) = (key, Find(_calls, key, r));
        var counts = r.CallCounts;
        Interlocked.Add(ref counts.RequestMessages, r.RequestMessages - r.Counted.Received);
        Interlocked.Add(ref counts.ResponseMessages, r.ResponseMessages - r.Counted.Sent);
        r.Counted = new(true, r.RequestMessages, r.ResponseMessages);
    }

    private static string GrpcText(TrafficRecord r) =>
        r.GrpcStatus is { } code ? code is >= 0 and < Codes ? GrpcTexts[code] : code.ToString(System.Globalization.CultureInfo.InvariantCulture) : "";

    /// <summary>Counts what is new since the last time.</summary>
    /// <param name="direction">Of the listener.</param>
    /// <param name="r">The connection.</param>
    /// <param name="rules">How its metrics differ from the standard ones; null if they do not.</param>
    /// <param name="isOpen">It goes on, and will be counted again.</param>
    public void Connection(Direction direction, TrafficRecord r, MetricRules? rules = null, bool isOpen = false)
    {
        if (rules is { DropsAll: true }) return;
        var key = KeyOf(direction, r, "");
        if (rules is not null) key = key with { Rules = rules, Tags = rules.Evaluate(r, null) };
        var counts = Find(_tcp, key, r);
        if (!r.Counted.Opened) Interlocked.Increment(ref counts.Opened);
        Interlocked.Add(ref counts.ReceivedBytes, r.BytesReceived - r.Counted.Received);
        Interlocked.Add(ref counts.SentBytes, r.BytesSent - r.Counted.Sent);
        // Last, so that whoever reads that it is closed reads all of its bytes.
        if (!isOpen) Interlocked.Increment(ref counts.Closed);
        r.Counted = new(true, r.BytesReceived, r.BytesSent);
    }

    /// <summary>Pods come and go, and with them endpoints and what peers say: keys are many more than series, and only a cache.</summary>
    private sealed class Family
    {
        private readonly ConcurrentDictionary<Key, MeshCounts> _known = new();
        private readonly ConcurrentDictionary<Key, MeshLabels> _labels = new();
        private int _cached;

        public ConcurrentDictionary<(string Labels, MetricRules? Rules, TagValues? Tags), MeshCounts> All { get; } = new();

        public MeshCounts? Find(Key key) => _known.GetValueOrDefault(key);

        public MeshLabels? LabelsOf(Key key) => _labels.GetValueOrDefault(key);

        public void Keep(Key key, MeshCounts counts) => Keep(_known, key, counts);

        public void Keep(Key key, MeshLabels labels) => Keep(_labels, key, labels);

        private void Keep<T>(ConcurrentDictionary<Key, T> cache, Key key, T value)
        {
            if (Interlocked.Add(ref _cached, key.Size) > MostKeyChars)
            {
                Volatile.Write(ref _cached, 0);
                _known.Clear();
                _labels.Clear();
            }
            cache[key] = value;
        }
    }

    private MeshCounts Find(Family family, Key key, TrafficRecord r)
    {
        if (family.Find(key) is { } known) return known;
        if (IsNew(family, key, r, out var labels))
        {
            var isFull = Volatile.Read(ref _series) >= MostSeries;
            if (isFull || (key.IsTold && Volatile.Read(ref _told) >= MostToldSeries))
            {
                Interlocked.Increment(ref _overflows);
                key = key with { PeerMetadata = key.PeerMetadata.Length > 0 ? TooMuch : "", Tags = null };
                if (family.Find(key) is { } reduced) return reduced;
                if (IsNew(family, key, r, out labels) && isFull)
                    (key, labels) = (new(null, "", null, key.Direction, "", "", "", 0, EndReason.Completed, false, "", 0), labels.AllOverflow);
            }
        }
        var counts = family.All.GetOrAdd((labels.Text, key.Rules, key.Tags), static (of, s) =>
        {
            Interlocked.Increment(ref s.Self._series);
            if (s.IsTold) Interlocked.Increment(ref s.Self._told);
            return new(s.Labels, of.Rules, of.Tags, s.Self._buckets);
        }, (Self: this, Labels: labels, key.IsTold));
        family.Keep(key, counts);
        return counts;
    }

    private bool IsNew(Family family, Key key, TrafficRecord r, out MeshLabels labels)
    {
        labels = Labels(family, key, r);
        return !family.All.ContainsKey((labels.Text, key.Rules, key.Tags));
    }

    /// <summary>Tags are not part of them: they may be others with each request.</summary>
    private MeshLabels Labels(Family family, Key key, TrafficRecord r)
    {
        key = key with { Rules = null, Tags = null };
        if (family.LabelsOf(key) is { } known) return known;
        var labels = Labels(key, r, ReferenceEquals(family, _calls));
        family.Keep(key, labels);
        return labels;
    }

    // What a peer without a certificate, or a host outside of the mesh, tells of itself is worth nothing.
    private static Key KeyOf(Direction direction, TrafficRecord r, string grpc) => new(
        r.Cluster, r.ClusterName, direction == Direction.Inbound ? null : r.Host?.Endpoint, direction, r.PeerPrincipal,
        direction == Direction.Inbound
            ? r.DownstreamPeer is null && !r.HasProvenPeer ? "" : r.PeerMetadata
            : r.UpstreamPeer is null || r.Cluster is { Config.IsExternal: true }
            ? ""
            : r.PeerMetadata,
        r.UpstreamPeer?.Identity ?? "", r.Status, r.Reason, r.RetriesExhausted, grpc, r.Request?.Version ?? 0);

    /// <param name="isCall">For the messages of a gRPC call, which count before it has a result.</param>
    private MeshLabels Labels(Key key, TrafficRecord r, bool isCall)
    {
        var isInbound = key.Direction == Direction.Inbound;
        var own = new Party(
            identity.Workload, identity.Namespace, (isInbound ? r.DownstreamPeer is null && !r.HasProvenPeer : r.UpstreamPeer is null) ? "" : OwnPrincipal,
            identity.App, identity.Version, identity.CanonicalName, identity.CanonicalRevision, identity.Cluster);
        var peerText = isInbound ? key.Peer : key.UpstreamPeer;
        var peer = Told(key, peerText) ?? FromEndpoint(key.Endpoint, peerText);
        var (source, destination) = isInbound ? (peer, own) : (own, peer);
        var service = key.Cluster?.Config.Service ?? Named(key.ClusterName);
        var host = service.Host.Length > 0
            ? service.Host
            : key.ClusterName is "PassthroughCluster" or "BlackHoleCluster" or "AllowAnyDynamicDNSCluster"
            ? key.ClusterName
            : key.ClusterName.StartsWith("InboundPassthroughCluster", StringComparison.Ordinal) ? key.ClusterName : Unknown;
        var pairs = new List<KeyValuePair<string, string>>
        {
            new("reporter", isInbound ? "destination" : "source"),
        };
        source.Write("source", pairs);
        destination.Write("destination", pairs);
        pairs.Add(new("destination_service", host));
        pairs.Add(new("destination_service_name", service.Name.Length > 0 ? service.Name : host));
        pairs.Add(new("destination_service_namespace", service.Namespace.Length > 0 ? service.Namespace : isInbound ? Or(identity.Namespace) : Unknown));
        if (isCall) pairs.Add(new("request_protocol", "grpc"));
        else if (r.Request is not null)
        {
            pairs.Add(new("request_protocol", key.Grpc.Length > 0 ? "grpc" : "http"));
            pairs.Add(new("response_code", key.Status.ToString(System.Globalization.CultureInfo.InvariantCulture)));
            pairs.Add(new("grpc_response_status", key.Grpc));
        }
        else
        {
            pairs.Add(new("request_protocol", "tcp"));
        }
        if (!isCall) pairs.Add(new("response_flags", r.Flags));
        pairs.Add(new("connection_security_policy", isInbound ? r.HasProvenPeer ? "mutual_tls" : "none" : Unknown));
        return new(pairs);
    }

    private Party? Told(Key key, string identity)
    {
        if (ReferenceEquals(key.PeerMetadata, TooMuch)) return key.Endpoint is null ? PeerClaims.Unknown(FromEndpoint(null, identity)) : null;
        var told = _claims.Read(key.PeerMetadata, identity, out var isOverflow);
        if (isOverflow) Interlocked.Increment(ref _overflows);
        return told;
    }

    /// <summary>The service of a cluster that the proxy does not have, such as that of a subset that no DestinationRule defines: calls that
    /// fail for it are calls of the service.</summary>
    private static ServiceName Named(string cluster) => cluster.Split('|') is not ["outbound", _, _, { Length: > 0 } host] ? ServiceName.None
        : host.Split('.') is [var name, var ns, "svc", ..] ? new(host, name, ns) : new(host, host, "");

    private string OwnPrincipal =>
        identity.ServiceAccount.Length == 0 ? "" : new SpiffeId(identity.TrustDomain, identity.Namespace, identity.ServiceAccount).ToString();

    private static Party FromEndpoint(Endpoint? endpoint, string principal)
    {
        var workload = endpoint?.Workload ?? Workload.Unknown;
        var ns = workload.Namespace.Length > 0 ? workload.Namespace : SpiffeId.TryParse(principal, out var id) ? id.Namespace : "";
        return new(workload.Name, ns, principal, workload.CanonicalName, workload.CanonicalRevision, workload.CanonicalName, workload.CanonicalRevision,
            workload.Cluster);
    }

    internal static string Or(string text) => text.Length > 0 ? text : Unknown;

    internal sealed record Party(
        string Workload, string Namespace, string Principal, string App, string Version, string CanonicalName, string CanonicalRevision, string Cluster)
    {
        public void Write(string prefix, List<KeyValuePair<string, string>> into)
        {
            into.Add(new($"{prefix}_workload", Or(Workload)));
            into.Add(new($"{prefix}_workload_namespace", Or(Namespace)));
            into.Add(new($"{prefix}_principal", Or(Principal)));
            into.Add(new($"{prefix}_app", Or(App)));
            into.Add(new($"{prefix}_version", Or(Version)));
            into.Add(new($"{prefix}_canonical_service", Or(CanonicalName)));
            into.Add(new($"{prefix}_canonical_revision", CanonicalRevision.Length > 0 ? CanonicalRevision : CanonicalName.Length > 0 ? "latest" : Unknown));
            into.Add(new($"{prefix}_cluster", Or(Cluster)));
        }
    }
}

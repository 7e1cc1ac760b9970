using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

public enum ClientTlsMode { Disable, Simple, Mutual, IstioMutual }

public sealed record ClientTls(
    ClientTlsMode Mode,
    string ClientCertificate,
    string PrivateKey,
    string CaCertificates,
    string CredentialName,
    ValueList<string> SubjectAltNames,
    string Sni,
    bool InsecureSkipVerify)
{
    /// <summary>The mode as objects spell it.</summary>
    public string ModeText => Spelled(Mode);

    /// <inheritdoc cref="ModeText"/>
    public static string Spelled(ClientTlsMode mode) => mode == ClientTlsMode.IstioMutual ? "ISTIO_MUTUAL" : mode.ToString().ToUpperInvariant();
}

public enum ProxyProtocolVersion { V1, V2 }

public enum LbAlgorithm { LeastRequest, RoundRobin, Random, Passthrough, Hash }

public enum HashKey { Header, Cookie, SourceIp, QueryParameter }

/// <param name="Path">Of the cookie, as <paramref name="Ttl"/> is.</param>
public sealed record HashPolicy(HashKey Key, string Name, string Path, TimeSpan? Ttl, ulong MinimumRingSize, ulong MaglevTableSize)
{
    /// <summary>More attributes of the cookie; a value may be empty.</summary>
    public ValueList<(string Name, string Value)> CookieAttributes { get; init; }
}

public sealed record LoadBalancing(LbAlgorithm? Algorithm, HashPolicy? Hash, LocalityLbSetting? Locality, Warmup? Warmup);

/// <summary>How new hosts get their share of the requests: slowly, over a time.</summary>
/// <param name="MinimumPercent">What a host gets at once; null: the proxy's default.</param>
/// <param name="Aggression">How fast the share grows; null: evenly.</param>
public sealed record Warmup(TimeSpan Duration, double? MinimumPercent, double? Aggression);

/// <summary>Null: the proxy's default.</summary>
public sealed record ConnectionPool(
    int? MaxConnections,
    TimeSpan? ConnectTimeout,
    TcpKeepalive? Keepalive,
    int? Http1MaxPending,
    int? Http2MaxRequests,
    int? MaxRequestsPerConnection,
    int? MaxRetries,
    TimeSpan? IdleTimeout,
    bool? UpgradeToHttp2,
    bool UseClientProtocol)
{
    public static readonly ConnectionPool Default = new(null, null, null, null, null, null, null, null, null, false);

    /// <summary>The age at which a connection takes no more requests.</summary>
    public TimeSpan? MaxConnectionDuration { get; init; }

    /// <summary>How long a TCP connection may carry no bytes; zero: for ever.</summary>
    public TimeSpan? TcpIdleTimeout { get; init; }

    /// <summary>How many requests may share an HTTP/2 connection at once.</summary>
    public int? MaxConcurrentStreams { get; init; }

    /// <summary>How the proxy finds out that the host of an HTTP/2 connection is gone.</summary>
    public Http2Pings? Pings { get; init; }
}

/// <summary>How many retries may run at once.</summary>
/// <param name="Percent">Of the requests in progress.</param>
/// <param name="Least">However few requests there are.</param>
public sealed record RetryBudget(double Percent, uint Least)
{
    /// <summary>For how long requests count that have ended; null: those in progress only.</summary>
    public TimeSpan? Interval { get; init; }
}

/// <summary>PINGs on HTTP/2 connections.</summary>
/// <param name="Timeout">After this time without an answer, the connection ends.</param>
public sealed record Http2Pings(TimeSpan Interval, TimeSpan Timeout);

public sealed record TcpKeepalive(uint? Probes, TimeSpan? Time, TimeSpan? Interval);

public sealed record OutlierPolicy(
    uint? Consecutive5xx,
    uint? ConsecutiveGatewayErrors,
    uint? ConsecutiveLocalOriginFailures,
    bool SplitLocalOrigin,
    TimeSpan? Interval,
    TimeSpan? BaseEjectionTime,
    uint? MaxEjectionPercent,
    uint MinHealthPercent);

public sealed record TrafficPolicy(LoadBalancing? Balancing, ConnectionPool? Pool, OutlierPolicy? Outlier, ClientTls? Tls, ValueList<PortPolicy> Ports)
{
    public static readonly TrafficPolicy None = new(null, null, null, null, default);

    /// <summary>The policy demands a way to the host that proxies cannot take: they take none.</summary>
    public bool IsBlocked { get; init; }

    public RetryBudget? RetryBudget { get; init; }

    /// <summary>Connections begin with a header of the PROXY protocol, which names the client; null if they do not.</summary>
    public ProxyProtocolVersion? ProxyProtocol { get; init; }

    /// <summary>The host is a forward proxy: it is asked to pass TCP connections on; null if it gets them.</summary>
    public TunnelEnd? Tunnel { get; init; }

    /// <summary>The effective policy for one port of a subset: the subset's policy over the rule's, each resolved for that port.</summary>
    public static TrafficPolicy Effective(DestinationRule? rule, Subset? subset, int port) =>
        (rule?.Policy ?? None).ForPort(port).MergedWith(subset?.Policy?.ForPort(port));

    /// <summary>The same, and what the mesh says where that policy says nothing.</summary>
    public static TrafficPolicy Effective(DestinationRule? rule, Subset? subset, int port, MeshConfig mesh) =>
        Effective(rule, subset, port) is var policy && mesh.DefaultPolicy == None
        ? policy : policy with { Pool = policy.Pool ?? mesh.DefaultPolicy.Pool, Outlier = policy.Outlier ?? mesh.DefaultPolicy.Outlier };

    /// <summary>This policy, overridden by the fields that <paramref name="over"/> sets: how a subset refines its rule.</summary>
    public TrafficPolicy MergedWith(TrafficPolicy? over) => over is null
        ? this
        : new(over.Balancing ?? Balancing, over.Pool ?? Pool, over.Outlier ?? Outlier, over.Tls ?? Tls,
            over.Ports.IsEmpty ? Ports : over.Ports)
            {
                IsBlocked = IsBlocked || over.IsBlocked, RetryBudget = over.RetryBudget ?? RetryBudget, ProxyProtocol = over.ProxyProtocol ?? ProxyProtocol,
                Tunnel = over.Tunnel ?? Tunnel
            };

    /// <summary>The policy of one port: a port's own settings replace the whole policy.</summary>
    public TrafficPolicy ForPort(int port)
    {
        foreach (var own in Ports)
        {
            if (own.Port == port) return own.Policy;
        }
        return this;
    }
}

/// <summary>Where a forward proxy passes connections on to.</summary>
/// <param name="UsesPost">It is asked with POST instead of CONNECT.</param>
public sealed record TunnelEnd(string Host, int Port, bool UsesPost)
{
    /// <summary>Host and port, with the brackets that an IPv6 address needs.</summary>
    public string Authority => Host.Contains(':', StringComparison.Ordinal) ? $"[{Host}]:{Port}" : $"{Host}:{Port}";
}

public sealed record PortPolicy(int Port, TrafficPolicy Policy);

public sealed record Subset(string Name, ValueMap<string> Labels, TrafficPolicy? Policy)
{
    /// <summary>All endpoints of a headless host, for requests that a route brings from another host: the address to which they were sent is of none of
    /// them. No rule can have a subset of this name.</summary>
    public static readonly Subset Any = new("~", default, null);
}

public sealed record DestinationRule(
    ObjectRef Source,
    string Host,
    TrafficPolicy Policy,
    ValueList<Subset> Subsets,
    ValueList<string> ExportTo,
    ValueMap<string> WorkloadSelector,
    long CreatedAt)
{
    public string Namespace => Source.Namespace;
    public string Name => Source.Name;

    /// <summary>This rule with what a newer one of the same host adds, as in Istio: subsets with names of their own, and the policy if
    /// this rule has none.</summary>
    public DestinationRule MergedWith(DestinationRule newer) => this with
    {
        Policy = Policy == TrafficPolicy.None ? newer.Policy : Policy,
        Subsets = Subsets.Concat(newer.Subsets.Where(subset => Subsets.All(own => own.Name != subset.Name))).ToValueList(),
    };

    /// <summary>Whether a newer rule of the same host is merged into this one: it is for the same workloads, and every namespace that
    /// sees this rule sees it.</summary>
    public bool Absorbs(DestinationRule newer) =>
        WorkloadSelector == newer.WorkloadSelector
            && (newer.ExportTo.IsEmpty || newer.ExportTo.Contains("*") ? IsForAll : ExportTo.All(ns => newer.ExportTo.Contains(ns)) && !ExportTo.IsEmpty);

    private bool IsForAll => ExportTo.IsEmpty || ExportTo.Contains("*");

    /// <summary>Its TLS settings: of the host, of its ports and of its subsets.</summary>
    public IEnumerable<ClientTls> Tls => Subsets.Select(subset => subset.Policy).Append(Policy)
        .SelectMany(policy => policy is null ? [] : policy.Ports.Select(port => port.Policy.Tls).Append(policy.Tls)).OfType<ClientTls>();
}

/// <summary>Where a DestinationRule is looked up: its namespace and its host as written.</summary>
public readonly record struct RuleKey(string Namespace, string Host) : IComparable<RuleKey>
{
    /// <summary>Stands for all wildcards of a namespace.</summary>
    internal const string AnyWildcard = "*";

    /// <summary>What somebody has read who may find the rules of this key.</summary>
    public RuleKey Read => Host.StartsWith('*') ? this with { Host = AnyWildcard } : this;

    public int CompareTo(RuleKey other)
    {
        var order = string.CompareOrdinal(Namespace, other.Namespace);
        return order != 0 ? order : string.CompareOrdinal(Host, other.Host);
    }
}

using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Text.RegularExpressions;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Tokens;
using Isthmus.Proxy.Transports;
using Isthmus.Wire.Envoy.Routes;
using Isthmus.Wire.Xds;

namespace Isthmus.Proxy.Snapshot;

/// <summary>Which request goes where (one RDS resource, or the routes inside a connection manager), arranged for lookup.</summary>
/// <param name="parts">The resource: its virtual hosts are the parts.</param>
/// <param name="hosts">Each part, decoded.</param>
internal sealed class RouteTable(
    string name, XdsParts parts, ImmutableArray<DecodedHost> hosts, DomainTable domains, HeaderEdits edits, ValueList<string> notes)
{
    public string Name => name;

    public HeaderEdits Edits => edits;

    /// <summary>What the proxy does not do of what it was told.</summary>
    public ValueList<string> Notes => hosts.SelectMany(host => host.Notes).Concat(notes).Distinct().ToValueList();

    public XdsParts Parts => parts;

    public ImmutableArray<DecodedHost> Hosts => hosts;

    public DomainTable Domains => domains;

    /// <summary>Some route switches a filter off.</summary>
    public bool SwitchesOff { get; } = hosts.Any(host => host.Host.SwitchesOff);

    /// <summary>Read again from its bytes: only dumps ask for it.</summary>
    public RouteConfiguration Resource => RouteConfiguration.Parser.ParseFrom(parts.Join());

    public VirtualHostSnapshot? Find(ReadOnlySpan<char> authority) => domains.Find(authority) is >= 0 and var place ? hosts[place].Host : null;
}

/// <summary>A virtual host, its domains in lower case, and what of it is not done.</summary>
internal sealed record DecodedHost(VirtualHostSnapshot Host, ImmutableArray<string> Domains, ImmutableArray<string> Notes);

internal sealed record VirtualHostSnapshot(
    string Name, ImmutableArray<RouteSnapshot> Routes, bool RequireTls, bool IncludeAttemptCount, bool AttemptCountInResponse, HeaderEdits Edits)
{
    /// <summary>Some route switches a filter off.</summary>
    public bool SwitchesOff { get; } = Routes.Any(route => route.Switches.Values.Contains(false));
}

/// <summary>One route: what it matches and what it does.</summary>
internal sealed record RouteSnapshot(
    string Name, PathMatch Path, ImmutableArray<HeaderMatch> Headers, ImmutableArray<QueryMatch> Queries, bool GrpcOnly, Fraction? Runtime,
    RouteAct Act, string Operation, HeaderEdits Edits)
{
    private static readonly FrozenDictionary<string, bool> NoSwitches = FrozenDictionary<string, bool>.Empty;
    private static readonly FrozenDictionary<string, FaultSettings?> NoFaults = FrozenDictionary<string, FaultSettings?>.Empty;
    private static readonly FrozenDictionary<string, CorsSettings> NoCors = FrozenDictionary<string, CorsSettings>.Empty;
    private static readonly FrozenDictionary<string, RouteCheck> NoChecks = FrozenDictionary<string, RouteCheck>.Empty;
    private static readonly FrozenDictionary<string, IReadOnlyList<IReadOnlyList<HeaderEdits>>> NoMutations =
        FrozenDictionary<string, IReadOnlyList<IReadOnlyList<HeaderEdits>>>.Empty;
    private static readonly FrozenDictionary<string, SessionSettings?> NoSessions = FrozenDictionary<string, SessionSettings?>.Empty;

    /// <summary>Which filters are on, by their names: those that the route configures, and those that it switches on or off.</summary>
    public IReadOnlyDictionary<string, bool> Switches { get; init; } = NoSwitches;

    /// <summary>The faults of fault filters, by their names; null for none.</summary>
    public IReadOnlyDictionary<string, FaultSettings?> Faults { get; init; } = NoFaults;

    /// <summary>The settings of cors filters, by their names.</summary>
    public IReadOnlyDictionary<string, CorsSettings> Cors { get; init; } = NoCors;

    /// <summary>The settings of ext_authz filters, by their names.</summary>
    public IReadOnlyDictionary<string, RouteCheck> Checks { get; init; } = NoChecks;

    /// <summary>What composite filters run, by their names.</summary>
    public IReadOnlyDictionary<string, ExternalCheck> Composed { get; init; } = FrozenDictionary<string, ExternalCheck>.Empty;

    /// <summary>The settings of filters for sessions, by their names; null for none.</summary>
    public IReadOnlyDictionary<string, SessionSettings?> Sessions { get; init; } = NoSessions;

    /// <summary>The edits of header_mutation filters, by their names: those of the table, of the virtual host and of the route.</summary>
    public IReadOnlyDictionary<string, IReadOnlyList<IReadOnlyList<HeaderEdits>>> Mutations { get; init; } = NoMutations;

    /// <summary>The settings for CORS in their older form, in the action of the route.</summary>
    public CorsSettings? OldCors { get; init; }

    /// <summary>The filters whose configuration for this route cannot be honoured.</summary>
    public ImmutableArray<string> Unread { get; init; } = [];

    /// <summary>The same of single clusters of several: it may also switch a filter on that is off for the route.</summary>
    public ImmutableArray<string> UnreadOfShares { get; init; } = [];

    /// <summary>The filter without which the route is not to be served; null if there is none.</summary>
    public string? Demanded { get; init; }

    /// <summary>What filters have to have learned about the request.</summary>
    public ImmutableArray<Func<RequestMetadata?, bool>> Metadata { get; init; } = [];

    /// <summary>Null: the route says nothing about rate limits.</summary>
    public RouteLimits? Limits { get; init; }
}

internal abstract record RouteAct;

/// <summary>Forwards the request. A zero time means no limit.</summary>
internal sealed record ForwardAct(
    ImmutableArray<WeightedTarget> Targets, string ClusterHeader, TimeSpan Timeout, RetrySettings? Retry, string? PrefixRewrite,
    RegexRewrite? PathRewrite, string? HostRewrite, string? HostRewriteHeader, bool AppendForwardedHost,
    ImmutableArray<MirrorSettings> Mirrors, ImmutableArray<HashKey> HashKeys, int NotFoundStatus, ValueMap<bool> Upgrades) : RouteAct
{
    public long TotalWeight { get; } = Targets.Sum(t => (long)t.Weight);

    /// <summary>Requests with CONNECT end here: their bytes go to a host of the cluster; null if they are forwarded.</summary>
    public ConnectSettings? Connect { get; init; }

    /// <summary>How long the exchange may go without a byte; null: as the listener says.</summary>
    public TimeSpan? IdleTimeout { get; init; }

    /// <summary>How long the exchange may take; null: as the listener says.</summary>
    public TimeSpan? MaxDuration { get; init; }
}

/// <summary>How bytes of tunnels reach hosts.</summary>
/// <param name="ProxyHeader">They begin with a header of the PROXY protocol; null if they do not.</param>
internal sealed record ConnectSettings(ProxyProtocolVersion? ProxyHeader);

internal sealed record RedirectAct(
    int Status, string Scheme, string Host, int Port, string? Path, string? PrefixRewrite, RegexRewrite? PathRewrite, bool StripQuery) : RouteAct;

internal sealed record DirectAct(int Status, byte[] Body) : RouteAct;

internal sealed record WeightedTarget(string Cluster, int Weight, string? HostRewrite, HeaderEdits Edits)
{
    /// <summary>As <see cref="RouteSnapshot.Sessions"/>, for this share alone; null: the route decides.</summary>
    public IReadOnlyDictionary<string, SessionSettings?>? Sessions { get; init; }

    /// <summary>What it adds to the edits of header_mutation filters, by their names; null for nothing.</summary>
    public IReadOnlyDictionary<string, IReadOnlyList<HeaderEdits>>? Mutations { get; init; }
}

internal sealed record MirrorSettings(string Cluster, Fraction Fraction);

internal sealed record RegexRewrite(Regex Pattern, string Substitution);

/// <summary>When a failed request is retried.</summary>
/// <param name="On">Conditions, as Envoy names them.</param>
internal sealed record RetrySettings(
    RetryOn On, int Retries, TimeSpan PerTryTimeout, bool OtherHosts, IReadOnlySet<int> StatusCodes, TimeSpan BackoffBase, TimeSpan BackoffMax)
{
    /// <summary>Every retry waits, not only when all hosts were tried.</summary>
    public bool AlwaysWaits { get; init; }

    /// <summary>With <see cref="RetryOn.Headers"/>: an answer that matches one is asked for again.</summary>
    public IReadOnlyList<HeaderMatch> Headers { get; init; } = [];

    /// <summary>After so many tried hosts, a retry leaves their priorities, that is, the locality; 0: never.</summary>
    public int LeaveAfter { get; init; }
}

[Flags]
public enum RetryOn
{
    None = 0,
    ConnectFailure = 1,
    RefusedStream = 2,
    Reset = 4,
    GatewayError = 8,
    ServerError = 16,
    StatusCodes = 32,
    Retriable4xx = 64,
    GrpcCancelled = 128,
    GrpcDeadline = 256,
    GrpcInternal = 512,
    GrpcExhausted = 1024,
    GrpcUnavailable = 2048,
    ResetBeforeRequest = 4096,
    Headers = 8192,
    RateLimited = 16384,
}

internal enum HashSource { Header, Cookie, SourceIp, Query }

/// <param name="CookieTtl">A client without the cookie gets one that lasts so long, or as long as its session (zero); null if it gets none.</param>
internal sealed record HashKey(HashSource Source, string Name, TimeSpan? CookieTtl, string CookiePath, bool Terminal)
{
    /// <summary>The name as a field has it.</summary>
    public byte[] Field { get; } = System.Text.Encoding.ASCII.GetBytes(Name);

    /// <summary>More attributes of the cookie, as <c>; name=value</c>.</summary>
    public string CookieAttributes { get; init; } = "";
}

/// <summary>A fault filter: injects the faults of the route, or else its own.</summary>
/// <param name="name">By which routes configure it.</param>
internal sealed class FaultFilter(string name, FaultSettings? settings) : AccessFilter
{
    /// <summary>Null: it injects none.</summary>
    public FaultSettings? For(RouteSnapshot? route) => route is not null && route.Faults.TryGetValue(name, out var own) ? own : settings;
}

/// <summary>A cors filter: its settings are those of the route.</summary>
/// <param name="name">By which routes configure it.</param>
internal sealed class CorsFilter(string name) : AccessFilter
{
    /// <summary>Null if it does nothing.</summary>
    public CorsSettings? For(RouteSnapshot? route) => route is null ? null : route.Cors.TryGetValue(name, out var own) ? own : route.OldCors;
}

internal sealed record FaultSettings(
    TimeSpan Delay, Fraction DelayShare, int AbortStatus, Fraction AbortShare, IReadOnlyList<HeaderMatch> Headers)
{
    /// <summary>The status for clients that speak gRPC; null: as it follows from the HTTP status.</summary>
    public int? GrpcStatus { get; init; }
}

internal sealed record CorsSettings(
    IReadOnlyList<TextMatch> Origins, string Methods, string Headers, string Expose, string MaxAge, bool Credentials)
{
    /// <summary>Preflight requests of other origins are forwarded.</summary>
    public bool ForwardsUnmatched { get; init; } = true;
}

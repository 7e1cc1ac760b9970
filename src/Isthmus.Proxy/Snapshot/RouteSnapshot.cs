using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Text.RegularExpressions;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Filters;
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

    /// <summary>Which filters are on, by their names: those that the route configures, and those that it switches on or off.</summary>
    public IReadOnlyDictionary<string, bool> Switches { get; init; } = NoSwitches;

    /// <summary>What filters are told.</summary>
    public RouteSettings Filters { get; init; } = RouteSettings.None;

    /// <summary>The filters whose configuration for this route cannot be honoured.</summary>
    public ImmutableArray<string> Unread { get; init; } = [];

    /// <summary>The same of single clusters of several: it may also switch a filter on that is off for the route.</summary>
    public ImmutableArray<string> UnreadOfShares { get; init; } = [];

    /// <summary>The filter without which the route is not to be served; null if there is none.</summary>
    public string? Demanded { get; init; }

    /// <summary>What filters have to have learned about the request.</summary>
    public ImmutableArray<Func<RequestMetadata?, bool>> Metadata { get; init; } = [];
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
    /// <summary>What filters are told for this share alone, by their names; null for nothing.</summary>
    public IReadOnlyDictionary<string, IRouteOverride>? Filters { get; init; }
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

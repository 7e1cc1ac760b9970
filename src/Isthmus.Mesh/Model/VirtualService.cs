using Isthmus.Core.Collections;
using Isthmus.Core.Net;

namespace Isthmus.Mesh.Model;

public enum MatchKind
{
    Exact,
    Prefix,
    Regex,
    Present,

    /// <summary>A prefix of whole elements of a path: <c>/a</c> is one of <c>/a/b</c>, and not of <c>/ab</c>.</summary>
    PathPrefix,
}

/// <summary>How a string is matched; <see cref="MatchKind.Present"/> requires only that it exists.</summary>
public readonly record struct StringMatch(MatchKind Kind, string Value);

/// <param name="Port">0: the service's only port.</param>
public sealed record Destination(string Host, string Subset, int Port);

public sealed record RouteDestination(Destination Destination, int Weight, HeaderChanges? Headers);

public sealed record HeaderChange(ValueMap<string> Set, ValueMap<string> Add, ValueList<string> Remove)
{
    public bool IsEmpty => Set.Count == 0 && Add.Count == 0 && Remove.IsEmpty;
}

public sealed record HeaderChanges(HeaderChange Request, HeaderChange Response);

public sealed record HttpMatch(
    string Name,
    StringMatch? Uri,
    bool IgnoreUriCase,
    StringMatch? Scheme,
    StringMatch? Method,
    StringMatch? Authority,
    ValueMap<StringMatch> Headers,
    ValueMap<StringMatch> WithoutHeaders,
    ValueMap<StringMatch> QueryParams,
    int Port,
    ValueMap<string> SourceLabels,
    string SourceNamespace,
    ValueList<string> Gateways)
{
    /// <summary>Every request.</summary>
    public static readonly HttpMatch Any = new("", null, false, null, null, null, default, default, default, 0, default, "", default);

    /// <summary>The name of statistics that Envoy keeps for the route; empty for none.</summary>
    public string StatPrefix { get; init; } = "";
}

/// <param name="Port">0: unchanged. <paramref name="FromRequest"/>: that of the listener to which the request came.</param>
public sealed record HttpRedirect(string Uri, string Authority, string Scheme, int Port, bool FromRequest, int Code)
{
    /// <summary>Takes the place of the prefix that the route matches; empty if the path is <paramref name="Uri"/>, or stays.</summary>
    public string PrefixRewrite { get; init; } = "";

    /// <summary>Takes the place of the prefix of whole elements that the route matches; null if nothing does.</summary>
    public string? Elements { get; init; }
}

public sealed record DirectResponse(int Status, string Body, bool IsBytes);

public sealed record HttpRewrite(string Uri, string Authority)
{
    /// <summary>Rewrites what matches in the path; groups are <c>\1</c>.</summary>
    public RegexReplacement? Regex { get; init; }

    /// <summary>Takes the place of the prefix of whole elements that the route matches; null if nothing does.</summary>
    public string? Elements { get; init; }
}

public sealed record RegexReplacement(string Pattern, string Replacement);

/// <param name="RetryOn">Envoy's conditions, comma separated; empty: the mesh's default.</param>
/// <param name="RemoteLocalities">Retries may leave the locality.</param>
public sealed record HttpRetry(int Attempts, TimeSpan? PerTryTimeout, string RetryOn, bool? RemoteLocalities)
{
    /// <summary>The pause before the first retry, which doubles with each; null: the proxy's default.</summary>
    public TimeSpan? Backoff { get; init; }

    /// <summary>Retries avoid hosts that the request has tried.</summary>
    public bool AvoidsTriedHosts { get; init; } = true;
}

/// <param name="Percent">Of the requests, 0 to 100.</param>
public sealed record FaultDelay(TimeSpan Delay, double Percent);

public sealed record FaultAbort(int HttpStatus, string GrpcStatus, double Percent);

public sealed record HttpFault(FaultDelay? Delay, FaultAbort? Abort);

public sealed record HttpMirror(Destination Destination, double Percent);

public sealed record CorsPolicy(
    ValueList<StringMatch> Origins,
    ValueList<string> Methods,
    ValueList<string> Headers,
    ValueList<string> ExposeHeaders,
    TimeSpan? MaxAge,
    bool? Credentials)
{
    /// <summary>Preflight requests of other origins reach the service.</summary>
    public bool ForwardsUnmatched { get; init; } = true;
}

public sealed record HttpRoute(
    string Name,
    ValueList<HttpMatch> Matches,
    ValueList<RouteDestination> Destinations,
    HttpRedirect? Redirect,
    DirectResponse? Direct,
    HttpRewrite? Rewrite,
    TimeSpan? Timeout,
    HttpRetry? Retries,
    HttpFault? Fault,
    ValueList<HttpMirror> Mirrors,
    CorsPolicy? Cors,
    HeaderChanges? Headers,
    ObjectName? Delegate);

public readonly record struct ObjectName(string Namespace, string Name);

/// <summary>The match of an L4 route; empty lists match everything.</summary>
public sealed record L4Match(
    ValueList<string> SniHosts,
    ValueList<AddressOrRange> DestinationSubnets,
    int Port,
    ValueMap<string> SourceLabels,
    string SourceNamespace,
    ValueList<string> Gateways)
{
    /// <summary>It asks for something that cannot be matched.</summary>
    public bool IsNever { get; init; }
}

/// <summary>A <c>tls</c> or <c>tcp</c> route.</summary>
public sealed record L4Route(ValueList<L4Match> Matches, ValueList<RouteDestination> Destinations);

/// <summary>Routing of hosts. Gateways are <c>namespace/name</c>, or <c>mesh</c> for sidecars.</summary>
/// <param name="CreatedAt">Unix seconds: when two claim a host, the older wins.</param>
public sealed record VirtualService(
    ObjectRef Source,
    ValueList<string> Hosts,
    ValueList<string> Gateways,
    ValueList<string> ExportTo,
    ValueList<HttpRoute> Http,
    ValueList<L4Route> Tls,
    ValueList<L4Route> Tcp,
    long CreatedAt)
{
    public const string MeshGateway = RouteSet.Mesh;

    public string Namespace => Source.Namespace;
    public string Name => Source.Name;
    public bool ForSidecars => Gateways.Contains(MeshGateway);

    /// <summary>What generators read of it. Its delegates are merged in before (<see cref="Delegation"/>).</summary>
    public RouteSet ToRoutes() =>
        new(Source, Hosts, Gateways, ExportTo, Http.Select(RuleOf).ToValueList(), Tls.Select(RuleOf).ToValueList(), Tcp.Select(RuleOf).ToValueList(),
            CreatedAt);

    private static RouteRule RuleOf(HttpRoute route) => new(route.Name, route.Matches, BackendsOf(route.Destinations), new()
    {
        Redirect = route.Redirect, Direct = route.Direct, Rewrite = route.Rewrite, Headers = route.Headers, Mirrors = route.Mirrors,
        Fault = route.Fault, Cors = route.Cors, Timeout = route.Timeout, Retries = route.Retries,
    });

    private static L4Rule RuleOf(L4Route route) => new(route.Matches, BackendsOf(route.Destinations));

    private static ValueList<RouteBackend> BackendsOf(ValueList<RouteDestination> all) =>
        all.Select(to => new RouteBackend(to.Destination, to.Weight, to.Headers)).ToValueList();
}

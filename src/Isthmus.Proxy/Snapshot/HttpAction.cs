using System.Collections.Frozen;
using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Proxy.Filters;
using Isthmus.Proxy.Telemetry;

namespace Isthmus.Proxy.Snapshot;

/// <summary>Speaks HTTP and routes each request.</summary>
/// <param name="Routes">Null: those with the name.</param>
/// <param name="Filters">What does something with requests and responses, in this order.</param>
internal sealed record HttpAction(string StatPrefix, string RouteName, RouteTable? Routes, FilterList Filters, ValueList<AccessLogSnapshot> AccessLogs)
    : ChainAction
{
    public required CodecRules Codec { get; init; }

    public required ClientTrust Client { get; init; }

    public required PathRules Paths { get; init; }

    public required RequestIdRules Ids { get; init; }

    public required ServerFields Server { get; init; }

    public required HttpTimes Times { get; init; }

    /// <summary>The protocols that clients may change to, where the route does not say.</summary>
    public ValueList<string> Upgrades { get; init; }

    /// <summary>The protocols to offer to hosts instead of the cluster's own, by the version of HTTP of the client.</summary>
    public ValueMap<ValueList<string>> AlpnOverride { get; init; }

    /// <summary>Peers tell each other who they are, in fields.</summary>
    public bool ExchangesMetadata { get; } = Filters.Find<PeerFilter>() is not null;

    /// <summary>Whether requests and responses get the fields of the router, such as <c>x-envoy-upstream-service-time</c>.</summary>
    public bool AddsEnvoyFields { get; init; } = true;

    /// <summary>How requests are traced; null if they are not.</summary>
    public TracingSettings? Tracing { get; init; }

    /// <summary>The filters that run for a request.</summary>
    /// <param name="first">The route that the request has before any of them runs; null for none.</param>
    public IEnumerable<RequestFilter> Running(RouteSnapshot? first) => Filters.Where(listed => listed.IsOn(first?.Switches)).Select(listed => listed.Filter);

    /// <summary>The names of the filters that may refuse requests, whether they are on or off where routes say nothing.</summary>
    public IReadOnlySet<string> Policies { get; init; } = FrozenSet<string>.Empty;

    /// <summary>The faults of a route, from the first filter that has some; null for none.</summary>
    public FaultSettings? FaultOf(RouteSnapshot route) =>
        Running(route).OfType<FaultFilter>().Select(filter => filter.For(route.Filters)).FirstOrDefault(fault => fault is not null);

    private bool Has(string name)
    {
        foreach (var listed in Filters)
            if (listed.Name == name) return true;
        return false;
    }

    /// <summary>The filter that may run and refuse requests, but whose configuration for the route cannot be honoured, or that the route demands and the
    /// listener does not have (connections outlive listeners); null if there is none.</summary>
    /// <param name="switches">Which filters the route that the request has at first switches on or off; null for none.</param>
    public string? Unread(RouteSnapshot route, IReadOnlyDictionary<string, bool>? switches)
    {
        if (route.Demanded is { } demanded && !Has(demanded)) return demanded;
        foreach (var name in route.UnreadOfShares)
            if (Policies.Contains(name)) return name;
        foreach (var name in route.Unread)
        {
            if (!Policies.Contains(name)) continue;
            foreach (var listed in Filters)
                if (listed.Name == name && listed.IsOn(switches)) return name;
        }
        return null;
    }
}

/// <summary>What a connection of a client may do, and what its bytes may hold.</summary>
/// <param name="HeadBytes">How long the head of a request may be.</param>
/// <param name="DefaultHost">That of requests in HTTP/1.0 that name none.</param>
/// <param name="MaxRequests">How many requests a connection takes; 0: no limit.</param>
/// <param name="MaxStreams">How many requests of a client may share an HTTP/2 connection at once.</param>
/// <param name="AllowsUpgradesOverHttp2">Clients may ask for other protocols over HTTP/2 (RFC 8441).</param>
/// <param name="Underscores">What becomes of header fields whose names have an underscore.</param>
internal sealed record CodecRules(
    int HeadBytes, bool AcceptHttp10, string DefaultHost, int MaxRequests, int MaxStreams, bool AllowsUpgradesOverHttp2, Underscores Underscores);

/// <summary>What of a request is believed about its client, and what the next hop is told of it.</summary>
/// <param name="UseRemoteAddress">The peer is the client, or what <paramref name="TrustedHops"/> proxies before it say.</param>
/// <param name="Certificate">What happens to <c>x-forwarded-client-cert</c>.</param>
/// <param name="InternalRanges">Clients whose fields of Envoy (<c>x-envoy-*</c>) are kept where a listener otherwise removes them.</param>
internal sealed record ClientTrust(
    bool UseRemoteAddress, int TrustedHops, bool SkipXffAppend, ClientCertMode Certificate, ClientCertFields CertificateFields,
    ValueList<Cidr> InternalRanges);

/// <summary>What becomes of the paths and hosts of requests.</summary>
/// <param name="RefusesAmbiguous">Paths that two servers could read differently are refused.</param>
/// <param name="StripPort">Hosts lose their ports.</param>
internal sealed record PathRules(bool Normalize, bool MergeSlashes, EscapedSlashes EscapedSlashes, bool RefusesAmbiguous, bool StripPort);

/// <summary>What becomes of <c>x-request-id</c>.</summary>
/// <param name="KeepsExternal">Those of clients outside are kept.</param>
/// <param name="InResponse">The client is told, too.</param>
internal sealed record RequestIdRules(bool Generates, bool KeepsExternal, bool InResponse);

/// <summary>What the proxy says of itself: to clients in <c>server</c>, to hosts in <c>via</c> (empty: nothing).</summary>
internal sealed record ServerFields(string Name, ServerField Field, string Via);

/// <summary>How long things may take; zero: no limit.</summary>
/// <param name="StreamIdle">Without a byte in either direction of an exchange.</param>
/// <param name="Idle">A connection without requests.</param>
/// <param name="Connection">A connection, after which it takes no more requests.</param>
/// <param name="Request">A client, for a whole request.</param>
/// <param name="Head">A client, for the head of a request once it has begun.</param>
/// <param name="Stream">An exchange, where the route does not say.</param>
internal sealed record HttpTimes(TimeSpan StreamIdle, TimeSpan Idle, TimeSpan Connection, TimeSpan Request, TimeSpan Head, TimeSpan Stream);

internal enum ServerField { Overwrite, AppendIfAbsent, PassThrough }

/// <summary>What happens to <c>x-forwarded-client-cert</c> (Envoy's ForwardClientCertDetails).</summary>
internal enum ClientCertMode { Sanitize, ForwardOnly, AppendForward, SanitizeSet, AlwaysForwardOnly }

internal sealed record ClientCertFields(bool Subject, bool Cert, bool Dns, bool Uri);

internal enum Underscores { Allow, Reject, Drop }

internal enum EscapedSlashes { Keep, Reject, Redirect, Forward }

using System.Net;
using Google.Protobuf;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Transports;
using Isthmus.Wire.Envoy.Clusters;

namespace Isthmus.Proxy.Clusters;

internal enum ClusterKind { Static, StrictDns, LogicalDns, Eds, OriginalDst, Dynamic }

/// <summary>The HTTP version spoken to a cluster's hosts.</summary>
internal enum UpstreamHttp { Http1, Http2, AsDownstream }

/// <summary>A transport socket for endpoints whose labels include all of <paramref name="Match"/>.</summary>
internal sealed record SocketMatch(string Name, ValueMap<string> Match, ConnectSteps Steps)
{
    /// <summary>Why endpoints with these labels cannot be reached; empty: they can.</summary>
    public string Unsupported { get; init; } = "";
}

/// <summary>Bounds on simultaneous use of a cluster (circuit breakers).</summary>
internal sealed record CircuitLimits(long Connections, long Pending, long Requests, long Retries)
{
    /// <summary>Envoy's defaults.</summary>
    public static readonly CircuitLimits Default = new(1024, 1024, 1024, 3);

    /// <summary>Takes the place of <see cref="Retries"/>.</summary>
    public RetryBudget? Budget { get; init; }
}

/// <summary>How many retries may run at once: a percentage of the requests in progress, but not fewer than <paramref name="Least"/>.</summary>
internal sealed record RetryBudget(double Percent, long Least)
{
    /// <summary>For how long requests count that have ended; zero: those in progress only.</summary>
    public TimeSpan Interval { get; init; }
}

/// <summary>PINGs that find out whether the peer of an HTTP/2 connection is there.</summary>
/// <param name="Interval">How long after an answer the next one is sent.</param>
/// <param name="Timeout">How long the peer may be silent after one.</param>
/// <param name="Jitter">By which part of it an interval is longer at most.</param>
internal sealed record PingSettings(TimeSpan Interval, TimeSpan Timeout, double Jitter);

/// <summary>A cluster, decoded once from its resource.</summary>
internal sealed record ClusterSnapshot(
    string Name, ClusterKind Kind, string AssignmentName, TimeSpan ConnectTimeout, BalancingPolicy Policy, bool WeightLocalities,
    double? PanicThreshold, CircuitLimits Limits, OutlierSettings? Outlier, ValueList<SocketMatch> SocketMatches, ConnectSteps Steps,
    UpstreamHttp Http, IPAddress? BindAddress, LoadAssignment? Inline, ValueList<DnsTarget> DnsTargets, TimeSpan DnsRefresh,
    int MaxRequestsPerConnection, TimeSpan IdleTimeout, KeepaliveSettings? Keepalive, ServiceName Service, ValueList<string> Notes, ByteString Bytes)
{
    /// <summary>Read again from its bytes: only dumps, traces and reports ask for it, and there may be thousands of clusters.</summary>
    public Cluster Resource => Cluster.Parser.ParseFrom(Bytes);

    /// <summary>Age at which a connection takes no more requests; zero: no limit.</summary>
    public TimeSpan MaxConnectionDuration { get; init; }

    /// <summary>How long one attempt of a request may take; zero: no limit.</summary>
    public TimeSpan MaxStreamDuration { get; init; }

    /// <summary>How many requests may share an HTTP/2 connection at once, however many its host takes.</summary>
    public int MaxConcurrentStreams { get; init; } = int.MaxValue;

    /// <summary>Whether requests keep to the zone of this proxy; null: zones do not matter.</summary>
    public ZoneAwareness? Zones { get; init; }

    /// <summary>How HTTP/2 connections are kept; null: they send no PINGs.</summary>
    public PingSettings? Pings { get; init; }

    /// <summary>How hosts are arranged for consistent hashing.</summary>
    public HashSettings Hashing { get; init; } = HashSettings.Ring;

    /// <summary>How new hosts get their share; null: at once.</summary>
    public SlowStartSettings? SlowStart { get; init; }

    /// <summary>How hosts are checked; null if they are not.</summary>
    public HealthCheckSettings? HealthCheck { get; init; }

    /// <summary>The addresses of a name are raced (<see cref="Endpoint.MoreAddresses"/>).</summary>
    public bool RacesAddresses { get; init; }

    /// <summary>Whether TLS connections depend on the host of the request.</summary>
    public bool NamesByRequest { get; } = SocketMatches.Select(match => match.Steps.Tls).Append(Steps.Tls)
        .Any(tls => tls is { SniFromRequest: true } or { NameFromRequest: true });

    /// <summary>How names that requests bring along are resolved; null for clusters of other kinds.</summary>
    public DynamicSettings? Dynamic { get; init; }

    /// <summary>Connections to some hosts say whose connection they carry.</summary>
    public bool TellsClients { get; } = SocketMatches.Select(match => match.Steps).Append(Steps).Any(steps => steps.TellsClients);

    /// <summary>Connections to internal listeners take along what filters said of their caller.</summary>
    public bool PassesCallers { get; } = SocketMatches.Select(match => match.Steps).Append(Steps).Any(steps => steps.Internal is not null);

    /// <summary>The port of all original destinations in place of their own; 0: none.</summary>
    public int PortOverride { get; init; }

    /// <summary>Original destinations give way to the waypoint that a <see cref="TunnelTarget"/> names.</summary>
    public bool AsksWaypoints { get; init; }

    /// <summary>TCP connections may exchange metadata with the host before their first byte.</summary>
    public bool ExchangesMetadata { get; init; }

    /// <summary>Its hosts are not in the mesh: the control plane says so, or knows none of them.</summary>
    public bool IsExternal { get; init; }

    /// <summary>TLS to its hosts is not the mesh's, so they get the cluster's protocols (ALPN), and not those that listeners choose for the mesh.</summary>
    public bool KeepsAlpn { get; init; }

    /// <summary>Those of all layers of TLS.</summary>
    public IEnumerable<string> Secrets => SocketMatches.Select(m => m.Steps).Append(Steps).SelectMany(steps => steps.All.OfType<TlsStep>())
        .SelectMany(step => step.Settings.Secrets).Distinct();

    /// <summary>The transport socket for an endpoint: the first match whose labels it has, else the cluster's own.</summary>
    public SocketMatch? SocketFor(Endpoint endpoint)
    {
        foreach (var match in SocketMatches)
            if (match.Match.All(want => endpoint.TransportMatch.TryGetValue(want.Key, out var has) && has == want.Value)) return match;
        return null;
    }

    /// <summary>The TLS of connections to an endpoint; null for none.</summary>
    public TlsSettings? TlsFor(Endpoint endpoint) => (SocketFor(endpoint)?.Steps ?? Steps).Tls;
}

/// <summary>A name to resolve, and the endpoint properties of its addresses.</summary>
internal sealed record DnsTarget(string Hostname, int Port, Endpoint Template, LocalityEndpoints Locality);

/// <summary>The mesh service that a cluster represents (Istio's cluster metadata); empty when none.</summary>
internal sealed record ServiceName(string Host, string Name, string Namespace)
{
    public static readonly ServiceName None = new("", "", "");
}

using System.Net;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Traffic;

/// <summary>An accepted connection with everything known about it: the input of handlers and policies.</summary>
internal sealed class Downstream(SocketTransport socket, ListenerSnapshot listener, IPEndPoint destination, IPEndPoint source)
{
    public SocketTransport Socket { get; } = socket;

    public ListenerSnapshot Listener { get; set; } = listener;

    /// <summary>Where the client wanted to go, before any redirection.</summary>
    public IPEndPoint Destination { get; private set; } = destination;

    /// <summary>The client; behind a proxy that names its client, that client.</summary>
    public IPEndPoint Source { get; private set; } = source;

    /// <summary>The other end of the socket, if that is a proxy.</summary>
    public IPAddress? DirectSource { get; private set; }

    public ConnectionFacts Facts { get; set; }

    public FilterChainSnapshot? Chain { get; set; }

    /// <summary>The bytes as the handler sees them: without TLS when the filter chain terminates it.</summary>
    public Transport Transport { get; set; } = socket;

    /// <summary>Ends the connection if nothing is in progress; called repeatedly while draining. Set by the connection's handler.</summary>
    public Action? DrainRequested { get; set; }

    /// <summary>Set by whoever handles the connection.</summary>
    public Action? EachSecond { get; set; }

    /// <summary>After a configuration change, ends what is no longer allowed. Set by the connection's handler.</summary>
    public Action<ProxySnapshot>? SnapshotChanged { get; set; }

    /// <summary>Notified of the end of the connection, or of each request on it. Set by code that opened the connection to
    /// observe it.</summary>
    public Action<TrafficRecord>? Ended { get; init; }

    /// <summary>Notified when the bytes of the connection have somewhere to go, with null, or when that failed, with the reason. Perhaps more than once.
    /// Set by code that opened the connection and waits.</summary>
    public Action<string?>? Opened { get; init; }

    /// <summary>What filters said of the request or connection that this one is for, on an internal listener.</summary>
    public FilterState State { get; init; } = FilterState.Empty;

    /// <summary>Where an internal listener goes on with it; null: unknown.</summary>
    public TunnelTarget? Target { get; init; }

    /// <summary>The last version of its listener in which its filter chain was looked up.</summary>
    public ListenerSnapshot Checked { get; set; } = listener;

    /// <summary>When its listener or filter chain was found to be removed, as a timestamp; null while both exist.</summary>
    public long? OrphanedAt { get; set; }

    /// <summary>Its next response is the last one.</summary>
    public bool IsTooOld { get; set; }

    /// <summary>Where it is counted; null until it is.</summary>
    public ListenerCounts? Counts { get; set; }

    /// <summary>Where its requests are counted; null unless it carries HTTP.</summary>
    public HttpCounts? Http { get; set; }

    public TlsPeer? Peer => Transport.Peer;

    /// <summary>Where a cluster of original destinations connects to for it.</summary>
    public IPEndPoint DestinationIn(ClusterSnapshot cluster)
    {
        var to = cluster.AsksWaypoints && Target?.Waypoint is { } waypoint ? waypoint : Destination;
        return cluster.PortOverride > 0 ? new(to.Address, cluster.PortOverride) : to;
    }

    /// <summary>Makes it the connection that a proxy says it carries.</summary>
    public void Carry(ProxiedConnection carried) => (DirectSource, Source, Destination) = (Source.Address, carried.Source, carried.Destination);
}

using System.Net;
using System.Text.RegularExpressions;
using Google.Protobuf;
using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Transports;
using Isthmus.Wire.Envoy.Listeners;

namespace Isthmus.Proxy.Snapshot;

/// <summary>A listener, decoded once from its resource. Equal resources are equal listeners and keep their sockets.</summary>
/// <param name="InspectTls">For which destination ports the server name and ALPN of a ClientHello are read; null if never.</param>
/// <param name="InspectHttp">For which destination ports plain bytes are inspected for HTTP; null if never.</param>
/// <param name="InspectionTimeout">How long inspection may wait for bytes; zero: this proxy's own limit.</param>
internal sealed record ListenerSnapshot(
    string Name, IPEndPoint Address, bool BindToPort, bool HandOff, bool RestoreOriginalDestination, Direction Direction,
    PortPredicate? InspectTls, PortPredicate? InspectHttp, TimeSpan InspectionTimeout, bool ContinueOnTimeout,
    FilterChainTable Chains, ValueList<AccessLogSnapshot> AccessLogs, ValueList<string> Notes, ByteString Bytes)
{
    /// <summary>The address of listeners that have none.</summary>
    public static readonly IPEndPoint Nowhere = new(IPAddress.None, 0);

    /// <summary>Only clusters of this proxy connect to it, by its name.</summary>
    public bool IsInternal { get; init; }

    /// <summary>Where it is, or its name if it is internal.</summary>
    public EndPoint Place => IsInternal ? new InternalEndPoint(Name, "") : Address;

    /// <summary>Read again from its bytes: only dumps and traces ask for it.</summary>
    public Listener Resource => Listener.Parser.ParseFrom(Bytes);

    /// <summary>Connections begin with a header of the PROXY protocol; null if they do not.</summary>
    public ProxyHeaderRules? ProxyHeader { get; init; }

    /// <summary>Filters that this proxy does not have. They could change what a connection is, so that those which would meet one are closed.</summary>
    public IReadOnlyList<UnsupportedListenerFilter> Unsupported { get; init; } = [];

    /// <summary>The first filter that closes connections to a port; null: none does.</summary>
    public UnsupportedListenerFilter? Closing(int port)
    {
        for (var i = 0; i < Unsupported.Count; i++)
            if (Unsupported[i].Ports.Contains(port)) return Unsupported[i];
        return null;
    }

    /// <summary>What happens to datagrams; null: the listener accepts connections.</summary>
    public UdpAction? Udp { get; init; }

    /// <summary>Whether a change needs no new socket.</summary>
    public bool SameSocket(ListenerSnapshot other) => Address.Equals(other.Address) && BindToPort == other.BindToPort && Udp is null == other.Udp is null;
}

/// <summary>A filter of a listener that this proxy does not have.</summary>
/// <param name="Ports">The destination ports whose connections meet it.</param>
internal sealed record UnsupportedListenerFilter(string Name, PortPredicate Ports);

/// <summary>A set of destination ports (listener filter predicates without the double negation).</summary>
internal sealed class PortPredicate(Func<int, bool> contains)
{
    public static readonly PortPredicate All = new(_ => true);

    public bool Contains(int port) => contains(port);
}

/// <summary>The conditions under which a filter chain matches a connection; empty lists and zero always match.</summary>
internal sealed record ChainMatch(
    int DestinationPort, ValueList<Cidr> DestinationRanges, ValueList<string> ServerNames, string TransportProtocol, ValueList<string> ApplicationProtocols,
    ValueList<Cidr> DirectSourceRanges, ValueList<Cidr> SourceRanges, ValueList<int> SourcePorts, SourceKind SourceKind);

internal enum SourceKind { Any, Local, External }

internal sealed record FilterChainSnapshot(string Name, ChainMatch Match, TlsSettings? Tls, ChainAction Action, IReadOnlyList<AccessFilter> Access)
{
    /// <summary>TCP clients may exchange metadata with this proxy before their first byte.</summary>
    public bool ExchangesMetadata { get; init; }
}

/// <summary>What a filter chain does with the bytes.</summary>
internal abstract record ChainAction
{
    /// <summary>How metrics differ from the standard ones; null if they do not.</summary>
    public MetricRules? Metrics { get; init; }
}

/// <summary>What only a filter does that this proxy does not have: an <see cref="UnsupportedFilter"/> closes the connections before.</summary>
internal sealed record UnsupportedAction : ChainAction;

/// <summary>Copies bytes to a cluster.</summary>
internal sealed record TcpAction(
    string StatPrefix, ValueList<TcpTarget> Targets, TimeSpan IdleTimeout, int ConnectAttempts, TimeSpan MaxDuration, ValueList<AccessLogSnapshot> AccessLogs,
    bool LogConnected = false, SniTarget? BySni = null) : ChainAction
{
    public long TotalWeight { get; } = Targets.Sum(t => (long)t.Weight);

    /// <summary>The hosts are proxies, which are asked for tunnels; null: they get the bytes.</summary>
    public TunnelSettings? Tunnel { get; init; }
}

/// <summary>What proxies are asked for, so that they pass the bytes of a connection on.</summary>
/// <param name="Hostname">Host and port of the end of the tunnel.</param>
/// <param name="Format">How to make it of the connection; null if it is always the same.</param>
internal sealed record TunnelSettings(string Hostname, LogFormat? Format, bool UsesPost, string PostPath, HeaderEdits Edits);

internal sealed record TcpTarget(string Cluster, int Weight);

/// <summary>The SNI names the cluster, after each rewrite in turn.</summary>
internal sealed record SniTarget(ValueList<ClusterRewrite> Rewrites)
{
    /// <summary>Null when the client sent no name.</summary>
    public string? Cluster(string serverName) => serverName.Length == 0 ? null : Rewrites.Aggregate(serverName, (name, rewrite) => rewrite.Apply(name));
}

/// <summary>Replaces every match of a pattern in a cluster's name (Istio's tcp_cluster_rewrite).</summary>
internal sealed class ClusterRewrite(Regex pattern, string replacement) : IEquatable<ClusterRewrite>
{
    public string Apply(string name) => pattern.Replace(name, replacement);

    public bool Equals(ClusterRewrite? other) => other is not null && pattern.ToString() == other.Pattern && replacement == other.Replacement;

    public override bool Equals(object? obj) => Equals(obj as ClusterRewrite);

    public override int GetHashCode() => HashCode.Combine(Pattern, replacement);

    private string Pattern => pattern.ToString();

    private string Replacement => replacement;
}

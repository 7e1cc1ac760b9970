using System.Globalization;
using System.Net.Sockets;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Endpoints;
using Isthmus.Wire.Envoy.ListenerFilters;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.NetworkFilters;
using DiscoveryType = Isthmus.Wire.Envoy.Clusters.Cluster.Types.DiscoveryType;
using SocketMatch = Isthmus.Wire.Envoy.Clusters.Cluster.Types.TransportSocketMatch;

namespace Isthmus.Mesh.Generate;

/// <summary>
/// HBONE, with Istio's names. A connection to a tunnelled endpoint goes to the listener <c>connect_originate</c> within the proxy, with the endpoint's address
/// as its original destination; from there as a CONNECT request to port 15008 of that address. There, <c>connect_terminate</c> ends the tunnel, and passes
/// the connection to <c>main_internal</c>, which has the chains of the workload's ports (<see cref="InboundGenerator"/>).
/// </summary>
public static class TunnelGenerator
{
    /// <summary>The metadata by which the listener within the proxy learns where a connection goes.</summary>
    private const string Destination = "envoy.filters.listener.original_dst";

    private const string InternalUpstream = "envoy.transport_sockets.internal_upstream";

    private static readonly Struct TunnelMatch = Parts.Fields(("tunnel", Value.ForString("http")));

    /// <summary>Opens tunnels: what reaches it is for its original destination.</summary>
    public static Listener Originate(MeshConfig mesh)
    {
        var proxy = new TcpProxy
        {
            StatPrefix = ResourceNames.ConnectOriginate, Cluster = ResourceNames.ConnectOriginate,
            TunnelingConfig = new() { Hostname = "%DOWNSTREAM_LOCAL_ADDRESS%" },
        };
        proxy.AccessLog.AddRange(AccessLogs.OfUnopened(mesh));
        var listener = new Listener
        {
            Name = ResourceNames.ConnectOriginate, UseOriginalDst = false, InternalListener = new(), ListenerFilters = { OriginalDestination },
            FilterChains = { new FilterChain { Filters = { Parts.TcpFilter(proxy) } } },
        };
        listener.AccessLog.AddRange(AccessLogs.OfUnmatched(mesh));
        return listener;
    }

    /// <summary>The other ends of tunnels.</summary>
    public static Cluster Ends(MeshConfig mesh)
    {
        var cluster = new Cluster
        {
            Name = ResourceNames.ConnectOriginate, Type = DiscoveryType.OriginalDst, LbPolicy = Cluster.Types.LbPolicy.ClusterProvided,
            ConnectTimeout = Parts.Duration(mesh.ConnectTimeout), CleanupInterval = Parts.Duration(TimeSpan.FromSeconds(60)),
            OriginalDstLbConfig = new() { UpstreamPortOverride = Core.Names.Ports.Tunnel }, TransportSocket = TlsContexts.TunnelClient(mesh),
        };
        ClusterPolicy.SetLimits(cluster, null);
        cluster.TypedExtensionProtocolOptions[ClusterGenerator.HttpOptions] = Parts.Pack(new Wire.Envoy.Upstreams.HttpProtocolOptions
        {
            CommonHttpProtocolOptions = new() { IdleTimeout = Parts.Duration(TimeSpan.FromHours(1)) },
            ExplicitHttpConfig = new() { Http2ProtocolOptions = new() { AllowConnect = true } },
        });
        return cluster;
    }

    /// <summary>Ends tunnels of callers in the mesh.</summary>
    public static Listener Terminate(MeshConfig mesh)
    {
        var listener = new Listener
        {
            Name = ResourceNames.ConnectTerminate,
            Address = Parts.Address(EndpointAddress.Of(ResourceNames.AnyAddress), Core.Names.Ports.Tunnel),
            // A tunnel is one connection for many callers: they are spread over the threads evenly.
            ConnectionBalanceConfig = new() { ExactBalance = new() },
            FilterChains =
            {
                new FilterChain { Name = "default", TransportSocket = TlsContexts.TunnelServer(mesh), Filters = { HttpConnections.Tunnels(mesh) } },
            },
        };
        listener.AccessLog.AddRange(AccessLogs.OfUnmatched(mesh));
        return listener;
    }

    /// <summary>Leads from the ends of tunnels to the chains of the workload's ports.</summary>
    public static Cluster Inner()
    {
        var listener = new LbEndpoint { Endpoint = new() { Address = Within(ResourceNames.MainInternal) } };
        var cluster = new Cluster
        {
            Name = ResourceNames.MainInternal, Type = DiscoveryType.Static, TransportSocket = Internal(TlsContexts.Raw),
            LoadAssignment = new()
            {
                ClusterName = ResourceNames.MainInternal, Endpoints = { new LocalityLbEndpoints { LbEndpoints = { listener } } },
            },
        };
        ClusterPolicy.SetLimits(cluster, null);
        return cluster;
    }

    internal static ListenerFilter OriginalDestination => new() { Name = Destination, TypedConfig = Parts.Pack(new OriginalDst()) };

    /// <summary>Has connections to an endpoint go through a tunnel.</summary>
    internal static void LeadThrough(LbEndpoint endpoint, EndpointAddress address, int port)
    {
        var place = string.Create(CultureInfo.InvariantCulture, $"{(address.Ip?.Family == AddressFamily.InterNetworkV6 ? $"[{address}]" : address)}:{port}");
        endpoint.Endpoint.Address = Within(ResourceNames.ConnectOriginate, place);
        endpoint.Metadata.FilterMetadata[Destination] = Parts.Fields(("local", Value.ForString(place)));
        endpoint.Metadata.FilterMetadata[EndpointGenerator.SocketMatch] = TunnelMatch;
    }

    /// <summary>Where an endpoint is, also at the end of a tunnel.</summary>
    internal static (EndpointAddress Address, uint Port) PlaceOf(Address? address)
    {
        if (address?.EnvoyInternalAddress is not { EndpointId: var place })
            return (EndpointAddress.Parse(address?.SocketAddress?.Address ?? ""), address?.SocketAddress?.PortValue ?? 0);
        var colon = place.LastIndexOf(':');
        return (EndpointAddress.Parse(place[..colon].Trim('[', ']')), uint.Parse(place.AsSpan(colon + 1), CultureInfo.InvariantCulture));
    }

    /// <summary>
    /// Lets endpoints choose between a tunnel and what the cluster does otherwise. Mesh TLS is not repeated in a tunnel, which has its own; TLS that a rule
    /// demands is for the application, so it is in the tunnel, too.
    /// </summary>
    /// <param name="cluster">A cluster whose endpoints are discovered.</param>
    /// <param name="isForApplication">Its TLS, if any, ends at the application.</param>
    internal static void Offer(Cluster cluster, bool isForApplication)
    {
        var own = cluster.TransportSocket;
        cluster.TransportSocket = null;
        cluster.TransportSocketMatches.Insert(0, new SocketMatch
        {
            Name = "hbone", Match = TunnelMatch, TransportSocket = Internal(own is not null && isForApplication ? own : TlsContexts.Raw),
        });
        if (own is not null) cluster.TransportSocketMatches.Add(new SocketMatch { Name = isForApplication ? "user" : "tlsMode-istio", TransportSocket = own });
        else if (cluster.TransportSocketMatches.Count == 1)
            cluster.TransportSocketMatches.Add(new SocketMatch { Name = "tlsMode-disabled", Match = new(), TransportSocket = TlsContexts.Raw });
    }

    private static Address Within(string listener, string place = "") =>
        new() { EnvoyInternalAddress = new() { ServerListenerName = listener, EndpointId = place } };

    /// <summary>To a listener within the proxy, which learns what the cluster and the endpoint are.</summary>
    private static TransportSocket Internal(TransportSocket inner) => new()
    {
        Name = InternalUpstream,
        TypedConfig = Parts.Pack(new InternalUpstreamTransport
        {
            PassthroughMetadata =
            {
                Passed(new() { Host = new() }, Destination), Passed(new() { Cluster = new() }, "istio"), Passed(new() { Host = new() }, "istio"),
            },
            TransportSocket = inner,
        }),
    };

    private static InternalUpstreamTransport.Types.MetadataValueSource Passed(MetadataKind kind, string name) => new() { Kind = kind, Name = name };
}

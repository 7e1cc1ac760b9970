using System.Net;
using System.Text;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Names;
using Isthmus.Proxy.Traffic;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.AccessLoggers;
using Isthmus.Wire.Envoy.ListenerFilters;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.NetworkFilters;

namespace Isthmus.Proxy.EnvoyPlane;

/// <summary>
/// The listener for one traced call: the one that would take its connection once more, at a Unix socket, where a header of the PROXY protocol says what the
/// kernel says of redirected connections. It logs to the agent what comes of the connection.
/// </summary>
internal static class CallListener
{
    private const string ProxyProtocolFilter = "envoy.filters.listener.proxy_protocol";

    /// <summary>The field of a request by which its entry in the log is known.</summary>
    public static readonly string Mark = Encoding.ASCII.GetString(RecentTraffic.Mark);

    private const uint OwnerOnly = 0b110_000_000;

    /// <summary>The extensions of Envoy that it needs.</summary>
    public static readonly IReadOnlyList<string> Extensions = [ProxyProtocolFilter, "envoy.access_loggers.http_grpc", "envoy.access_loggers.tcp_grpc"];

    /// <summary>The listener that Envoy gives a redirected connection to; null if it takes none.</summary>
    /// <param name="all">The listeners of the Envoy.</param>
    public static Listener? Find(IEnumerable<Listener> all, IPEndPoint to)
    {
        var outbound = all.Where(listener => listener.TrafficDirection == TrafficDirection.Outbound && listener.UdpListenerConfig is null).ToList();
        if (outbound.Find(listener => listener.UseOriginalDst == true) is not { } entry) return null;
        Listener? At(IPAddress address) =>
            outbound.Find(listener => listener != entry && AddressesOf(listener).Any(point => point.Port == to.Port && point.Address.Equals(address)));
        return At(to.Address) ?? At(to.Address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6 ? IPAddress.IPv6Any : IPAddress.Any) ?? entry;
    }

    /// <summary>Changes the listener into that of one call.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="path">Its socket.</param>
    /// <param name="longest">How long a connection without bytes stays open: a server that says nothing need not end it.</param>
    public static void Become(Listener listener, string name, string path, TimeSpan longest)
    {
        (listener.Name, listener.StatPrefix) = (name, AgentListeners.Calls.TrimEnd('-'));
        listener.Address = new() { Pipe = new() { Path = path, Mode = OwnerOnly } };
        listener.AdditionalAddresses.Clear();
        listener.SocketOptions.Clear();
        // It hands connections to no other, and has nothing that only sockets of TCP have.
        (listener.UseOriginalDst, listener.BindToPort, listener.Transparent, listener.Freebind) = (null, null, null, null);
        (listener.TcpFastOpenQueueLength, listener.EnableReusePort, listener.ConnectionBalanceConfig) = (null, false, null);
        listener.ListenerFilters.Insert(0, new ListenerFilter { Name = ProxyProtocolFilter, TypedConfig = TypeNames.Pack(new ProxyProtocol()) });
        // What no chain takes is in the log of the listener only.
        var unmatched = Log(new TcpGrpcAccessLogConfig { CommonConfig = ToAgent() });
        unmatched.Filter = new() { ResponseFlagFilter = new() { Flags = { "NR" } } };
        listener.AccessLog.Add(unmatched);
        foreach (var chain in listener.FilterChains) Log(chain, longest);
        if (listener.DefaultFilterChain is { } other) Log(other, longest);
    }

    private static void Log(FilterChain chain, TimeSpan longest)
    {
        foreach (var filter in chain.Filters)
        {
            if (filter.TypedConfig.TryRead(out HttpConnectionManager http))
            {
                http.AccessLog.Add(Log(new HttpGrpcAccessLogConfig { CommonConfig = ToAgent(), AdditionalRequestHeadersToLog = { Mark } }));
                filter.TypedConfig = TypeNames.Pack(http);
            }
            else if (filter.TypedConfig.TryRead(out TcpProxy tcp))
            {
                tcp.AccessLog.Add(Log(new TcpGrpcAccessLogConfig { CommonConfig = ToAgent() }));
                // The end of a connection may be far away, and that it is open is the answer.
                (tcp.AccessLogOptions ??= new()).FlushAccessLogOnConnected = true;
                tcp.IdleTimeout = Duration.FromTimeSpan(longest);
                filter.TypedConfig = TypeNames.Pack(tcp);
            }
        }
    }

    private static AccessLog Log(IMessage config) => new() { Name = "isthmus-trace", TypedConfig = TypeNames.Pack(config) };

    /// <summary>At once, because somebody waits for it.</summary>
    private static CommonGrpcAccessLogConfig ToAgent() => new()
    {
        LogName = "isthmus-trace", TransportApiVersion = ApiVersion.V3, GrpcService = new() { EnvoyGrpc = new() { ClusterName = EnvoyBootstrap.AgentCluster } },
        BufferSizeBytes = 0,
    };

    private static IEnumerable<IPEndPoint> AddressesOf(Listener listener) =>
        from address in listener.AdditionalAddresses.Select(more => more.Address).Prepend(listener.Address)
        let socket = address?.SocketAddress
        where socket is not null && IPAddress.TryParse(socket.Address, out _)
        select new IPEndPoint(IPAddress.Parse(socket.Address), (int)socket.PortValue);
}

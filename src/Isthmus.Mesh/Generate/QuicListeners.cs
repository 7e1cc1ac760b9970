using Isthmus.Mesh.Model;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.NetworkFilters;

namespace Isthmus.Mesh.Generate;

/// <summary>
/// HTTP/3 of gateways: beside the listener of an HTTPS server, one on the UDP port with the same number, if the gateway's Service has it. Answers over TCP tell
/// clients of it.
/// </summary>
internal static class QuicListeners
{
    private const string Protocol = "h3";

    /// <summary>The UDP port of the workload on which a server has HTTP/3; null if it has none. Envoy asks clients for no certificate there, and plugins of
    /// connections see none: what these are to keep out must not come in this way.</summary>
    public static int? PortOf(BoundServer bound, GatewayInputs inputs)
    {
        if (!bound.IsHttps || bound.Server.Tls is not { Mode: ServerTlsMode.Simple, IsBlocked: false }) return null;
        // Every server over TLS is asked: most gateways have no HTTP/3, and need not be searched for servers of datagrams.
        if (inputs.Gateway.UdpPorts.IsEmpty || HasDatagrams(inputs.Gateway, bound.Server.Port)) return null;
        foreach (var port in inputs.Gateway.UdpPorts)
            if (port.Service == bound.Server.Port && !inputs.Mesh.Plugins.Any(plugin => plugin.IsNetwork && plugin.IsFor(isServer: false, port.Target)))
                return port.Target;
        return null;
    }

    /// <summary>Whether datagrams of the port belong to a server of their own.</summary>
    private static bool HasDatagrams(GatewayScope scope, int port)
    {
        foreach (var gateway in scope.Gateways)
            foreach (var server in gateway.Servers)
                if (server.Protocol == Model.Protocol.Udp && server.Port == port) return true;
        return false;
    }

    public static HeaderValueOption Advertisement(BoundServer bound) => new()
    {
        Header = new() { Key = "alt-svc", Value = $"{Protocol}=\":{ResourceNames.Port(bound.Server.Port)}\"; ma=86400" },
        AppendAction = HeaderValueOption.Types.HeaderAppendAction.OverwriteIfExistsOrAdd,
    };

    /// <param name="servers">The servers of a listener.</param>
    /// <param name="chain">Makes the chain of a server over TLS.</param>
    public static IEnumerable<Listener> Of(IEnumerable<BoundServer> servers, GatewayInputs inputs,
        Func<BoundServer, (string Name, int Port), FilterChain> chain)
    {
        foreach (var group in servers.Select(server => (Server: server, Port: PortOf(server, inputs))).Where(item => item.Port is not null)
            .GroupBy(item => (Bind: item.Server.Server.Bind ?? ResourceNames.AnyAddress, Port: item.Port!.Value)))
        {
            var name = $"udp_{ResourceNames.Listener(group.Key.Bind, group.Key.Port)}";
            var listener = new Listener
            {
                Name = name,
                Address = new()
                {
                    SocketAddress = new() { Protocol = SocketAddress.Types.Protocol.Udp, Address = group.Key.Bind.ToString(), PortValue = (uint)group.Key.Port }
                },
                TrafficDirection = TrafficDirection.Outbound,
                UdpListenerConfig = new() { QuicOptions = new() },
            };
            listener.AccessLog.AddRange(AccessLogs.OfUnmatched(inputs.Mesh));
            listener.FilterChains.AddRange(group.Select(item => OverQuic(chain(item.Server, (name, group.Key.Port)))));
            yield return listener;
        }
    }

    private static FilterChain OverQuic(FilterChain chain)
    {
        if (!chain.Filters[^1].TypedConfig.TryRead(out HttpConnectionManager manager)
            || !chain.TransportSocket.TypedConfig.TryRead(out DownstreamTlsContext tls))
            throw new InvalidOperationException("the chain is not one of HTTPS");
        manager.CodecType = HttpConnectionManager.Types.CodecType.Http3;
        manager.Http3ProtocolOptions = new();
        chain.Filters[^1].TypedConfig = Parts.Pack(manager);
        tls.CommonTlsContext.AlpnProtocols.Clear();
        tls.CommonTlsContext.AlpnProtocols.Add(Protocol);
        chain.TransportSocket = new()
        {
            Name = "envoy.transport_sockets.quic", TypedConfig = Parts.Pack(new QuicDownstreamTransport { DownstreamTlsContext = tls })
        };
        return chain;
    }
}

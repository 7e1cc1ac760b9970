using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Clusters;

namespace Isthmus.Mesh.Generate;

/// <summary>Transport sockets that write a header of the PROXY protocol before anything else.</summary>
internal static class ProxyProtocolSockets
{
    private const string Name = "envoy.transport_sockets.upstream_proxy_protocol";

    /// <summary>Wraps every transport socket of a cluster, which is then complete.</summary>
    public static void Wrap(Cluster cluster, ProxyProtocolVersion version)
    {
        foreach (var match in cluster.TransportSocketMatches) match.TransportSocket = Around(match.TransportSocket, version);
        if (cluster.TransportSocket is not null || cluster.TransportSocketMatches.Count == 0)
            cluster.TransportSocket = Around(cluster.TransportSocket ?? TlsContexts.Raw, version);
    }

    private static TransportSocket Around(TransportSocket inner, ProxyProtocolVersion version) => new()
    {
        Name = Name,
        TypedConfig = Parts.Pack(new ProxyProtocolUpstreamTransport
        {
            Config = new() { Version = version == ProxyProtocolVersion.V2 ? ProxyProtocolConfig.Types.Version.V2 : ProxyProtocolConfig.Types.Version.V1 },
            TransportSocket = inner,
        }),
    };
}

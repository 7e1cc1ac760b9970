using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Servers of Gateways that have an address and port of the same Pods in common, one for requests and one for TCP, both without TLS: nothing tells
/// connections of the two apart. Pure.</summary>
public static class GatewayProtocols
{
    private sealed record Place(Gateway Gateway, int Index, GatewayServer Server);

    public static Analyzer Analyzer { get; } = new("gateway.ProtocolAnalyzer", "Checks that Gateways do not have one port for requests and for TCP",
        [GatewayCodes.ProtocolUnserved], ["Gateway", "VirtualService"], mesh => mesh.Readable.SelectMany(Check));

    private static IEnumerable<Finding> Check(ClusterInventory cluster)
    {
        // As control planes order them: the first server takes all connections.
        var plain = cluster.Istio<Gateway>().OrderBy(gateway => gateway.CreatedAt).ThenBy(gateway => gateway.Source)
            .SelectMany(gateway => gateway.Servers.Index().Select(server => new Place(gateway, server.Index, server.Item)))
            .Where(place => place.Server.Tls is null && place.Server.Protocol != Protocol.Udp).ToList();
        foreach (var (i, place) in plain.Index())
        {
            if (plain.Take(i).FirstOrDefault(before => before.Gateway != place.Gateway && before.Server.Port == place.Server.Port
                && before.Server.Bind == place.Server.Bind && before.Server.Protocol.IsHttp() != place.Server.Protocol.IsHttp()
                && GatewayConflicts.SharePods(before.Gateway, place.Gateway) && Takes(cluster, before)) is not { } first) continue;
            yield return GatewayCodes.ProtocolUnserved.At(cluster, $"Gateway {place.Gateway.FullName}", $"spec.servers[{place.Index}].port",
                $"is {place.Server.Port} for {Word(place)}, and Gateway {first.Gateway.FullName}, which is older, has it for {Word(first)} on the same Pods: "
                    + "all connections go there, and this server is not served",
                $"use another port for one of the two, and open it in the Service of the gateway; or, if {Word(place)} was not meant, correct port.protocol");
        }
    }

    /// <summary>TCP without a route takes nothing.</summary>
    private static bool Takes(ClusterInventory cluster, Place place) => place.Server.Protocol.IsHttp()
        || cluster.Istio<VirtualService>().Any(service => service.Gateways.Contains(place.Gateway.FullName) && !service.Tcp.IsEmpty);

    private static string Word(Place place) => place.Server.Protocol.IsHttp() ? "HTTP" : "TCP";
}

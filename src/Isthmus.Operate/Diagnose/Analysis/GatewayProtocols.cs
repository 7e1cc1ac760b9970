using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Servers of Gateways that have an address and port of the same Pods in common, one for requests and one for TCP, both without TLS: nothing tells
/// connections of the two apart. Pure.</summary>
public static class GatewayProtocols
{
    /// <summary>A server that is not served.</summary>
    /// <param name="Taking">The server that takes its connections.</param>
    /// <param name="By">The Gateway of that server.</param>
    public sealed record Unserved(Gateway Gateway, int Index, GatewayServer Server, Gateway By, GatewayServer Taking)
    {
        public string Path => $"spec.servers[{Index}].port";

        public string Why => $"is {Server.Port} for {Word(Server)}, and Gateway {By.FullName}, which is older, has it for {Word(Taking)} on the same Pods: "
            + "all connections go there, and this server is not served";

        public string Remedy => $"use another port for one of the two, and open it in the Service of the gateway; or, if {Word(Server)} was not meant, correct "
            + "port.protocol";
    }

    private sealed record Place(Gateway Gateway, int Index, GatewayServer Server);

    public static Analyzer Analyzer { get; } = new("gateway.ProtocolAnalyzer", "Checks that Gateways do not have one port for requests and for TCP",
        [GatewayCodes.ProtocolUnserved], ["Gateway", "VirtualService"], mesh =>
            from cluster in mesh.Readable
            from found in In(cluster.Istio<Gateway>(), cluster.Istio<VirtualService>().ToList())
            select GatewayCodes.ProtocolUnserved.At(cluster, $"Gateway {found.Gateway.FullName}", found.Path, found.Why, found.Remedy));

    public static IEnumerable<Unserved> In(IEnumerable<Gateway> gateways, IReadOnlyList<VirtualService> routes)
    {
        // As control planes order them: the first server takes all connections.
        var plain = gateways.OrderBy(gateway => gateway.CreatedAt).ThenBy(gateway => gateway.Source)
            .SelectMany(gateway => gateway.Servers.Index().Select(server => new Place(gateway, server.Index, server.Item)))
            .Where(place => place.Server.Tls is null && place.Server.Protocol != Protocol.Udp).ToList();
        foreach (var (i, place) in plain.Index())
        {
            if (plain.Take(i).FirstOrDefault(before => before.Gateway != place.Gateway && before.Server.Port == place.Server.Port
                && before.Server.Bind == place.Server.Bind && before.Server.Protocol.IsHttp() != place.Server.Protocol.IsHttp()
                && GatewayConflicts.SharePods(before.Gateway, place.Gateway) && Takes(routes, before)) is { } first)
                yield return new(place.Gateway, place.Index, place.Server, first.Gateway, first.Server);
        }
    }

    /// <summary>TCP without a route takes nothing.</summary>
    private static bool Takes(IReadOnlyList<VirtualService> routes, Place place) => place.Server.Protocol.IsHttp()
        || routes.Any(service => service.Gateways.Contains(place.Gateway.FullName) && !service.Tcp.IsEmpty);

    private static string Word(GatewayServer server) => server.Protocol.IsHttp() ? "HTTP" : "TCP";
}

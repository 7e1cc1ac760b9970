using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Servers of one port that ask clients for different certificates, where a connection to one may carry requests for the other. Pure.</summary>
public static class ClientRules
{
    private sealed record Place(Gateway Gateway, int Index, GatewayServer Server)
    {
        public ServerTls Tls => Server.Tls!;

        public IEnumerable<string> Hosts => Server.Hosts.Select(host => host[(host.IndexOf('/', StringComparison.Ordinal) + 1)..]);

        public IEnumerable<string> Certificates =>
            Tls.Credentials.IsEmpty ? Tls.Files.Select(file => file.Certificate) : Tls.Credentials.Select(credential => credential.Name);
    }

    public static Analyzer Analyzer { get; } = new("gateway.ClientRuleAnalyzer",
        "Checks for servers of Gateways that connections for servers with other client certificates can reach",
        [OwnCodes.ClientRulesDiffer], ["Gateway"], mesh => mesh.Readable.SelectMany(Check));

    private static IEnumerable<Finding> Check(ClusterInventory cluster)
    {
        var places = cluster.Istio<Gateway>().SelectMany(gateway => gateway.Servers.Index().Select(server => new Place(gateway, server.Index, server.Item)))
            .Where(place => place.Server is { Protocol: Protocol.Https, Tls.Terminates: true }).ToList();
        return from one in places
               from other in places
               where one != other && (one.Server.Port, one.Server.Bind) == (other.Server.Port, other.Server.Bind)
                   && one.Tls.Clients != other.Tls.Clients && GatewayConflicts.SharePods(one.Gateway, other.Gateway)
               // Each pair once: at the server whose hosts cover the other's, or at the first.
               let covering = Cover(one, other)
               let shared = one.Certificates.Intersect(other.Certificates).FirstOrDefault()
               where covering || (shared is not null && places.IndexOf(one) < places.IndexOf(other) && !Cover(other, one))
               select OwnCodes.ClientRulesDiffer.At(cluster, $"Gateway {one.Gateway.FullName}", $"spec.servers[{one.Index}].tls",
                   $"connections for {string.Join(", ", one.Hosts)} get 421 (Misdirected Request) for {string.Join(", ", other.Hosts)}: "
                   + $"Gateway {other.Gateway.FullName} asks their clients for other certificates, and clients reuse HTTP/2 connections because "
                   + (covering ? "the hosts of one server cover those of the other" : $"both servers have the certificate {shared}"));
    }

    private static bool Cover(Place one, Place other) => one.Hosts.Any(host => other.Hosts.Any(inner => inner != host && Hosts.Covers(host, inner)));
}

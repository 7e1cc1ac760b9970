using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Hosts and ports that VirtualServices route to: they must exist in some cluster. Pure.</summary>
public static class VirtualServiceDestinations
{
    public static Analyzer Analyzer
    {
        get;
    } = new("virtualservice.DestinationHostAnalyzer", "Checks the hosts and ports of the destinations of VirtualServices",
        [IstioCodes.ReferencedResourceNotFound, IstioCodes.DestinationPortRequired], ["VirtualService", "Service"],
        mesh => mesh.Clusters.SelectMany(config => RouteDestinations.Of(config).Select(placed => Check(mesh, config, placed)).OfType<Finding>()));

    /// <summary>Clusters that were not read may have hosts and ports.</summary>
    private static Finding? Check(MeshSnapshot mesh, ConfigCluster config, PlacedDestination placed)
    {
        var to = placed.Destination;
        if (to.Host is "" or "*") return null;
        var known = mesh.Hosts.Find(to.Host);
        if (known.Count == 0)
            return !mesh.ReadsAll ? null : IstioCodes.ReferencedResourceNotFound.At(config.Cluster, placed.Name, $"{placed.Path}.host",
                $"Referenced host not found: \"{to.Host}\": no cluster has it as a Service or ServiceEntry, so {placed.Loss}",
                Nearest(mesh, to.Host));
        if (!known.Any(host => host.IsVisibleTo(placed.Owner.Namespace)))
            return IstioCodes.ReferencedResourceNotFound.At(config.Cluster, placed.Name, $"{placed.Path}.host",
                $"Referenced host not found: \"{to.Host}\" is not exported to namespace {placed.Owner.Namespace}",
                "export it to the namespace, or correct the host");
        var ports = known.SelectMany(host => host.Ports).Distinct().Order().ToList();
        if (to.Port != 0)
        {
            return ports.Contains(to.Port) || !mesh.ReadsAll ? null
                : IstioCodes.ReferencedResourceNotFound.At(config.Cluster, placed.Name, $"{placed.Path}.port.number",
                    $"Referenced host:port not found: \"{to.Host}:{to.Port}\": it has {(ports.Count == 0 ? "no ports" : string.Join(", ", ports))}, "
                        + $"so {placed.Loss}",
                    "correct the port, or add it to the Service");
        }
        // Without a port, requests go to the port at which they arrived.
        if (ports.Count < 2) return null;
        var arrival = ArrivalPorts(mesh, config, placed.Owner).ToList();
        if (arrival.Count == 0)
            return placed.Owner.ForSidecars && !mesh.ReadsAll ? null : IstioCodes.DestinationPortRequired.At(config.Cluster, placed.Name, placed.Path,
                $"{to.Host} has several ports ({string.Join(", ", ports)}), and nothing says at which one requests arrive", severity: Severity.Info);
        var missing = arrival.Except(ports).ToList();
        return missing.Count == 0 || !mesh.ReadsAll ? null
            : IstioCodes.DestinationPortRequired.At(config.Cluster, placed.Name, placed.Path,
                $"{to.Host} has several ports ({string.Join(", ", ports)}), but not {string.Join(", ", missing)}, at which requests arrive");
    }

    /// <summary>The ports at which proxies take requests for the hosts of a VirtualService.</summary>
    private static IEnumerable<int> ArrivalPorts(MeshSnapshot mesh, ConfigCluster config, VirtualService service) =>
        (service.ForSidecars ? service.Hosts.SelectMany(mesh.Hosts.Find).SelectMany(host => host.Ports) : [])
        .Concat(config.Cluster.Istio<Gateway>().Where(gateway => service.Gateways.Contains(gateway.FullName))
            .SelectMany(gateway => gateway.Servers.Where(server => service.Hosts.Any(host => Hosts.Admits(gateway, server, host, service.Namespace))))
            .Select(server => server.Port))
            .Distinct().Order();

    private static string? Nearest(MeshSnapshot mesh, string host) =>
        host.Split('.') is [var first, var second] && mesh.Readable.Any(cluster => cluster.Service(second, first) is not null)
            ? $"write {first}.{second}.svc.{WellKnown.DefaultDomainSuffix}: a name with a dot is taken as it is written"
        : host.Split('.') is not [var name, var ns, "svc", ..] ? null
        : mesh.Readable.SelectMany(cluster => cluster.Services).FirstOrDefault(service => service.Metadata.Name == name) is { } elsewhere
        ? $"write the host as {HostTable.NameOf(elsewhere)}, or create Service {ns}/{name}"
        : Spelling.Nearest(name,
            mesh.Readable.SelectMany(cluster => cluster.Services).Where(service => service.Metadata.Namespace == ns)
                .Select(service => service.Metadata.Name)) is { } near
        ? $"did you mean \"{near}\"?"
        : null;
}

using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Istio;

namespace Isthmus.Mesh.Generate;

/// <summary>NDS: the names that a sidecar's DNS server answers itself.</summary>
public static class NameTableGenerator
{
    /// <param name="hosts">What the scope sees; endpoints matter for headless hosts only.</param>
    public static NameTable Build(ProxyScope scope, IEnumerable<VisibleHost> hosts)
    {
        var table = new NameTable();
        foreach (var host in hosts)
        {
            var service = host.Service;
            if (service.Headless) AddHeadless(table, scope, host);
            else
            {
                var addresses = ServiceAddresses.For(service, scope).Items.Where(address => !ServiceAddresses.IsRange(address)).ToList();
                if (addresses.Count > 0) table.Table[service.Hostname] = Entry(service, addresses);
            }
        }
        return table;
    }

    /// <summary>Endpoints of the own network only: no gateway stands in for an address that is dialled. The own cluster's come first.</summary>
    private static void AddHeadless(NameTable table, ProxyScope scope, VisibleHost host)
    {
        var reachable = host.Endpoints
            .Where(endpoint => endpoint.Health == EndpointHealth.Ready && endpoint.Address.Length > 0)
            .Where(endpoint => scope.Network.Length == 0 || endpoint.Network.Length == 0 || endpoint.Network == scope.Network)
            .Where(endpoint => !host.Service.ClusterLocal || endpoint.Cluster == scope.Cluster)
            .OrderBy(endpoint => endpoint.Cluster != scope.Cluster).ThenBy(endpoint => endpoint.Cluster, StringComparer.Ordinal)
            .ToList();
        if (reachable.Count == 0) return;
        table.Table[host.Service.Hostname] = Entry(host.Service, reachable.Select(endpoint => endpoint.Address).Distinct());
        foreach (var named in reachable.Where(endpoint => endpoint.PodHostname.Length > 0).GroupBy(endpoint => endpoint.PodHostname))
        {
            var first = named.First().Cluster;
            var entry = Entry(host.Service, named.Where(endpoint => endpoint.Cluster == first).Select(endpoint => endpoint.Address).Distinct());
            entry.Shortname = $"{named.Key}.{host.Service.Name}";
            table.Table[$"{named.Key}.{host.Service.Hostname}"] = entry;
        }
    }

    private static NameTable.Types.NameInfo Entry(MeshService service, IEnumerable<string> addresses)
    {
        var entry = new NameTable.Types.NameInfo { Registry = service.FromServiceEntry ? "External" : "Kubernetes" };
        entry.Ips.AddRange(addresses);
        if (!service.FromServiceEntry) (entry.Shortname, entry.Namespace) = (service.Name, service.Namespace);
        return entry;
    }
}

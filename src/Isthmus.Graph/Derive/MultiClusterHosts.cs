using Isthmus.Core.Collections;
using Isthmus.Core.Live;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;

namespace Isthmus.Graph.Derive;

/// <summary>Makes a host under clusterset.local of the Services that clusters export (Kubernetes' multi-cluster services API).</summary>
internal sealed class MultiClusterHosts(MeshSources sources, MultiClusterSettings settings, HostDerivation hosts)
{
    /// <summary>Whether a cluster's endpoints of its Service are for that cluster alone, because it does not export it.</summary>
    public bool IsWithheld(Reader read, ClusterService service) => settings.Discovery && ExportOf(read, service) is null;

    /// <summary>The Services of the exporting clusters as one host, as their oldest export has it; null when none exports it.</summary>
    public MeshService? HostOf(Reader read, ValueList<ClusterService> services, IEnumerable<string> clusters)
    {
        if (!settings.Host) return null;
        var exported = ExportedServices.Ordered(services.Where(service => service.ExternalName.Length == 0)
            .Select(service => (service, export: ExportOf(read, service))).Where(item => item.export is not null)
            .Select(item => new ExportedService(item.export!, item.service)));
        if (exported.Count == 0 || hosts.IsClusterLocal(read, exported[0].Service.Hostname)) return null;
        var merged = hosts.Merge(read, exported.Select(one => one.Service).ToList());
        return merged with
        {
            Hostname = MultiClusterSettings.HostOf(merged.Name, merged.Namespace),
            Ports = PortsOf(exported),
            // Addresses that another controller of the API assigned; those of Isthmus come from the allocator.
            Vips = merged.Headless ? default : clusters
                .Select(cluster => KeyValuePair.Create(cluster,
                    read.Get(sources.Imports, new ObjectKey(cluster, merged.Namespace, merged.Name)) is { Managed: false } import ? import.Ips : default))
                .Where(item => !item.Value.IsEmpty).ToValueMap(),
            ClusterLocal = false,
            ExportOf = merged.Hostname,
        };
    }

    /// <summary>The endpoints of the exported host: those of the exporting clusters.</summary>
    public static EndpointSet EndpointsOf(MeshService host, ValueList<EndpointSet> sets) => new(
        host.Hostname,
        sets.SelectMany(set => set.Endpoints).Where(endpoint => host.Clusters.Contains(endpoint.Cluster))
            .Select(endpoint => endpoint with { Hostname = host.Hostname }).ToValueList());

    private static ValueList<ServicePort> PortsOf(List<ExportedService> exported)
    {
        var ports = exported.SelectMany(one => one.Service.Ports).ToList();
        return ExportedServices.Ports(exported)
            .Select(offered => ports.Find(port => port.Name == offered.Name && port.Number == offered.Number
                && port.Protocol == Protocol.Udp == (offered.Protocol == "UDP")))
            .OfType<ServicePort>().ToValueList();
    }

    private ServiceExport? ExportOf(Reader read, ClusterService service) =>
        read.Get(sources.Exports, new ObjectKey(service.Cluster, service.Namespace, service.Name)) is { Problem: "" } export ? export : null;
}

using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Objects that claim hosts or addresses of others, and get nothing for it. Pure.</summary>
public static class ForeignClaims
{
    public static Analyzer Analyzer
    {
        get;
    } = new("serviceentry.OwnerAnalyzer", "Checks for ServiceEntries that claim a host or an address of another namespace",
        [OwnCodes.AddressOfAnother, OwnCodes.HostOfAnother], ["ServiceEntry", "Service"], mesh =>
    {
        var services = mesh.Readable.SelectMany(cluster => cluster.Services.SelectMany(service => IpsOf(service)
            .Select(ip => (ip, Owner: $"Service {service.Key} in {cluster.Context}"))))
            .ToLookup(item => item.ip, item => item.Owner);
        var pods = mesh.Readable.SelectMany(PodsOf).ToLookup(item => item.Ip, item => (item.Pod, item.Cluster));
        return mesh.Readable.SelectMany(cluster => cluster.Istio<ServiceEntry>()
            .SelectMany(entry => Hosts(mesh, cluster, entry).Concat(Addresses(entry, services, pods))
                .Select(problem => new Finding(cluster.Context, problem))));
    });

    /// <summary>VirtualServices and DestinationRules for hosts of others, where hosts are owned.</summary>
    public static Analyzer Granted
    {
        get;
    } = new("virtualservice.OwnerAnalyzer",
        "Checks that VirtualServices and DestinationRules configure hosts of their namespace, or hosts that are granted to it, where MeshConfig says so",
        [OwnCodes.HostNotGranted], ["VirtualService", "DestinationRule", "Service", "ServiceEntry", "Namespace"], mesh =>
        from cluster in mesh.Readable
        where cluster.Mesh is { HostsAreOwned: true }
        let rules = cluster.Istio<DestinationRule>().Select(rule => (rule.Source, Path: "spec.host", rule.Host))
        let routings = cluster.Istio<VirtualService>()
            .SelectMany(routing => routing.Hosts.Index().Where(host => routing.ForSidecars || HostOwners.NamespaceOf(host.Item) != HostOwners.Everybody)
                .Select(host => (routing.Source, Path: $"spec.hosts[{host.Index}]", Host: host.Item)))
        from named in rules.Concat(routings)
        let owner = OwnerOf(mesh, named.Host)
        where owner.Namespace.Length > 0 && !HostOwners.MayConfigure(named.Source.Namespace, owner.Namespace, owner.Grants, cluster.RootNamespace)
        select new Finding(cluster.Context, HostOwners.NotGranted(named.Source, named.Path, named.Host, owner.Namespace)));

    private static (string Namespace, ValueList<string> Grants) OwnerOf(MeshSnapshot mesh, string host)
    {
        var known = host.StartsWith('*') ? [] : mesh.Hosts.Find(host).Where(other => other.Service is not null || other.Entry!.Hosts.Contains(host)).ToList();
        if (known.Find(other => other.Service is not null) is { Service: { } service, Cluster: var of })
            return (service.Metadata.Namespace, GrantsOf(of, service.Metadata.Namespace).Concat(HostOwners.Grants(service.Metadata.Annotations)).ToValueList());
        var entry = known.Where(other => HostOwners.MayName(other.Entry!.Namespace, host, other.Cluster.RootNamespace))
            .MinBy(other => (other.Entry!.CreatedAt, other.Entry.Source));
        return entry is { Entry: { } first }
            ? (first.Namespace, GrantsOf(entry.Cluster, first.Namespace).ToValueList())
            : (HostOwners.NamespaceOf(host), default);
    }

    private static IEnumerable<string> GrantsOf(ClusterInventory cluster, string ns) =>
        cluster.Namespaces.Where(known => known.Metadata.Name == ns).SelectMany(known => HostOwners.Grants(known.Metadata.Annotations));

    private static IEnumerable<Problem> Hosts(MeshSnapshot mesh, ClusterInventory cluster, ServiceEntry entry)
    {
        foreach (var (index, host) in entry.Hosts.Index())
        {
            var known = mesh.Hosts.Find(HostOwners.ServiceHost(host))
                .FirstOrDefault(other => other.Service is { } service && HostTable.NameOf(service) == HostOwners.ServiceHost(host));
            if (known?.Service is { } service)
            {
                if (!HostOwners.MayConfigure(entry.Namespace, service.Metadata.Namespace, OwnerOf(mesh, HostOwners.ServiceHost(host)).Grants,
                    service.Metadata.Namespace))
                    yield return HostOwners.Host(entry, index, $"is the host of Service {service.Key} in {known.Cluster.Context}");
            }
            else if (!HostOwners.MayName(entry.Namespace, host, cluster.RootNamespace)
                && !GrantsOf(cluster, HostOwners.NamespaceOf(host)).Any(granted => granted == entry.Namespace || granted == HostOwners.Everybody))
                yield return HostOwners.Host(entry, index, HostOwners.WhoseName(host));
            else if (Older(mesh, entry, host) is { } older && older.Namespace != entry.Namespace)
                yield return HostOwners.Host(entry, index, $"is the host of the older ServiceEntry {older.Namespace}/{older.Name}");
        }
    }

    /// <summary>The oldest entry that may define the host, if it is older than this one and of a cluster that the same control planes may read.</summary>
    private static ServiceEntry? Older(MeshSnapshot mesh, ServiceEntry entry, string host) => mesh.Readable
        .Where(cluster => cluster.Istio<ServiceEntry>().Contains(entry))
        .SelectMany(cluster => cluster.Istio<ServiceEntry>()
            .Where(other => other.Hosts.Contains(host) && HostOwners.MayName(other.Namespace, host, cluster.RootNamespace)))
        .MinBy(other => (other.CreatedAt, other.Source));

    private static IEnumerable<Problem> Addresses(ServiceEntry entry, ILookup<string, string> services, ILookup<string, (Pod Pod, string Cluster)> pods)
    {
        foreach (var (index, address) in entry.Addresses.Index())
        {
            if (address.Single is not { } single) continue;
            if (services[single.ToString()].FirstOrDefault() is { } owner) yield return HostOwners.Address(entry, index, owner);
            else if (pods[single.ToString()].FirstOrDefault(item => item.Pod.Metadata.Namespace != entry.Namespace) is { Pod: { } pod, Cluster: { } context })
                yield return HostOwners.Address(entry, index, $"Pod {pod.Metadata.Namespace}/{pod.Metadata.Name} in {context}");
        }
    }

    private static IEnumerable<string> IpsOf(Service service) =>
        service.Spec.Type == "ExternalName" ? [] : service.Spec.ClusterIPs.Append(service.Spec.ClusterIP).Where(ip => ip is not ("" or "None")).Distinct();

    /// <summary>The Pods with an address of their own, not that of their Node.</summary>
    private static IEnumerable<(string Ip, Pod Pod, string Cluster)> PodsOf(ClusterInventory cluster)
    {
        var nodes = cluster.Nodes.SelectMany(node => node.Status.Addresses).Select(address => address.Address).ToHashSet(StringComparer.Ordinal);
        return from pod in cluster.Pods where pod.Status.PodIP.Length > 0 && !nodes.Contains(pod.Status.PodIP) select (pod.Status.PodIP, pod, cluster.Context);
    }
}

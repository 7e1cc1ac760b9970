using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>ServiceEntries that claim hosts or addresses of others, and get nothing for it. Pure.</summary>
public static class ForeignClaims
{
    public static Analyzer Analyzer { get; } = new("serviceentry.OwnerAnalyzer", "Checks for ServiceEntries that claim a host or an address of another namespace", [OwnCodes.AddressOfAnother, OwnCodes.HostOfAnother], ["ServiceEntry", "Service"], mesh =>
    {
        var services = mesh.Readable.SelectMany(cluster => cluster.Services.SelectMany(service => IpsOf(service).Select(ip => (ip, Owner: $"Service {service.Key} in {cluster.Context}")))).ToLookup(item => item.ip, item => item.Owner);
        var pods = mesh.Readable.SelectMany(PodsOf).ToLookup(item => item.Ip, item => (item.Pod, item.Cluster));
        return mesh.Readable.SelectMany(cluster => cluster.Istio<ServiceEntry>().SelectMany(entry => Hosts(mesh, cluster, entry).Concat(Addresses(entry, services, pods)).Select(problem => new Finding(cluster.Context, problem))));
    });

    private static IEnumerable<Problem> Hosts(MeshSnapshot mesh, ClusterInventory cluster, ServiceEntry entry)
    {
        foreach (var (index, host) in entry.Hosts.Index())
        {
            var known = mesh.Hosts.Find(HostOwners.ServiceHost(host)).FirstOrDefault(other => other.Service is { } service && HostTable.NameOf(service) == HostOwners.ServiceHost(host));
            if (known?.Service is { } service)
            {
                if (service.Metadata.Namespace != entry.Namespace) yield return HostOwners.Host(entry, index, $"is the host of Service {service.Key} in {known.Cluster.Context}");
            }
            else if (!HostOwners.MayName(entry.Namespace, host, cluster.RootNamespace)) yield return HostOwners.Host(entry, index, HostOwners.WhoseName(host));
            else if (Older(mesh, entry, host) is { } older && older.Namespace != entry.Namespace) yield return HostOwners.Host(entry, index, $"is the host of the older ServiceEntry {older.Namespace}/{older.Name}");
        }
    }

    /// <summary>The oldest entry that may define the host, if it is older than this one and of a cluster that the same control planes may read.</summary>
    private static ServiceEntry? Older(MeshSnapshot mesh, ServiceEntry entry, string host) => mesh.Readable
        .Where(cluster => cluster.Istio<ServiceEntry>().Contains(entry)).SelectMany(cluster => cluster.Istio<ServiceEntry>().Where(other => other.Hosts.Contains(host) && HostOwners.MayName(other.Namespace, host, cluster.RootNamespace)))
        .MinBy(other => (other.CreatedAt, other.Source));

    private static IEnumerable<Problem> Addresses(ServiceEntry entry, ILookup<string, string> services, ILookup<string, (Pod Pod, string Cluster)> pods)
    {
        foreach (var (index, address) in entry.Addresses.Index())
        {
            if (HostOwners.Single(address) is not { } single) continue;
            if (services[single].FirstOrDefault() is { } owner) yield return HostOwners.Address(entry, index, owner);
            else if (pods[single].FirstOrDefault(item => item.Pod.Metadata.Namespace != entry.Namespace) is { Pod: { } pod, Cluster: { } context }) yield return HostOwners.Address(entry, index, $"Pod {pod.Metadata.Namespace}/{pod.Metadata.Name} in {context}");
        }
    }

    private static IEnumerable<string> IpsOf(Service service) => service.Spec.Type == "ExternalName" ? [] : service.Spec.ClusterIPs.Append(service.Spec.ClusterIP).Where(ip => ip is not ("" or "None")).Distinct();

    /// <summary>The Pods with an address of their own, not that of their Node.</summary>
    private static IEnumerable<(string Ip, Pod Pod, string Cluster)> PodsOf(ClusterInventory cluster)
    {
        var nodes = cluster.Nodes.SelectMany(node => node.Status.Addresses).Select(address => address.Address).ToHashSet(StringComparer.Ordinal);
        return from pod in cluster.Pods where pod.Status.PodIP.Length > 0 && !nodes.Contains(pod.Status.PodIP) select (pod.Status.PodIP, pod, cluster.Context);
    }
}

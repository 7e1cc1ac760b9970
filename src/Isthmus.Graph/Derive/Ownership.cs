using Isthmus.Core.Collections;
using Isthmus.Core.Live;
using Isthmus.Core.Net;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;

namespace Isthmus.Graph.Derive;

/// <summary>
/// Whose addresses and hosts are: those of a Service are the Service's, that of a Pod the Pod's, an allocated one is its host's, a host of several
/// ServiceEntries the oldest one's. Who claims what is another's gets nothing for it.
/// </summary>
internal sealed class Ownership(
    MeshSources sources, WorkloadIndex workloads, Live<string, ValueList<ClusterService>> byHost, Live<string, ClusterIds> clusterIds,
    Live<ObjectKey, ServiceEntry> entries)
{
    private readonly Live<Address, ValueList<ClusterService>> _services = sources.Services.GroupByMany(
        service => service.ClusterIps, "services by address");
    private readonly Live<Address, ValueList<Workload>> _pods = workloads.All.GroupByMany(workload => workload.IsPod
        ? workload.Addresses
        : (IEnumerable<Address>)[],
        "pods by address");
    private readonly Live<Address, ValueList<NodeFacts>> _nodes = sources.Nodes.GroupByMany(
        node => node.InternalAddresses.Concat(node.ExternalAddresses).Select(address => address.Ip).OfType<Address>(), "nodes by address");
    private readonly Live<Address, ValueList<AllocatedAddress>> _allocated = sources.Allocated.GroupByMany(given => given.Addresses, "allocated by address");
    private readonly Live<Address, ValueList<ServiceEntry>> _claims = entries.GroupByMany(
        entry => entry.Addresses.Select(address => address.Single).OfType<Address>(), "entries by address");

    /// <summary>Whether an entry may define a host: the name is not of another namespace, and no Service of another one has it.</summary>
    public bool MayDefine(Reader read, ServiceEntry entry, string host) =>
        ServiceOf(read, entry, host) is null && IsOwnName(read, entry, host);

    /// <summary>The Service of another namespace that has the host, and does not grant it to the entry's.</summary>
    private ClusterService? ServiceOf(Reader read, ServiceEntry entry, string host) =>
        read.Get(byHost, HostOwners.ServiceHost(host)) is { IsEmpty: false } services && services[0].Namespace is var owner && owner != entry.Namespace
        && !services.Any(service => Grants(service.Grants, entry)) && !IsGranted(read, entry, owner) ? services[0] : null;

    private bool IsOwnName(Reader read, ServiceEntry entry, string host) =>
        HostOwners.MayName(entry.Namespace, host, Root(read)) || IsGranted(read, entry, HostOwners.NamespaceOf(host))
        || read.Get(byHost, HostOwners.ServiceHost(host)).Any(service => Grants(service.Grants, entry));

    /// <summary>Whether a namespace lets that of an entry configure its hosts.</summary>
    private bool IsGranted(Reader read, ServiceEntry entry, string owner) =>
        Grants(read.Get(sources.Namespaces, new ObjectKey(entry.Source.Cluster, "", owner))?.Grants ?? default, entry);

    private static bool Grants(ValueList<string> grants, ServiceEntry entry) => grants.Contains(entry.Namespace) || grants.Contains(HostOwners.Everybody);

    /// <summary>The hosts that an object names and its namespace may not configure.</summary>
    /// <param name="hosts">Each with where the object names it.</param>
    /// <param name="known">The hosts of the mesh.</param>
    public IEnumerable<Problem> NotGranted(Reader read, ObjectRef source, IEnumerable<(string Path, string Host)> hosts, Live<string, MeshService> known)
    {
        if (read.Get(sources.Settings, "") is not { Mesh: { HostsAreOwned: true } mesh }) yield break;
        foreach (var (path, host) in hosts)
        {
            var service = read.Get(known, host);
            var owner = service?.Namespace ?? HostOwners.NamespaceOf(host);
            if (owner.Length > 0 && !HostOwners.MayConfigure(source.Namespace, owner, service?.Grants ?? default, mesh.RootNamespace))
                yield return HostOwners.NotGranted(source, path, host, owner);
        }
    }

    /// <summary>Cluster → those of an entry's addresses that are another's there.</summary>
    /// <param name="hostname">The host that has the addresses.</param>
    public ValueMap<ValueList<AddressOrRange>> Foreign(Reader read, string hostname, string ns, ValueList<AddressOrRange> addresses)
    {
        Dictionary<string, List<AddressOrRange>>? found = null;
        foreach (var address in addresses)
        {
            if (address.Single is not { } single) continue;
            foreach (var cluster in TakenIn(read, single, hostname, ns).Select(owner => owner.Cluster).Distinct())
            {
                found ??= new(StringComparer.Ordinal);
                (found.TryGetValue(cluster, out var taken) ? taken : found[cluster] = []).Add(address);
            }
        }
        return found is null ? default : found.Select(item => KeyValuePair.Create(item.Key, item.Value.ToValueList())).ToValueMap();
    }

    /// <summary>The clusters in which an address is another's, and whose it is.</summary>
    private IEnumerable<(string Cluster, string Owner)> TakenIn(Reader read, Address address, string hostname, string ns)
    {
        foreach (var service in read.Get(_services, address)) yield return (service.Cluster, service.Source.ToString());
        foreach (var given in read.Get(_allocated, address).Where(given => given.Hostname != hostname))
            foreach (var cluster in Clusters(read)) yield return (cluster, $"{given.Hostname}, which the mesh allocated for it");
        // A Pod is dialled from all clusters of its network.
        foreach (var pod in PodsAt(read, address).Where(pod => pod.Source.Namespace != ns))
            foreach (var cluster in Clusters(read)
                .Where(cluster => cluster == pod.Source.Cluster || NetworkOf(read, cluster) == NetworkOf(read, pod.Source.Cluster)))
                yield return (cluster, pod.Source.ToString());
    }

    /// <summary>Whether an endpoint's address is a Pod's of another namespace, or a Service's.</summary>
    /// <param name="pod">The Pod that the endpoint is said to be; null for none.</param>
    public bool IsBorrowed(Reader read, string cluster, string ns, Address address, Workload? pod)
    {
        if (pod is not null && pod.Source.Namespace == ns && pod.Addresses.Contains(address)) return false;
        if (read.Get(_services, address).Any(service => service.Cluster == cluster)) return true;
        var there = PodsAt(read, address).Where(known => known.Source.Cluster == cluster).ToList();
        return there.Count > 0 && there.TrueForAll(known => known.Source.Namespace != ns);
    }

    /// <summary>The Pods with an address of their own, not that of their Node.</summary>
    private ValueList<Workload> PodsAt(Reader read, Address address) =>
        read.Get(_pods, address) is { IsEmpty: false } pods && read.Get(_nodes, address).IsEmpty ? pods : default;

    /// <summary>What an entry claims and does not get.</summary>
    /// <param name="owners">The hosts of all entries.</param>
    public IEnumerable<Problem> Claims(Reader read, ServiceEntry entry, Live<string, MeshService> owners)
    {
        foreach (var (index, host) in entry.Hosts.Index())
        {
            if (ServiceOf(read, entry, host) is { } service) yield return HostOwners.Host(entry, index, $"is the host of {service.Source}");
            else if (!IsOwnName(read, entry, host)) yield return HostOwners.Host(entry, index, HostOwners.WhoseName(host));
            else if (read.Get(owners, host) is { } known && known.Namespace != entry.Namespace)
                yield return HostOwners.Host(entry, index, $"is the host of the older {known.Sources[0]}");
        }
        foreach (var (index, address) in entry.Addresses.Index())
        {
            if (address.Single is not { } single) continue;
            if (TakenIn(read, single, entry.Hosts.IsEmpty ? "" : entry.Hosts[0], entry.Namespace).FirstOrDefault() is { Cluster: not null } owner)
                yield return HostOwners.Address(entry, index, owner.Owner);
            else if (Older(read, entry, single) is { } older) yield return HostOwners.Address(entry, index, $"the older {older.Source}");
        }
    }

    private ServiceEntry? Older(Reader read, ServiceEntry entry, Address address) => read.Get(_claims, address)
        .Where(other => other.Namespace != entry.Namespace && (other.CreatedAt, other.Source).CompareTo((entry.CreatedAt, entry.Source)) < 0
            && SeenBySame(entry, other))
        .MinBy(other => (other.CreatedAt, other.Source));

    /// <summary>Whether some namespace may see both.</summary>
    private static bool SeenBySame(ServiceEntry one, ServiceEntry other) =>
        Namespaces(one).Overlaps(Namespaces(other)) || Namespaces(one).Contains("*") || Namespaces(other).Contains("*");

    private static HashSet<string> Namespaces(ServiceEntry entry) =>
        entry.ExportTo.IsEmpty ? ["*"] : [.. entry.ExportTo.Select(target => target == "." ? entry.Namespace : target)];

    private ValueList<string> Clusters(Reader read) => read.Get(clusterIds, "")?.Ids ?? default;

    private string NetworkOf(Reader read, string cluster) => read.Get(sources.Namespaces, new ObjectKey(cluster, "", Root(read)))?.Network ?? "";

    private string Root(Reader read) => (read.Get(sources.Settings, "") ?? MeshSettings.Default).Mesh.RootNamespace;
}

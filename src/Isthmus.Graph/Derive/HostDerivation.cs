using Isthmus.Core.Collections;
using Isthmus.Core.Live;
using Isthmus.Core.Net;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;

namespace Isthmus.Graph.Derive;

/// <summary>Makes one host of the Services of the same name and namespace in every cluster, and of ServiceEntries.</summary>
internal sealed class HostDerivation(MeshSources sources, MultiClusterSettings multiCluster)
{
    /// <summary>
    /// The first definition (config cluster, then cluster ID) supplies labels, type and ports; the others add their
    /// addresses, and the ports that it lacks. Endpoints are joined by port number, so port names may differ.
    /// </summary>
    public MeshService Merge(Reader read, ValueList<ClusterService> services) => Merge(read, Ordered(read, services));

    /// <param name="ordered">Not empty; the first decides.</param>
    public MeshService Merge(Reader read, IReadOnlyList<ClusterService> ordered)
    {
        var first = ordered[0];
        var mesh = Settings(read).Mesh;
        return new(
            first.Hostname, first.Name, first.Namespace, United(ordered.SelectMany(service => service.Ports)),
            first.Headless ? Resolution.Original : Resolution.Endpoints,
            ordered.Where(service => !service.ClusterIps.IsEmpty).Select(service => KeyValuePair.Create(service.Cluster, service.ClusterIps)).ToValueMap(),
            default, default, default,
            ordered.Select(service => service.Cluster).ToValueList(),
            first.Labels,
            first.ExportTo.IsEmpty ? mesh.DefaultServiceExportTo : first.ExportTo,
            false, false, multiCluster.ClusterLocal || ServiceAgreement.IsClusterLocal(first.Hostname, mesh),
            ordered.Select(service => service.Source).ToValueList())
        {
            Distribution = first.Distribution ?? OfNamespace(read, first.Source),
            NodeLocal = first.NodeLocal,
            Grants = Grants(read, first.Source, first.Grants),
            HeadlessElsewhere = !first.Headless && ordered.Any(service => service.Headless),
        };
    }

    /// <summary>The definitions of a host; the first decides.</summary>
    private List<ClusterService> Ordered(Reader read, ValueList<ClusterService> services) =>
        [.. services.OrderBy(service => read.Get(sources.Clusters, service.Cluster) is not { IsConfig: true })
            .ThenBy(service => service.Cluster, StringComparer.Ordinal)];

    /// <summary>What a Service of type ExternalName is an alias of, as it says itself; null for other Services.</summary>
    public HostAlias? AliasOf(Reader read, ValueList<ClusterService> services)
    {
        var first = Ordered(read, services)[0];
        if (first.ExternalName.Length == 0) return null;
        return new(first.Hostname, first.ExternalName, first.Namespace, first.ExportTo.IsEmpty ? Settings(read).Mesh.DefaultServiceExportTo : first.ExportTo);
    }

    /// <summary>The oldest entry of a host supplies the single-valued fields; addresses, ports and accounts of all entries
    /// are merged.</summary>
    public MeshService MergeEntries(Reader read, string host, ValueList<ServiceEntry> entries, Ownership ownership)
    {
        var ordered = entries.OrderBy(entry => entry.CreatedAt).ThenBy(entry => entry.Source).ToList();
        var first = ordered[0];
        var mesh = Settings(read).Mesh;
        var same = ordered.Where(entry => entry.Namespace == first.Namespace).ToList();
        var addresses = same.SelectMany(entry => entry.Addresses).Distinct().ToValueList();
        return new(
            host, host, first.Namespace,
            United(same.SelectMany(entry => entry.Ports)),
            first.Resolution switch
            {
                EntryResolution.Static => Resolution.Endpoints,
                EntryResolution.Dns => Resolution.Dns,
                EntryResolution.DnsRoundRobin => Resolution.DnsRoundRobin,
                EntryResolution.DynamicDns => Resolution.DynamicDns,
                _ => Resolution.Original,
            },
            default, addresses, default,
            same.SelectMany(entry => entry.SubjectAltNames).Distinct().ToValueList(),
            default, default,
            first.ExportTo.IsEmpty ? mesh.DefaultServiceExportTo : first.ExportTo,
            first.External, true, ServiceAgreement.IsClusterLocal(host, mesh),
            same.Select(entry => entry.Source).ToValueList())
        {
            Distribution = first.Distribution ?? OfNamespace(read, first.Source),
            RacesAddresses = first.RacesAddresses,
            Foreign = ownership.Foreign(read, host, first.Namespace, addresses),
            CreatedAt = first.CreatedAt,
            Grants = Grants(read, first.Source, default),
        };
    }

    private ValueList<string> Grants(Reader read, ObjectRef source, ValueList<string> own) =>
        own.Union(read.Get(sources.Namespaces, new ObjectKey(source.Cluster, "", source.Namespace))?.Grants ?? default).ToValueList();

    private TrafficDistribution OfNamespace(Reader read, ObjectRef source) =>
        read.Get(sources.Namespaces, new ObjectKey(source.Cluster, "", source.Namespace))?.Distribution ?? TrafficDistribution.Any;

    /// <summary>
    /// Whether the host needs an allocated address: it has none otherwise, or some cluster lacks the host.
    /// Wildcard ServiceEntries and those with resolution NONE get none: the address could not identify one name.
    /// </summary>
    public bool NeedsAddress(MeshService service, IEnumerable<string> clusters)
    {
        if (service.FromServiceEntry)
            return service.Resolution != Resolution.Original && !service.Hostname.StartsWith('*')
                && (service.Addresses.IsEmpty || clusters.Any(cluster => Lacks(service, cluster)));
        if (service.Resolution != Resolution.Endpoints || service.ClusterLocal || service.Pod is { OnlyForGateways: true }) return false;
        return clusters.Any(cluster => !service.Vips.ContainsKey(cluster));
    }

    private static bool Lacks(MeshService service, string cluster) => !service.Vips.ContainsKey(cluster) && service.AddressesIn(cluster).IsEmpty;

    /// <summary>The host with its allocated addresses for every cluster that lacks one.</summary>
    public MeshService WithAllocated(MeshService service, ValueList<Address> addresses, IEnumerable<string> clusters)
    {
        if (addresses.IsEmpty || !NeedsAddress(service, clusters)) return service;
        return service with
        {
            Allocated = clusters.Where(cluster => Lacks(service, cluster)).Select(cluster => KeyValuePair.Create(cluster, addresses)).ToValueMap(),
        };
    }

    /// <summary>Conflicting definitions of a host: the mesh keeps working, but not as every definition intends.</summary>
    public IEnumerable<Problem> Disagreements(Reader read, ValueList<ClusterService> services)
    {
        if (services.Count < 2) yield break;
        var merged = Merge(read, services);
        if (merged.ClusterLocal) yield break; // It is local to each cluster, so not one host.
        var first = services.First(service => service.Source == merged.Sources[0]);
        foreach (var problem in services.Where(service => service.Source != first.Source).SelectMany(other => ServiceAgreement.Differences(first, other)))
            yield return problem;
    }

    /// <summary>The first port with each number; UDP numbers are separate.</summary>
    private static ValueList<ServicePort> United(IEnumerable<ServicePort> ports) =>
        ports.DistinctBy(port => (port.Number, port.Protocol == Protocol.Udp)).ToValueList();

    /// <summary>The end of a chain of aliases; null for a chain that leads back to itself.</summary>
    public static string? EndOf(Reader read, Live<string, HostAlias> aliases, HostAlias first)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal) { first.Hostname };
        var target = first.Target;
        while (read.Get(aliases, target) is { } next)
        {
            if (!seen.Add(target)) return null;
            target = next.Target;
        }
        return target;
    }

    public bool IsClusterLocal(Reader read, string host) => ServiceAgreement.IsClusterLocal(host, Settings(read).Mesh);

    private MeshSettings Settings(Reader read) => read.Get(sources.Settings, "") ?? MeshSettings.Default;
}

using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Istio;

namespace Isthmus.Mesh.Generate;

/// <summary>A host that a name table has.</summary>
/// <param name="Endpoints">Only for headless hosts and their Pods.</param>
public readonly record struct NamedHost(MeshService Service, ValueList<MeshEndpoint> Endpoints);

/// <summary>All inputs of a name table.</summary>
public sealed record NameTableInputs(NameCaller Caller, ValueList<NamedHost> Hosts)
{
    /// <param name="hosts">The hosts that the callers see.</param>
    public static NameTableInputs Of(NameCaller caller, IReadOnlyCollection<VisibleHost> hosts) => new(
        hosts.Any(host => !host.Service.Aliases.IsEmpty) ? caller : caller with { Namespace = "" },
        hosts.Select(host => new NamedHost(host.Service, host.Endpoints)).ToValueList());
}

/// <summary>NDS: the names that a sidecar's DNS server resolves itself.</summary>
public static class NameTableGenerator
{
    public static NameTable Build(NameTableInputs inputs)
    {
        var table = new NameTable();
        var (caller, all) = (inputs.Caller, inputs.Hosts);
        var far = all.Where(host => host.Service.Pod is not null).ToLookup(host => host.Service.Pod!.Hostname, StringComparer.Ordinal);
        foreach (var host in all)
        {
            var service = host.Service;
            if (service.Pod is not null) continue; // added with its headless host
            if (service.Headless) AddHeadless(table, host, Near(caller, host).Concat(Pods(far, service).SelectMany(pod => Far(caller, pod, service))).ToList());
            else
            {
                var addresses = ServiceAddresses.For(service, caller.Addresses).Where(address => !address.IsRange).Select(address => address.Address).ToList();
                if (addresses.Count == 0) continue;
                table.Table[service.Hostname] = Entry(service, addresses);
                foreach (var alias in service.Aliases.Where(alias => alias.VisibleTo(caller.Namespace))) table.Table[alias.Hostname] = Entry(alias, addresses);
            }
        }
        return table;
    }

    /// <param name="Name">Its label in DNS; empty when it has none.</param>
    /// <param name="FullName">The name that includes the cluster; empty while there is only one network.</param>
    private readonly record struct Member(Address Address, string Name, string FullName, string Cluster);

    /// <summary>Endpoints that are dialled directly.</summary>
    private static IEnumerable<Member> Near(NameCaller caller, NamedHost host) => host.Endpoints
        .Where(endpoint => endpoint is { Health: EndpointHealth.Ready, Address.Ip: not null })
        .Where(endpoint => caller.Network.Length == 0 || endpoint.Network.Length == 0 || endpoint.Network == caller.Network)
        .Where(endpoint => !(host.Service.ClusterLocal || endpoint.Withheld) || endpoint.Cluster == caller.Addresses.Cluster)
        .OrderBy(endpoint => endpoint.Cluster != caller.Addresses.Cluster).ThenBy(endpoint => endpoint.Cluster, StringComparer.Ordinal)
        .Select(endpoint => new Member(endpoint.Address.Ip!.Value, endpoint.PodHostname,
            endpoint.Network.Length > 0 && endpoint.PodHostname.Length > 0
                ? HeadlessPod.NameOf(endpoint.PodHostname, endpoint.Cluster, host.Service.Hostname)
                : "",
            endpoint.Cluster));

    /// <summary>An exported headless host has the Pods of the clusters that export it.</summary>
    private static IEnumerable<NamedHost> Pods(ILookup<string, NamedHost> far, MeshService service) => service.ExportOf.Length == 0
        ? far[service.Hostname] : far[service.ExportOf].Where(host => service.Clusters.Contains(host.Service.Pod!.Cluster));

    /// <summary>A Pod behind a gateway: it has the address that was allocated for it.</summary>
    private static IEnumerable<Member> Far(NameCaller caller, NamedHost host, MeshService service)
    {
        if (host.Endpoints.FirstOrDefault(endpoint => endpoint.Health == EndpointHealth.Ready) is not { } endpoint) return [];
        return ServiceAddresses.For(host.Service,
            caller.Addresses).Items.Select(address => new Member(address.Address, endpoint.PodHostname,
                HeadlessPod.NameOf(host.Service.Pod!.Name, endpoint.Cluster, service.Hostname), endpoint.Cluster));
    }

    /// <summary>The headless host has the addresses of all; a Pod's name means the nearest Pod that has it: own cluster,
    /// own network, others by cluster.</summary>
    private static void AddHeadless(NameTable table, NamedHost host, List<Member> members)
    {
        if (members.Count == 0) return;
        var service = host.Service;
        table.Table[service.Hostname] = Entry(service, members.Select(member => member.Address).Distinct());
        foreach (var named in members.Where(member => member.Name.Length > 0).GroupBy(member => member.Name))
        {
            var first = named.First().Cluster;
            table.Table[$"{named.Key}.{service.Hostname}"] = Named(service, named.Key, named.Where(member => member.Cluster == first));
        }
        foreach (var full in members.Where(member => member.FullName.Length > 0).GroupBy(member => member.FullName))
        {
            table.Table[full.Key] = Named(service, full.Key[..^(service.Hostname.Length + 1)], full);
        }
    }

    private static NameTable.Types.NameInfo Named(MeshService service, string name, IEnumerable<Member> members)
    {
        var entry = Entry(service, members.Select(member => member.Address).Distinct());
        entry.Shortname = $"{name}.{service.Name}";
        return entry;
    }

    private static NameTable.Types.NameInfo Entry(HostAlias alias, IEnumerable<Address> addresses)
    {
        var entry = new NameTable.Types.NameInfo { Registry = "Kubernetes", Shortname = alias.Hostname.Split('.', 2)[0], Namespace = alias.Namespace };
        entry.Ips.AddRange(addresses.Select(address => address.ToString()));
        return entry;
    }

    private static NameTable.Types.NameInfo Entry(MeshService service, IEnumerable<Address> addresses)
    {
        var entry = new NameTable.Types.NameInfo { Registry = service.FromServiceEntry ? "External" : "Kubernetes" };
        entry.Ips.AddRange(addresses.Select(address => address.ToString()));
        if (!service.FromServiceEntry) (entry.Shortname, entry.Namespace) = (service.Name, service.Namespace);
        return entry;
    }
}

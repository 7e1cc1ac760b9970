using Isthmus.Core.Collections;
using Isthmus.Core.Live;
using Isthmus.Core.Names;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;

namespace Isthmus.ControlPlane.Derive;

/// <summary>One source of network gateways.</summary>
internal sealed record GatewaySet(ValueList<NetworkGateway> Gateways);

/// <summary>The gateways of networks: labelled Services, and those that meshNetworks lists.</summary>
internal sealed class GatewayDerivation(MeshSources sources, Live<string, ValueList<NodeFacts>> nodesByCluster, Live<ClusterHost, ReadyCount> ready)
{
    /// <summary>A labelled Service without any address still makes its network known, so that no proxy dials addresses in
    /// it directly.</summary>
    public GatewaySet OfService(Reader read, ClusterService service)
    {
        var isReady = read.Get(ready, new ClusterHost(service.Cluster, service.Hostname)) is { Count: > 0 };
        var entries = Addresses(read, service).Select(entry => new NetworkGateway(service.GatewayNetwork, service.Cluster, entry.Address, entry.Port, isReady, service.Source) { Weight = service.GatewayWeight }).ToValueList();
        return new(entries.IsEmpty ? [new(service.GatewayNetwork, service.Cluster, "", service.GatewayPort, false, service.Source)] : entries);
    }

    private IEnumerable<(string Address, int Port)> Addresses(Reader read, ClusterService service)
    {
        if (service.GatewayNodes is { } selector)
        {
            var nodePort = service.Ports.FirstOrDefault(port => port.Number == service.GatewayPort)?.NodePort ?? 0;
            if (nodePort == 0) yield break;
            var nodes = read.Get(nodesByCluster, service.Cluster).Where(node => Selectors.Matches(selector, node.Labels)).ToList();
            // Clusters on one machine or in one data centre have Nodes without external addresses: then their internal ones are used.
            var hasExternal = nodes.Any(node => !node.ExternalAddresses.IsEmpty);
            foreach (var address in nodes.SelectMany(node => hasExternal ? node.ExternalAddresses : node.InternalAddresses)) yield return (address, nodePort);
            yield break;
        }
        foreach (var address in service.ExternalAddresses.Items.SelectMany(address => Resolve(read, address))) yield return (address, service.GatewayPort);
    }

    /// <summary>A host name is replaced by its resolved addresses, or by none while it is unresolved.</summary>
    private IEnumerable<string> Resolve(Reader read, string address)
    {
        if (address.Length == 0) return [];
        if (System.Net.IPAddress.TryParse(address, out _)) return [address];
        return read.Get(sources.ResolvedHosts, address)?.Addresses ?? default;
    }

    public GatewaySet OfNetworks(Reader read, MeshSettings settings)
    {
        var found = new List<NetworkGateway>();
        var source = new ObjectRef("", "ConfigMap", settings.Mesh.RootNamespace, "istio");
        foreach (var (name, network) in settings.Networks.Networks)
        {
            foreach (var gateway in network.Gateways)
            {
                if (gateway.Address.Length > 0)
                {
                    found.AddRange(Resolve(read, gateway.Address).Select(address => new NetworkGateway(name, "", address, gateway.Port, true, source)));
                    continue;
                }
                foreach (var registry in network.Endpoints.Where(endpoints => endpoints.FromRegistry.Length > 0)) found.AddRange(OfRegistry(read, name, registry.FromRegistry, gateway));
            }
        }
        return new(found.ToValueList());
    }

    private IEnumerable<NetworkGateway> OfRegistry(Reader read, string network, string cluster, StaticGateway gateway)
    {
        var parts = gateway.RegistryServiceName.Split('.');
        if (parts.Length < 2 || read.Get(sources.Services, new ObjectKey(cluster, parts[1], parts[0])) is not { } service) return [];
        var isReady = read.Get(ready, new ClusterHost(cluster, service.Hostname)) is { Count: > 0 };
        return service.ExternalAddresses.Items.SelectMany(address => Resolve(read, address))
            .Select(address => new NetworkGateway(network, cluster, address, gateway.Port, isReady, service.Source) { Weight = service.GatewayWeight });
    }

    public static GatewayTable Table(ValueList<GatewaySet> sets) => GatewayTable.Of(sets.SelectMany(set => set.Gateways));

    /// <summary>Host names of gateways that must be resolved into <see cref="MeshSources.ResolvedHosts"/>.</summary>
    public static IReadOnlyList<(string Host, ValueList<string> Clusters)> HostNames(MeshSources sources) =>
    [
        .. sources.Services.Items.Values.Where(service => service.GatewayNetwork.Length > 0).SelectMany(service => service.ExternalAddresses.Items.Select(address => (Address: address, service.Cluster)))
            .Concat((sources.Settings.Items.GetValueOrDefault("") ?? MeshSettings.Default).Networks.Networks.Values.SelectMany(network => network.Gateways).Select(gateway => (gateway.Address, Cluster: "")))
            .Where(item => item.Address.Length > 0 && !System.Net.IPAddress.TryParse(item.Address, out _))
            .GroupBy(item => item.Address, StringComparer.Ordinal)
            .Select(group => (group.Key, group.Select(item => item.Cluster).Where(cluster => cluster.Length > 0).Distinct().Order(StringComparer.Ordinal).ToValueList())),
    ];
}

/// <summary>How many ready endpoints a host has in one cluster.</summary>
internal sealed record ReadyCount(int Count);

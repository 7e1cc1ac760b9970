using Isthmus.Core.Collections;
using Isthmus.Core.Live;
using Isthmus.Core.Names;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Derive;

/// <summary>One source of network gateways.</summary>
/// <param name="Names">Host names among its addresses, resolved or not.</param>
internal sealed record GatewaySet(ValueList<NetworkGateway> Gateways, ValueList<GatewayName> Names);

/// <param name="Cluster">The cluster with the gateway; empty when meshNetworks names it.</param>
internal readonly record struct GatewayName(string Host, string Cluster);

/// <summary>The gateways of networks: labelled Services, and those that meshNetworks lists.</summary>
internal sealed class GatewayDerivation(MeshSources sources, Live<string, ValueList<NodeFacts>> nodesByCluster, Live<ClusterHost, ReadyCount> ready)
{
    /// <summary>A labelled Service without any address still makes its network known, so that no proxy dials addresses in
    /// it directly.</summary>
    public GatewaySet OfService(Reader read, ClusterService service)
    {
        var isReady = read.Get(ready, new ClusterHost(service.Cluster, service.Hostname)) is { Count: > 0 };
        var entries = Addresses(read, service)
            .Select(entry => new NetworkGateway(service.GatewayNetwork, service.Cluster, entry.Address, entry.Port, isReady,
                service.Source) { Weight = service.GatewayWeight })
            .ToValueList();
        return new(entries.IsEmpty ? [new(service.GatewayNetwork, service.Cluster, default, service.GatewayPort, false, service.Source)] : entries,
            NamesOf(service));
    }

    private static ValueList<GatewayName> NamesOf(ClusterService service) =>
        service.ExternalAddresses.Select(address => address.HostName).OfType<string>().Select(name => new GatewayName(name, service.Cluster)).ToValueList();

    private IEnumerable<(EndpointAddress Address, int Port)> Addresses(Reader read, ClusterService service)
    {
        if (service.GatewayNodes is { } selector)
        {
            var nodePort = service.Ports.FirstOrDefault(port => port.Number == service.GatewayPort)?.NodePort ?? 0;
            if (nodePort == 0) yield break;
            var nodes = read.Get(nodesByCluster, service.Cluster).Where(node => Selectors.Matches(selector, node.Labels)).ToList();
            // Clusters on one machine or in one data centre have Nodes without external addresses: then their internal ones are used.
            var hasExternal = nodes.Any(node => !node.ExternalAddresses.IsEmpty);
            foreach (var address in nodes.SelectMany(node => hasExternal ? node.ExternalAddresses : node.InternalAddresses))
                yield return (address, nodePort);
            yield break;
        }
        foreach (var address in service.ExternalAddresses.Items.SelectMany(address => Resolve(read, address))) yield return (address, service.GatewayPort);
    }

    /// <summary>A host name is replaced by its resolved addresses, or by none while it is unresolved.</summary>
    private IEnumerable<EndpointAddress> Resolve(Reader read, EndpointAddress address)
    {
        if (address.HostName is { } name) return (read.Get(sources.ResolvedHosts, name)?.Addresses ?? default).Select(EndpointAddress.Of);
        return address.Ip is null ? [] : [address];
    }

    public GatewaySet OfNetworks(Reader read, MeshSettings settings)
    {
        var (found, names) = (new List<NetworkGateway>(), new List<GatewayName>());
        var source = new ObjectRef("", "ConfigMap", settings.Mesh.SystemNamespace, settings.MapName);
        foreach (var (name, network) in settings.Networks.Networks)
        {
            foreach (var gateway in network.Gateways)
            {
                if (!gateway.Address.IsNone)
                {
                    found.AddRange(Resolve(read, gateway.Address).Select(address => new NetworkGateway(name, "", address, gateway.Port, true, source)));
                    if (gateway.Address.HostName is { } host) names.Add(new(host, ""));
                    continue;
                }
                foreach (var registry in network.Endpoints.Where(endpoints => endpoints.FromRegistry.Length > 0))
                {
                    if (InRegistry(read, registry.FromRegistry, gateway) is not { } service) continue;
                    found.AddRange(OfRegistry(read, name, service, gateway));
                    names.AddRange(NamesOf(service));
                }
            }
        }
        return new(found.ToValueList(), names.ToValueList());
    }

    private ClusterService? InRegistry(Reader read, string cluster, StaticGateway gateway)
    {
        var parts = gateway.RegistryServiceName.Split('.');
        return parts.Length < 2 ? null : read.Get(sources.Services, new ObjectKey(cluster, parts[1], parts[0]));
    }

    private IEnumerable<NetworkGateway> OfRegistry(Reader read, string network, ClusterService service, StaticGateway gateway)
    {
        var isReady = read.Get(ready, new ClusterHost(service.Cluster, service.Hostname)) is { Count: > 0 };
        return service.ExternalAddresses.Items.SelectMany(address => Resolve(read, address))
            .Select(address => new NetworkGateway(network, service.Cluster, address, gateway.Port, isReady, service.Source) { Weight = service.GatewayWeight });
    }

    public static GatewayTable Table(ValueList<GatewaySet> sets) => GatewayTable.Of(sets.SelectMany(set => set.Gateways));
}

/// <summary>How many ready endpoints a host has in one cluster.</summary>
internal sealed record ReadyCount(int Count);

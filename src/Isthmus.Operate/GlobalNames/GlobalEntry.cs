using System.Globalization;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Install.Render;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.GlobalNames;

/// <summary>An address and port at which a gateway is reachable from outside.</summary>
public readonly record struct EntryAddress(string Address, int Port)
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Address}:{Port}");
}

/// <summary>A gateway that forwards TLS by its SNI, and how it chooses the destination.</summary>
/// <param name="Cluster">The context of its cluster.</param>
/// <param name="Service">Namespace and name of its Service.</param>
/// <param name="Addresses">Load balancer addresses first, then those of Nodes.</param>
/// <param name="Hosts">The names that its AUTO_PASSTHROUGH servers accept.</param>
/// <param name="ByName">Whether the rewritten SNI decides the destination (ROUTER_MODE sni-dnat). If not, the gateway
/// routes only to services that <paramref name="Hosts"/> cover.</param>
public sealed record GlobalEntry(
    string Cluster, string Service, int Port, ValueList<EntryAddress> Addresses, ValueList<string> Hosts, bool ByName, ValueList<SniRewrite> Rewrites)
{
    /// <summary>Every such gateway of a cluster, by its Service.</summary>
    public static IEnumerable<GlobalEntry> Of(ClusterInventory cluster)
    {
        foreach (var service in cluster.Services.Where(service => service.Spec.Selector.Count > 0))
        {
            var labels = service.Spec.Selector.ToValueMap();
            var servers = cluster.Istio<Gateway>().Where(gateway => Selectors.Matches(gateway.Selector, labels))
                .SelectMany(gateway => gateway.Servers).Where(server => server.Tls is { Mode: ServerTlsMode.AutoPassthrough });
            foreach (var group in servers.GroupBy(server => server.Port))
            {
                if (service.Spec.Ports.FirstOrDefault(port => port.Port == group.Key) is not { } port) continue;
                yield return new(cluster.Context, service.Key, port.Port, AddressesOf(service, port, cluster),
                    group.SelectMany(server => server.Hosts).Select(host => host[(host.IndexOf('/', StringComparison.Ordinal) + 1)..]).Distinct().ToValueList(),
                    cluster.Pods.Any(pod => Selects(service, pod) && IsSniDnat(pod)), RewritesOf(service, port, labels, cluster));
            }
        }
    }

    /// <summary>Whether the gateway accepts a mesh TLS connection for the host at all.</summary>
    public bool Takes(string host) => Hosts.Any(pattern => Isthmus.Mesh.Generate.Hosts.Covers(pattern, host));

    /// <summary>The host that a call for <paramref name="host"/> is routed to.</summary>
    public string Target(string host)
    {
        if (!ByName) return host;
        // The gateway rewrites the name of the cluster, whose last part is the host.
        var name = Rewrites.Aggregate(ResourceNames.Sni(1, "", host), (text, rewrite) => rewrite.Apply(text));
        return ResourceNames.TryParseOutbound(name, out _, out _, out var target, out _) ? target : name;
    }

    private static ValueList<EntryAddress> AddressesOf(Kubernetes.Objects.Service service, Kubernetes.Objects.ServicePort port, ClusterInventory cluster)
    {
        var balanced = service.Status.LoadBalancer.Ingress.Select(ingress => ingress.Ip.Length > 0 ? ingress.Ip : ingress.Hostname)
            .Concat(service.Spec.ExternalIPs).Where(address => address.Length > 0).Select(address => new EntryAddress(address, port.Port));
        var nodes = port.NodePort == 0 ? [] : cluster.Nodes.SelectMany(node => node.Status.Addresses)
            .Where(address => address.Type is "InternalIP" or "ExternalIP").OrderBy(address => address.Type != "ExternalIP")
            .Select(address => new EntryAddress(address.Address, port.NodePort));
        return balanced.Concat(nodes).Distinct().ToValueList();
    }

    private static ValueList<SniRewrite> RewritesOf(Kubernetes.Objects.Service service, Kubernetes.Objects.ServicePort port, ValueMap<string> labels,
        ClusterInventory cluster)
    {
        var target = int.TryParse(port.TargetPort?.ToString(), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : port.Port;
        return EnvoyFilter.RewritesFor(cluster.Istio<EnvoyFilter>(), service.Metadata.Namespace, cluster.RootNamespace, labels)
            .Where(rewrite => rewrite.AppliesTo(target)).ToValueList();
    }

    private static bool Selects(Kubernetes.Objects.Service service, Pod pod) => pod.Metadata.Namespace == service.Metadata.Namespace
        && service.Spec.Selector.All(want => pod.Metadata.Labels.TryGetValue(want.Key, out var has) && has == want.Value);

    private static bool IsSniDnat(Pod pod) =>
        pod.Spec.Containers.SelectMany(container => container.Env).Any(env => env is { Name: GatewayObjects.RouterMode, Value: GatewayObjects.SniDnat });
}

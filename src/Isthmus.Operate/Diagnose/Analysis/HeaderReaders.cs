using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Headers of the PROXY protocol that nobody reads, or that gateways between networks wait for: proxies of the mesh write none on their own. Pure.
/// </summary>
public static class HeaderReaders
{
    private const string Topology = "gatewayTopology.proxyProtocol";

    public static Analyzer Analyzer { get; } = new("mesh.ProxyProtocolAnalyzer",
        "Checks that the proxies of workloads read the headers of the PROXY protocol that callers write, and that gateways between networks wait for none",
        [GatewayCodes.HeaderAstray], ["DestinationRule", "Gateway", "Service", "Pod"], mesh => Written(mesh).Concat(Awaited(mesh)));

    private static IEnumerable<Finding> Written(MeshSnapshot mesh) =>
        from config in mesh.Clusters
        // An EnvoyFilter may let proxies read it.
        where !config.Cluster.Istio<EnvoyFilter>().Any(filter => config.Cluster.Find($"EnvoyFilter {filter.Source.Namespace}/{filter.Source.Name}")?
            .ToJsonString().Contains("proxy_protocol", StringComparison.Ordinal) == true)
        from rule in config.Cluster.Istio<DestinationRule>()
        from place in RuleTls.Policies(rule)
        where place.Policy.ProxyProtocol is not null
        let reached = (from host in mesh.Hosts.Find(rule.Host)
                       where host.Service is not null
                       from area in mesh.Workloads
                       where area.Cluster == host.Cluster
                       from workload in area.Behind(host.Service!)
                       where workload is { HasProxy: true, IsGateway: false }
                           && !workload.Pod!.Metadata.Annotations.Keys.Any(key => key.EndsWith("cludeInboundPorts", StringComparison.Ordinal))
                       select (workload.Name, area.Cluster.Context)).FirstOrDefault()
        where reached.Name is not null
        select GatewayCodes.HeaderAstray.At(config.Cluster, $"DestinationRule {rule.Namespace}/{rule.Name}", $"{place.Path}.proxyProtocol",
            $"lets callers of {rule.Host} begin connections with a header of the PROXY protocol, and the sidecar of {reached.Name} in {reached.Context} does "
                + "not read it: calls fail",
            "remove it: it is for servers without a sidecar that expect the header");

    private static IEnumerable<Finding> Awaited(MeshSnapshot mesh) =>
        from config in mesh.Clusters
        from gateway in config.Cluster.Istio<Gateway>()
        where gateway.PassesBySni
        from area in config.Reach
        from workload in area.All
        where workload.Pod is not null && LabelSelector.Selects(gateway.Selector, workload.Labels)
            && workload.Pod.Metadata.Annotations.GetValueOrDefault(Annotations.ProxyConfig, "").Contains("proxyProtocol", StringComparison.Ordinal)
        select GatewayCodes.HeaderAstray.At(area.Cluster, workload.Name, $"metadata.annotations[{Annotations.ProxyConfig}].{Topology}",
            $"makes the gateway close connections that do not begin with a header of the PROXY protocol, and Gateway {gateway.FullName} opens it for calls of "
                + "other networks, which have none",
            $"remove {Topology} from the template of the gateway");
}

using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Gateways between networks that pass on no connection for the Services of a cluster, or only for some. Pure.</summary>
public static class PassedHosts
{
    public static Analyzer Analyzer
    {
        get;
    } = new("gateway.PassedHostAnalyzer", "Checks that gateways between networks expose the Services behind them", [OwnCodes.HostsNotPassed],
        ["Gateway", "Service"], mesh =>
        from config in mesh.Clusters
        // Clusters that were not read may have them.
        where mesh.ReadsAll
        from gateway in config.Cluster.Istio<Gateway>()
        from server in gateway.Servers.Index()
        where server.Item.Tls is { Mode: ServerTlsMode.AutoPassthrough }
        let hosts = server.Item.Hosts.Select(host => host[(host.IndexOf('/', StringComparison.Ordinal) + 1)..]).ToList()
        // Names of other kinds are those of ServiceEntries.
        where hosts.TrueForAll(host => host.EndsWith(Suffix, StringComparison.Ordinal))
        let known = config.Reach.SelectMany(area => area.Cluster.Services.Where(service => IsOfMesh(area, service)))
            .Select(service => $"{service.Metadata.Name}.{service.Metadata.Namespace}{Suffix}").Distinct().Order(StringComparer.Ordinal).ToList()
        where known.Count > 0 && !known.Exists(host => hosts.Exists(pattern => Hosts.Covers(pattern, host)))
        select OwnCodes.HostsNotPassed.At(config.Cluster, $"Gateway {gateway.FullName}", $"spec.servers[{server.Index}].hosts",
            $"is {string.Join(", ", hosts)}, and no Service of {config.Cluster.Context} has such a host: the port is not opened, and calls of other networks, "
                + $"such as for {known[0]}, fail",
            "add *.local to the list, or the hosts that other networks call"));

    private const string Suffix = $".svc.{WellKnown.DefaultDomainSuffix}";

    private static bool IsOfMesh(ClusterWorkloads area, Service service) =>
        !MeshSnapshot.IsSystem(area.Cluster, service.Metadata.Namespace)
            && area.Selected(service).Any(workload => workload is { HasProxy: true, IsGateway: false });
}

using System.Globalization;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>PeerAuthentications that switch mutual TLS off for workloads which others call from another network: gateways pass mesh TLS only. Pure.</summary>
public static class PlainWorkloads
{
    public static Analyzer Analyzer
    {
        get;
    } = new("multicluster.PeerAuthenticationAnalyzer", "Checks that workloads which are called from other networks accept mutual TLS",
        [OwnCodes.PlainBehindGateway], ["PeerAuthentication", "Service", "Namespace", "Pod"], mesh => mesh.Clusters.SelectMany(config => Check(mesh, config)));

    private static IEnumerable<Finding> Check(MeshSnapshot mesh, ConfigCluster config) =>
        from policy in config.Cluster.Istio<PeerAuthentication>()
        from setting in policy.Ports.Items.Select(port => (Path: $"spec.portLevelMtls[{port.Key}].mode", Port: (string?)port.Key, Mode: port.Value))
            .Prepend((Path: "spec.mtls.mode", Port: null, policy.Mode))
        where setting.Mode == MtlsMode.Disable
        let met = (from area in config.Reach
                   where Callers(mesh, area).Any()
                   from workload in config.Selected(policy.Namespace, policy.Selector)
                   where workload is { Pod: not null, HasProxy: true, IsGateway: false } && workload.Cluster == area.Cluster
                   from service in area.ServicesOf(workload)
                   from port in service.Spec.Ports
                   let target = AcceptedTls.TargetOf(port, workload.Pod!)
                   where (setting.Port is null || setting.Port == target.ToString(CultureInfo.InvariantCulture))
                       && AcceptedTls.Of(config, workload).ForPort(target) == MtlsMode.Disable
                   select (service.Key, area.Cluster.Context, Caller: Callers(mesh, area).First())).Take(1).ToList()
        where met.Count > 0
        select OwnCodes.PlainBehindGateway.At(config.Cluster, $"PeerAuthentication {policy.Namespace}/{policy.Name}", setting.Path,
            $"is DISABLE for workloads of Service {met[0].Key} in {met[0].Context}, and gateways pass mutual TLS of the mesh only: calls from the network of "
                + $"{met[0].Caller} fail", $"set {setting.Path} to PERMISSIVE");

    /// <summary>The clusters of other networks whose sidecars may call what is in a cluster.</summary>
    private static IEnumerable<string> Callers(MeshSnapshot mesh, ClusterWorkloads area) =>
        mesh.Workloads.Where(other => other != area && SubsetsDiffer.NetworkOf(other.Cluster) != SubsetsDiffer.NetworkOf(area.Cluster)
            && MeshSnapshot.ShareHosts(other.Cluster, area.Cluster)
            && other.All.Any(workload => workload is { Pod: not null, HasProxy: true, IsGateway: false })).Select(other => other.Cluster.Context);
}

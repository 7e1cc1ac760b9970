using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>What TLS workloads accept, by the PeerAuthentications that apply to them. Pure.</summary>
internal static class AcceptedTls
{
    /// <summary>The cluster whose PeerAuthentications apply to workloads: their own one, or that of their control plane.</summary>
    internal static ConfigCluster Owner(MeshSnapshot mesh, ClusterWorkloads area) =>
        mesh.Clusters.FirstOrDefault(config => config.Cluster != area.Cluster && config.Reach.Contains(area))
            ?? mesh.Clusters.First(config => config.Cluster == area.Cluster);

    /// <param name="owner">As <see cref="Owner"/> says.</param>
    internal static MtlsPolicy Of(ConfigCluster owner, Workload workload)
    {
        var policies = owner.Cluster.Istio<PeerAuthentication>().ToList();
        return MtlsPolicy.Resolve(
            policies.Where(item => item.Namespace == owner.Cluster.RootNamespace), policies.Where(item => item.Namespace == workload.Namespace),
            ValueMap.ToValueMap(workload.Labels));
    }

    /// <summary>The port of a Pod that a port of a Service leads to.</summary>
    internal static int TargetOf(Kubernetes.Objects.ServicePort port, Pod pod) => NumberOf(port.TargetPort?.ToString() ?? "", pod.Spec.Containers) ?? port.Port;

    /// <param name="port">A number, or the name of a port of one of the containers.</param>
    internal static int? NumberOf(string port, IEnumerable<Container> containers) =>
        int.TryParse(port, out var number)
            ? number
            : containers.SelectMany(container => container.Ports).FirstOrDefault(candidate => port.Length > 0 && candidate.Name == port)?.Number;
}

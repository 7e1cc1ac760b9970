using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using MtlsMode = Isthmus.Mesh.Model.MtlsMode;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>DestinationRules whose TLS is not what the workloads of the host accept. Pure.</summary>
public static class MtlsConflicts
{
    public static Analyzer Analyzer
    {
        get;
    } = new("destinationrule.MtlsConflictAnalyzer", "Checks that TLS settings of DestinationRules and PeerAuthentications agree",
        [IstioCodes.MtlsConflict], ["DestinationRule", "PeerAuthentication", "Service", "Pod"],
        mesh => mesh.Clusters.SelectMany(config => Check(mesh, config)));

    private static IEnumerable<Finding> Check(MeshSnapshot mesh, ConfigCluster config) =>
        from rule in config.Cluster.Istio<DestinationRule>()
        where rule.WorkloadSelector.Count == 0 && rule.Tls.Any()
        from known in mesh.Hosts.Find(rule.Host).Where(_ => !rule.Host.StartsWith('*'))
        where known.Service is not null
        let area = mesh.Workloads.First(area => area.Cluster == known.Cluster)
        from found in Conflicts(rule, known, [.. area.Behind(known.Service!)], AcceptedTls.Owner(mesh, area)).Take(1)
        select IstioCodes.MtlsConflict.At(config.Cluster, $"DestinationRule {rule.Namespace}/{rule.Name}", "spec.trafficPolicy.tls.mode", found.Message,
            found.Remedy);

    private static IEnumerable<(string Message, string Remedy)> Conflicts(DestinationRule rule, KnownHost host, IReadOnlyList<Workload> pods,
        ConfigCluster owner)
    {
        foreach (var port in host.Service!.Spec.Ports)
        {
            if (rule.Policy.ForPort(port.Port).Tls is not { } tls) continue;
            foreach (var pod in pods)
                if (Conflict(rule.Host, tls.Mode, port.Port, pod, Accepts(owner, pod, port)) is { } found) yield return found;
        }
    }

    private static (string Message, string Remedy)? Conflict(string host, ClientTlsMode mode, int port, Workload pod, MtlsMode accepts)
    {
        if (mode == ClientTlsMode.IstioMutual ? accepts != MtlsMode.Disable : accepts != MtlsMode.Strict) return null;
        var told = accepts == MtlsMode.Strict ? "only mutual TLS of the mesh (STRICT)" : pod.HasProxy ? "none (DISABLE)" : "none: it has no sidecar";
        var plain = mode == ClientTlsMode.Disable ? ", or let the PeerAuthentication of its workloads accept plain text (PERMISSIVE)" : "";
        return ($"is {Spelled(mode)} for {host}, but {pod.Name} in {pod.Cluster.Context} accepts {told} at port {port}, so calls to it fail",
            accepts == MtlsMode.Strict ? $"set the mode to ISTIO_MUTUAL{plain}"
            : pod.HasProxy ? "set the mode to DISABLE, or let the PeerAuthentication of its workloads accept mutual TLS (PERMISSIVE)"
            : "set the mode to DISABLE, or give its Pods a sidecar");
    }

    private static MtlsMode Accepts(ConfigCluster owner, Workload pod, Kubernetes.Objects.ServicePort port) =>
        pod.HasProxy ? AcceptedTls.Of(owner, pod).ForPort(AcceptedTls.TargetOf(port, pod.Pod!)) : MtlsMode.Disable;

    private static string Spelled(ClientTlsMode mode) =>
        mode switch { ClientTlsMode.IstioMutual => "ISTIO_MUTUAL", ClientTlsMode.Disable => "DISABLE", ClientTlsMode.Mutual => "MUTUAL", _ => "SIMPLE" };
}

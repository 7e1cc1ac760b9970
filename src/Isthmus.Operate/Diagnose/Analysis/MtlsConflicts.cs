using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Generate;
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
        from found in rule.Host.StartsWith('*') ? Covered(mesh, config, rule).Take(1)
            : mesh.Hosts.Find(rule.Host).SelectMany(known => Conflicts(mesh, config, rule, known))
        select IstioCodes.MtlsConflict.At(config.Cluster, $"DestinationRule {rule.Namespace}/{rule.Name}", "spec.trafficPolicy.tls.mode", found.Message,
            found.Remedy);

    /// <summary>What is wrong with a rule for many hosts, by which callers begin TLS, at those that no narrower rule is for.</summary>
    private static IEnumerable<(string Message, string Remedy)> Covered(MeshSnapshot mesh, ConfigCluster config, DestinationRule rule)
    {
        if (!rule.Tls.Any(tls => tls.Mode is ClientTlsMode.Simple or ClientTlsMode.Mutual)) return [];
        var narrower = config.Cluster.Istio<DestinationRule>().Where(other => other.Host != rule.Host && Hosts.Covers(rule.Host, other.Host)).ToList();
        return mesh.Hosts.Find(rule.Host).Where(known => known.Service is not null
            && !narrower.Exists(other => Hosts.Covers(other.Host, HostTable.NameOf(known.Service)))).SelectMany(known => Conflicts(mesh, config, rule, known));
    }

    private static IEnumerable<(string Message, string Remedy)> Conflicts(MeshSnapshot mesh, ConfigCluster config, DestinationRule rule,
        KnownHost host)
    {
        if (host.Service is null) return [];
        var area = mesh.Workloads.First(area => area.Cluster == host.Cluster);
        return Conflicts(rule, host, [.. area.Behind(host.Service)], AcceptedTls.Owner(mesh, area), SubsetsDiffer.NetworkOf(config.Cluster)).Take(1);
    }

    private static IEnumerable<(string Message, string Remedy)> Conflicts(DestinationRule rule, KnownHost host, IReadOnlyList<Workload> pods,
        ConfigCluster owner, string network)
    {
        foreach (var port in host.Service!.Spec.Ports)
        {
            if (rule.Policy.ForPort(port.Port).Tls is not { } tls) continue;
            foreach (var pod in pods)
            {
                var accepts = Accepts(owner, pod, port);
                if ((Conflict(rule.Host, tls.Mode, port.Port, pod, accepts) ?? (OtherNetworkTls.NetworkOf(pod) != network ? null
                    // Gateways of other networks do not let it come so far.
                    : Unread(HostTable.NameOf(host.Service), tls.Mode, port, pod, owner, accepts))) is { } found) yield return found;
            }
        }
    }

    /// <summary>Callers begin TLS at a port of requests, whose proxy ends none but the mesh's; null where that may be otherwise: ports of bytes lead TLS on
    /// to the application.</summary>
    private static (string Message, string Remedy)? Unread(string host, ClientTlsMode mode, Kubernetes.Objects.ServicePort port, Workload pod,
        ConfigCluster owner, MtlsMode accepts)
    {
        if (mode is not (ClientTlsMode.Simple or ClientTlsMode.Mutual) || pod is not { HasProxy: true, IsGateway: false, Pod: { } seen }
            || !Protocols.Of(port.Protocol, port.AppProtocol, port.Name, port.Port).IsHttp()) return null;
        var target = AcceptedTls.TargetOf(port, seen);
        if (ExcludedPorts.Bypasses(seen, target) || owner.Cluster.Istio<Sidecar>().Any(sidecar => sidecar.Ingress.Any(own => own.Port == target)
            && owner.Selected(sidecar.Namespace, sidecar.Selector).Contains(pod))) return null;
        return ($"is {ClientTls.Spelled(mode)}, so that callers of {host} begin TLS at port {port.Port}, which declares HTTP; the sidecar of {pod.Name} in "
                + $"{pod.Cluster.Context} takes only {(accepts == MtlsMode.Disable ? "" : "mutual TLS of the mesh and ")}requests in plain text there, so "
                + "calls to it fail",
            accepts == MtlsMode.Disable ? "remove tls from the rule" : "remove tls from the rule, or set the mode to ISTIO_MUTUAL");
    }

    private static (string Message, string Remedy)? Conflict(string host, ClientTlsMode mode, int port, Workload pod, MtlsMode accepts)
    {
        if (mode == ClientTlsMode.IstioMutual ? accepts != MtlsMode.Disable : accepts != MtlsMode.Strict) return null;
        var told = accepts == MtlsMode.Strict ? "only mutual TLS of the mesh (STRICT)" : pod.HasProxy ? "none (DISABLE)" : "none: it has no sidecar";
        var plain = mode == ClientTlsMode.Disable ? ", or let the PeerAuthentication of its workloads accept plain text (PERMISSIVE)" : "";
        return ($"is {ClientTls.Spelled(mode)} for {host}, but {pod.Name} in {pod.Cluster.Context} accepts {told} at port {port}, so calls to it fail",
            accepts == MtlsMode.Strict ? $"set the mode to ISTIO_MUTUAL{plain}"
            : pod.HasProxy ? "set the mode to DISABLE, or let the PeerAuthentication of its workloads accept mutual TLS (PERMISSIVE)"
            : "set the mode to DISABLE, or give its Pods a sidecar");
    }

    private static MtlsMode Accepts(ConfigCluster owner, Workload pod, Kubernetes.Objects.ServicePort port) =>
        pod.HasProxy ? AcceptedTls.Of(owner, pod).ForPort(AcceptedTls.TargetOf(port, pod.Pod!)) : MtlsMode.Disable;
}

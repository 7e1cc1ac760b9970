using System.Globalization;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using ServicePort = Isthmus.Kubernetes.Objects.ServicePort;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Ports of Services that lead past the proxies of workloads: nothing there ends the mutual TLS of callers. Pure.</summary>
public static class ExcludedPorts
{
    private const string Annotation = "traffic.sidecar.istio.io/excludeInboundPorts";

    public static Analyzer Analyzer
    {
        get;
    } = new("injection.ExcludedPortAnalyzer", "Checks that the ports of Services lead to the proxies of their workloads", [WorkloadCodes.PortExcluded],
        ["Pod", "Service", "PeerAuthentication", "DestinationRule"], mesh =>
        from area in mesh.Workloads
        let owner = AcceptedTls.Owner(mesh, area)
        // Whoever has no proxy calls in plain text, and gets through.
        let callers = mesh.Workloads.SelectMany(other => other.All).Where(other => other is { Pod: not null, HasProxy: true }).ToList()
        from workload in area.All
        where workload is { Pod: not null, HasProxy: true, IsGateway: false }
        let excluded = PortsOf(workload.Pod!.Metadata.Annotations)
        where excluded.Length > 0
        from service in area.ServicesOf(workload)
        where callers.Exists(caller => caller.Namespace != workload.Namespace || !LabelSelector.Selects(service.Spec.Selector, caller.Labels))
        from port in service.Spec.Ports
        let target = AcceptedTls.TargetOf(port, workload.Pod!)
        where excluded.Contains(target.ToString(CultureInfo.InvariantCulture)) && port.Protocol != "UDP" && !IsForScrapers(port, target, workload.Pod!)
            && AcceptedTls.Of(owner, workload).ForPort(target) != MtlsMode.Disable && !CallersUsePlain(owner, service, port.Port)
        let template = area.Cluster.Templates.FirstOrDefault(template => template.Namespace == workload.Namespace
            && LabelSelector.Selects(template.Labels, workload.Labels) && PortsOf(template.Annotations).Intersect(excluded).Any())
        // What some ports are excluded for, such as callers outside of the mesh, is only known to whoever did it.
        let isAll = service.Spec.Ports.TrueForAll(one => excluded.Contains(AcceptedTls.TargetOf(one, workload.Pod!).ToString(CultureInfo.InvariantCulture)))
        select WorkloadCodes.PortExcluded.At(area.Cluster, template?.FullName ?? workload.Name,
            $"{(template is null ? "" : "spec.template.")}metadata.annotations[{Annotation}]",
            $"keeps port {target} from the proxy, to which port {port.Port} of Service {service.Key} leads: callers with a proxy use mutual TLS of the mesh "
                + "there, which nothing ends, so that their calls fail",
            $"remove {target} from the annotation{(template is null ? " of the Pod's template" : "")}, or create a DestinationRule for the host that sets "
                + $"tls.mode DISABLE for port {port.Port}; gateways of other networks do not pass plain text", isAll ? Severity.Warning : Severity.Info));

    private static string[] PortsOf(IReadOnlyDictionary<string, string> annotations) =>
        annotations.GetValueOrDefault(Annotation, "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    /// <summary>Metrics are fetched in plain text, from outside of the mesh.</summary>
    private static bool IsForScrapers(ServicePort port, int target, Pod pod) => port.Name.Contains("metrics", StringComparison.Ordinal)
        || pod.Metadata.Annotations.GetValueOrDefault("prometheus.io/port") == target.ToString(CultureInfo.InvariantCulture);

    private static bool CallersUsePlain(ConfigCluster config, Service service, int port) => config.Cluster.Istio<DestinationRule>()
        .Where(rule => Mesh.Generate.Hosts.Covers(rule.Host, HostTable.NameOf(service)))
        .Any(rule => (rule.Policy.Ports.FirstOrDefault(own => own.Port == port)?.Policy ?? rule.Policy).Tls is { Mode: not ClientTlsMode.IstioMutual });
}

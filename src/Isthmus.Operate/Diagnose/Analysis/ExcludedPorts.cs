using System.Globalization;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using ServicePort = Isthmus.Kubernetes.Objects.ServicePort;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Ports of Services that lead past the proxies of workloads: nothing there ends the mutual TLS of callers. Pure.</summary>
public static class ExcludedPorts
{
    private const string Prefix = "traffic.sidecar.istio.io/", Excluding = "excludeInboundPorts", Including = "includeInboundPorts";

    /// <summary>The annotation by which ports of a workload bypass its proxy.</summary>
    private sealed record Bypass(string Name, string[] Ports)
    {
        public bool Skips(int port) => Ports.Contains(port.ToString(CultureInfo.InvariantCulture)) == (Name == Excluding);
    }

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
        let bypass = Of(workload.Pod!.Metadata.Annotations)
        where bypass is not null
        from service in area.ServicesOf(workload)
        where callers.Exists(caller => caller.Namespace != workload.Namespace || !LabelSelector.Selects(service.Spec.Selector, caller.Labels))
        from port in service.Spec.Ports
        let target = AcceptedTls.TargetOf(port, workload.Pod!)
        where bypass.Skips(target) && port.Protocol != "UDP" && !IsForScrapers(port, target, workload.Pod!)
            && AcceptedTls.Of(owner, workload).ForPort(target) != MtlsMode.Disable && !CallersUsePlain(owner, service, port.Port)
        let template = area.Cluster.Templates.FirstOrDefault(template => template.Namespace == workload.Namespace
            && LabelSelector.Selects(template.Labels, workload.Labels) && Of(template.Annotations)?.Skips(target) == true)
        // What some ports are excluded for, such as callers outside of the mesh, is only known to whoever did it.
        let isAll = service.Spec.Ports.TrueForAll(one => bypass.Skips(AcceptedTls.TargetOf(one, workload.Pod!)))
        select WorkloadCodes.PortExcluded.At(area.Cluster, template?.FullName ?? workload.Name,
            $"{(template is null ? "" : "spec.template.")}metadata.annotations[{Prefix}{bypass.Name}]",
            $"{(bypass.Name == Excluding ? "keeps" : $"is {(bypass.Ports.Length > 0 ? string.Join(",", bypass.Ports) : "empty")}, and keeps")} port {target} "
                + $"from the proxy, to which port {port.Port} of Service {service.Key} leads: callers with a proxy use mutual TLS of the mesh "
                + "there, which nothing ends, so that their calls fail",
            $"{Mended(bypass, port.Port, target)}{(template is null ? " of the Pod's template" : "")}, or create a DestinationRule for the host that sets "
                + $"tls.mode DISABLE for port {port.Port}; gateways of other networks do not pass plain text", isAll ? Severity.Warning : Severity.Info));

    /// <summary>Whether calls to a port of a Pod bypass its proxy.</summary>
    internal static bool Bypasses(Pod pod, int port) => Of(pod.Metadata.Annotations)?.Skips(port) == true;

    /// <summary>Null: all ports lead to the proxy. Those that are excluded count only where no others are included.</summary>
    private static Bypass? Of(IReadOnlyDictionary<string, string> annotations)
    {
        if (annotations.TryGetValue($"{Prefix}{Including}", out var own) && own.Trim() != "*") return new(Including, PortsOf(own));
        return PortsOf(annotations.GetValueOrDefault($"{Prefix}{Excluding}", "")) is { Length: > 0 } excluded ? new(Excluding, excluded) : null;
    }

    private static string[] PortsOf(string written) => written.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    private static string Mended(Bypass bypass, int port, int target) => bypass.Name == Excluding ? $"remove {target} from the annotation"
        : !bypass.Skips(port) ? $"write {target} in place of {port}, which is the port of the Service, in the annotation"
        : $"add {target} to the annotation";

    /// <summary>Metrics are fetched in plain text, from outside of the mesh.</summary>
    private static bool IsForScrapers(ServicePort port, int target, Pod pod) => port.Name.Contains("metrics", StringComparison.Ordinal)
        || pod.Metadata.Annotations.GetValueOrDefault("prometheus.io/port") == target.ToString(CultureInfo.InvariantCulture);

    private static bool CallersUsePlain(ConfigCluster config, Service service, int port) => config.Cluster.Istio<DestinationRule>()
        .Where(rule => Mesh.Generate.Hosts.Covers(rule.Host, HostTable.NameOf(service)))
        .Any(rule => (rule.Policy.Ports.FirstOrDefault(own => own.Port == port)?.Policy ?? rule.Policy).Tls is { Mode: not ClientTlsMode.IstioMutual });
}

using System.Globalization;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Ports to which Sidecars lead calls, and that no container declares. Pure.</summary>
public static class SidecarEndpoints
{
    public static Analyzer Analyzer
    {
        get;
    } = new("sidecar.DefaultEndpointAnalyzer", "Checks that containers declare the ports to which Sidecars lead calls", [WorkloadCodes.DefaultEndpointUnknown],
        ["Sidecar", "Pod"], mesh =>
        from config in mesh.Clusters
        from sidecar in config.Cluster.Istio<Sidecar>()
        from ingress in sidecar.Ingress.Index()
        let port = ingress.Item.DefaultEndpoint?.Port ?? 0
        where port > 0
        let pods = config.Selected(sidecar.Namespace, sidecar.Selector).Where(workload => workload is { Pod: not null, HasProxy: true })
            .ToList()
        let declared = pods.Select(workload => Declared(workload.Pod!)).ToList()
        // Containers need not declare their ports: one that declares none may listen anywhere.
        where pods.Count > 0 && declared.TrueForAll(ports => ports is { Count: > 0 } && !ports.Contains(port))
        select WorkloadCodes.DefaultEndpointUnknown.At(config.Cluster, $"Sidecar {sidecar.Namespace}/{sidecar.Name}",
            $"spec.ingress[{ingress.Index}].defaultEndpoint",
            $"leads to port {port}, which no container of {pods[0].Name} declares: they have "
                + $"{string.Join(", ", declared[0]!.Select(known => known.ToString(CultureInfo.InvariantCulture)))}",
            $"write {ingress.Item.DefaultEndpoint!.Value with { Port = declared[0]![0] }}, if that is the port of the application"));

    /// <summary>The ports of the application; null where a container declares none.</summary>
    private static List<int>? Declared(Kubernetes.Objects.Pod pod)
    {
        var own = pod.Spec.Containers.Where(container => container != Workload.ProxyOf(pod.Spec)).ToList();
        return own.Exists(container => container.Ports.Count == 0) ? null
            : [.. own.SelectMany(container => container.Ports).Select(port => port.Number).Distinct().Order()];
    }
}

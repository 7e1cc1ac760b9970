using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Sidecars for workloads that are labelled for ambient mode, and so have no sidecar. Pure.</summary>
public static class AmbientSidecars
{
    private const string Redirection = "ambient.istio.io/redirection";

    public static Analyzer Analyzer { get; } = new("sidecar.AmbientAnalyzer", "Checks for Sidecars whose workloads are in ambient mode",
        [IstioCodes.IneffectivePolicy], ["Sidecar", "Namespace", "Pod"], mesh =>
        from config in mesh.Clusters
        from sidecar in config.Cluster.Written<Sidecar>()
        let selected = config.Selected(sidecar.Namespace, sidecar.Selector).Where(workload => workload.Pod is not null).ToList()
        where sidecar.Selector.Count > 0
            ? selected.Count > 0 && selected.TrueForAll(workload => workload.Pod!.Metadata.Annotations.GetValueOrDefault(Redirection) == "enabled")
            : config.Cluster.Namespaces.Any(ns => ns.Metadata.Name == sidecar.Namespace && IsAmbient(config.Cluster, ns))
        let isOfSome = sidecar.Selector.Count > 0
        let what = isOfSome ? "the workloads that it selects are" : $"namespace {sidecar.Namespace} is"
        select IstioCodes.IneffectivePolicy.At(config.Cluster, $"Sidecar {sidecar.Namespace}/{sidecar.Name}", isOfSome ? "spec.workloadSelector" : "",
            $"has no effect: {what} in ambient mode, and without sidecars"));

    private static bool IsAmbient(ClusterInventory cluster, Namespace ns) => InjectionLabels.IsInjected(cluster, ns) is null
        && ns.Metadata.Labels.GetValueOrDefault(InjectionLabels.Mode) == "ambient";
}

using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Workloads whose label says that they take no mutual TLS of the mesh: other networks do not call them. Pure.</summary>
public static class TlsModeLabels
{
    public static Analyzer Analyzer
    {
        get;
    } = new("multicluster.TlsModeAnalyzer", "Checks that workloads with sidecars are not labelled as if they had none", [OwnCodes.LabelledPlain],
        ["Namespace", "Pod", "Service"], mesh =>
        from area in mesh.Workloads
        where mesh.Readable.Any(other => SubsetsDiffer.NetworkOf(other) != SubsetsDiffer.NetworkOf(area.Cluster))
        from workload in area.All
        let mode = workload.Labels.GetValueOrDefault(Labels.TlsMode, "")
        where mode.Length > 0 && mode != "istio" && workload.HasProxy && area.ServicesOf(workload).Any()
            // Outside of the mesh, the label is right.
            && (workload.Pod is not null || area.In(workload.Namespace).Any(pod => pod is { Pod: not null, HasProxy: true }
                && pod.Labels.GetValueOrDefault(Labels.TlsMode) == mode && LabelSelector.Selects(workload.Labels, pod.Labels)))
            && (workload.Pod is { Metadata.OwnerReferences.Count: 0 } || area.Cluster.Templates.Any(template => template.FullName == workload.Name))
        let path = $"{(workload.Pod is null ? "spec.template." : "")}metadata.labels[{Labels.TlsMode}]"
        select OwnCodes.LabelledPlain.At(area.Cluster, workload.Name, path,
            $"is {mode}: callers take it that the workload has no mutual TLS, and those of other networks get no endpoint of it", $"remove {path}"));
}

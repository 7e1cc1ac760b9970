using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Applications that run as the user of the proxy, whose traffic is not captured. Pure.</summary>
public static class ApplicationUsers
{
    public static Analyzer Analyzer
    {
        get;
    } = new("application.UIDAnalyzer", "Checks that applications do not run as the user of the proxy", [IstioCodes.ReservedUser], [], mesh =>
        from area in mesh.Workloads
        from found in Pods(area).Concat(Templates(area))
        from container in found.Spec.Containers.Index()
        where !container.Item.Name.StartsWith("istio-", StringComparison.Ordinal)
            && (container.Item.SecurityContext?.RunAsUser ?? found.Spec.SecurityContext?.RunAsUser) == ProxyUser.Id
        select IstioCodes.ReservedUser.At(area.Cluster, found.Name, $"{found.Path}.containers[{container.Index}].securityContext.runAsUser",
            $"is {ProxyUser.Id}, the user of the proxy: what container {container.Item.Name} sends bypasses the proxy"));

    private static IEnumerable<(string Name, string Path, PodSpec Spec)> Pods(ClusterWorkloads area) =>
        from workload in area.All
        where workload.Pod is not null && (workload.HasProxy || CanHaveProxy(area, workload.Namespace, workload.Labels, workload.Pod.Metadata.Annotations))
        select (workload.Name, "spec", workload.Pod!.Spec);

    /// <summary>What makes Pods, unless it has made one that is reported itself.</summary>
    private static IEnumerable<(string Name, string Path, PodSpec Spec)> Templates(ClusterWorkloads area) =>
        from template in area.Cluster.Templates
        where CanHaveProxy(area, template.Namespace, template.Labels, template.Annotations)
            && !area.In(template.Namespace).Any(workload => workload.Pod is not null && LabelSelector.Selects(template.Labels, workload.Labels))
        select (template.FullName, "spec.template.spec", template.Spec);

    /// <summary>A Pod that nobody keeps out of the mesh may get a proxy when its namespace is labelled.</summary>
    private static bool CanHaveProxy(ClusterWorkloads area, string ns, IReadOnlyDictionary<string, string> labels,
        IReadOnlyDictionary<string, string> annotations) =>
        !MeshSnapshot.IsSystem(area.Cluster, ns) && InjectionLabels.Asks(labels, annotations) != false && area.Cluster.Namespaces.All(known =>
            known.Metadata.Name != ns || InjectionLabels.IsInjected(area.Cluster, known) != false);
}

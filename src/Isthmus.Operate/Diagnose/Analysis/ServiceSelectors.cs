using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Services whose selectors match nothing. Pure.</summary>
public static class ServiceSelectors
{
    public static Analyzer Analyzer
    {
        get;
    } = new("service.SelectorAnalyzer", "Checks that the selectors of Services match workloads in some cluster",
        [OwnCodes.ServiceSelectsNothing, WorkloadCodes.ServiceWithoutWorkload], ["Service", "Pod", "Deployment", "StatefulSet", "DaemonSet"], mesh =>
        from area in mesh.Workloads
        from service in area.Cluster.Services
        where service.Spec.Selector.Count > 0 && service.Metadata.Namespace != "kube-system" && !area.Selected(service).Any()
        // In a mesh, a Service may have its Pods in other clusters only; each gateway has those of its own cluster.
        let isGateway = service.Metadata.Labels.ContainsKey(Labels.Network)
        where isGateway || !mesh.Workloads.Any(other => other.Cluster.Services.Any(same => same.Key == service.Key && other.Selected(same).Any()))
        let near = Nearest(area, service)
        let stray = Stray(mesh, service)
        let places = isGateway ? area.Cluster.Context : string.Join(" or ", mesh.Workloads.Select(one => one.Cluster.Context))
        where isGateway || mesh.ReadsAll
        // Without anything similar, the workload is probably not deployed yet, or no more.
        let code = isGateway || near is not null || stray is not null ? OwnCodes.ServiceSelectsNothing : WorkloadCodes.ServiceWithoutWorkload
        // Files alone, such as those of routes and Services, need not hold the workloads.
        where code == OwnCodes.ServiceSelectsNothing || mesh.Workloads.Any(one => one.All.Any())
        select code.At(area.Cluster, $"Service {service.Key}", "spec.selector",
            $"selects {Text(service.Spec.Selector)}, which no workload {(stray is null ? "" : $"of namespace {service.Metadata.Namespace} ")}has in "
                + $"{places}, so calls to it find no endpoint"
                + $"{(stray is null ? "" : $"; {stray.Name} in {stray.Cluster.Context} has these labels, in another namespace")}",
            stray is not null ? $"move {stray.Name} to namespace {service.Metadata.Namespace}, or the Service to {stray.Namespace}"
                : near is null ? null
                : $"{near.Name} has {Text(near.Labels.Where(label => service.Spec.Selector.ContainsKey(label.Key)))}: correct the selector"));

    /// <summary>A workload of another namespace that has the labels, and that no Service there selects; or one of the same name alone, in a cluster where the
    /// namespace has another name. Null when there is none.</summary>
    private static Workload? Stray(MeshSnapshot mesh, Service service) =>
        (from area in mesh.Workloads
         from workload in area.All
         where workload.Namespace != service.Metadata.Namespace && LabelSelector.Selects(service.Spec.Selector, workload.Labels)
             && !area.ServicesOf(workload).Any(other => other.Metadata.Name != service.Metadata.Name
                 || area.Cluster.Service(service.Metadata.Namespace, service.Metadata.Name) is not null)
         // A Deployment can be moved, and its Pods cannot.
         orderby workload.Pod is not null
         select workload).FirstOrDefault();

    /// <summary>The workload that was probably meant: it has the labels with other values.</summary>
    private static Workload? Nearest(ClusterWorkloads area, Service service) => area.In(service.Metadata.Namespace)
        .Select(workload => (Workload: workload, Equal: service.Spec.Selector.Count(pair => workload.Labels.GetValueOrDefault(pair.Key) == pair.Value),
            Near: service.Spec.Selector.Count(pair => workload.Labels.TryGetValue(pair.Key, out var value)
                && Core.Problems.Spelling.IsMistyped(value, pair.Value))))
        .Where(candidate => candidate.Equal > 0 || candidate.Near == service.Spec.Selector.Count).OrderByDescending(candidate => candidate.Equal)
        .ThenByDescending(candidate => candidate.Near).Select(candidate => candidate.Workload).FirstOrDefault();

    private static string Text(IEnumerable<KeyValuePair<string, string>> labels) =>
        string.Join(",", labels.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => $"{pair.Key}={pair.Value}"));
}

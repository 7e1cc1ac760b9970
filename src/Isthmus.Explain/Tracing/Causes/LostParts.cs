using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Diagnose.Analysis;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Workloads of a Service that get no calls although they should: callers do not notice while others answer. Found in
/// the objects alone, without any proxy.</summary>
internal static class LostParts
{
    /// <summary>What one cluster lacks of a Service, as warnings.</summary>
    /// <param name="wanted">The Pods that count, for example those of a subset.</param>
    /// <param name="needs">What may tell more of Pods that are not ready; null where nobody is asked.</param>
    /// <param name="now">The time, where there are no needs; null when nobody knows.</param>
    public static IEnumerable<Problem> In(ServiceInCluster service, Func<Pod, bool> wanted, TraceNeeds? needs = null,
        DateTimeOffset? now = null)
    {
        if (service.Service.Spec.Selector.Count == 0) return [];
        return NothingSelected(service).Concat(service.Pods.Count > 0 ? RefusedPods.Behind(service) : [])
            .Concat(Unready(service, wanted, needs, needs?.Now ?? now)).Concat(Mislabelled(service))
            .Select(problem => problem with { Severity = Severity.Warning });
    }

    /// <summary>Ready Pods that other networks cannot call: only mesh TLS passes a gateway. Where no Pod of the Service has a sidecar, that is on purpose,
    /// unless they run in the network of their Node by themselves.</summary>
    /// <param name="all">The Service in all clusters.</param>
    /// <param name="clusters">Those of the mesh, also without the Service.</param>
    public static Problem? WithoutSidecar(ServiceInCluster service, IReadOnlyList<ServiceInCluster> all, IReadOnlyList<ClusterObjects> clusters)
    {
        var bare = service.Pods.Where(pod => pod.Status.IsReady && ClusterObjects.Sidecar(pod) is null).ToList();
        if (bare.Count == 0) return null;
        var own = service.Cluster.NetworkOf(bare[0]);
        if (own.Length == 0) return null;
        var isOnPurpose = all.SelectMany(one => one.Pods).All(pod => ClusterObjects.Sidecar(pod) is null);
        return (isOnPurpose ? LosesAll(service, bare, all, clusters, own) : all.Any(one => one.Cluster.Network != own))
            ? NoSidecar(service, bare[0], bare.Count, own) : null;
    }

    /// <summary>Callers of another network have nothing else of the Service, whose namespace is of the mesh here and there, and its Pods lack sidecars only
    /// because Pods in the network of their Node get none. Agents of Nodes are not meant for others.</summary>
    private static bool LosesAll(ServiceInCluster service, List<Pod> bare, IReadOnlyList<ServiceInCluster> all, IReadOnlyList<ClusterObjects> clusters,
        string own)
    {
        var ns = service.Service.Metadata.Namespace;
        return service.Cluster.Injects(ns) && all.All(one => one.Cluster == service.Cluster || one.Pods.Count == 0)
            && bare.TrueForAll(pod => pod.Spec.HostNetwork && ServicePods.OwnerOf(pod).Kind != "DaemonSet"
                && (pod.Metadata.Labels.GetValueOrDefault(Labels.Inject) ?? pod.Metadata.Annotations.GetValueOrDefault(Labels.Inject)) != "false")
            && clusters.Any(other => other.Network.Length > 0 && other.Network != own && other.Injects(ns));
    }

    /// <param name="count">How many Pods are like the one that is named.</param>
    public static Problem NoSidecar(ServiceInCluster service, Pod pod, int count, string network)
    {
        var without = Sidecarless.Of(service.Cluster, pod);
        return Faults.Of("ISM2051", without.Object, without.Field,
            $"{without.Because}has no sidecar{(count > 1 ? $", like {count - 1} more of {service.Name}" : "")}, but only mesh TLS can pass the gateway of "
                + network,
            without.Remedy) with
        {
            Severity = Severity.Warning
        };
    }

    /// <summary>A Deployment with the labels of a Service that its own cluster does not have: without the Service, nobody calls its Pods. Null when there is
    /// none.</summary>
    /// <param name="others">The Service in the clusters that have it.</param>
    public static Problem? WithoutService(ClusterObjects cluster, IReadOnlyList<ServiceInCluster> others)
    {
        if (others is not [{ Service: { Spec.Selector.Count: > 0 } service } known, ..]) return null;
        var ns = service.Metadata.Namespace;
        return cluster.Deployments.FirstOrDefault(one => one.Metadata.Namespace == ns && one.Spec.Replicas is not 0
            && LabelSelector.Selects(service.Spec.Selector, one.Spec.TemplateLabels) && !IsSelected(cluster, one)
            && HasLostPod(cluster, one)) is not { } orphan ? null
            : Faults.Of("ISM2121", $"Deployment {orphan.Key} in {cluster.Context}", "spec.template.metadata.labels",
                $"are those that {known.Name} selects, and {cluster.Context} has no such Service, so no call reaches its Pods",
                $"create the Service in {cluster.Context} as well: {MissingServices.Create(cluster.Context, service)}");
    }

    private static IEnumerable<Problem> NothingSelected(ServiceInCluster service)
    {
        if (service.Pods.Count > 0) yield break;
        var selector = ServicePods.Text(service.Service.Spec.Selector);
        if (ServicePods.Workloads(service).FirstOrDefault(workload => workload.Spec.Replicas is not 0) is { } empty)
        {
            yield return RefusedPods.Missing(service.Cluster, empty);
        }
        else if (!ServicePods.Workloads(service).Any() && ServicePods.Candidates(service).FirstOrDefault(IsServedByNobody) is { } near)
        {
            yield return Faults.Of("ISM2049", service.Name, "spec.selector",
                $"{selector} matches no Pod of namespace {service.Service.Metadata.Namespace}; those of Deployment {near.Metadata.Name} have "
                    + $"{ServicePods.Compared(near, service.Service)}",
                "fix the selector, or the labels of the Pods");
        }

        // A Service without Pods is common: in other clusters, it gives callers the name.
        bool IsServedByNobody(Deployment deployment) => deployment.Spec.Replicas is not 0 && !IsSelected(service.Cluster, deployment)
            && (deployment.Metadata.Name == service.Service.Metadata.Name
                || deployment.Spec.TemplateLabels.Any(label => service.Service.Spec.Selector.TryGetValue(label.Key, out var value)
                && Spelling.IsMistyped(label.Value, value)));
    }

    private static IEnumerable<Problem> Unready(ServiceInCluster service, Func<Pod, bool> wanted, TraceNeeds? needs, DateTimeOffset? now)
    {
        // They get their share of calls all the same.
        if (service.Service.Spec.PublishNotReadyAddresses) yield break;
        var pods = service.Pods.Where(wanted).Where(pod => pod.Status.Phase is not ("Succeeded" or "Failed")).ToList();
        foreach (var group in pods.Where(pod => !pod.Status.IsReady).GroupBy(ServicePods.Why, StringComparer.Ordinal))
        {
            // One that was just made starts, where an older one may fail.
            var pod = group.MinBy(one => one.Metadata.CreationTimestamp ?? DateTimeOffset.MinValue)!;
            needs?.NeedCheck(service.Cluster, pod);
            yield return UnreadyPods.Of(service.Cluster, pod, group.Count() > 1 ? $", like {group.Count() - 1} more of {service.Name}" : "",
                needs?.Listening(service.Cluster, pod), now);
        }
    }

    /// <summary>Deployments that no Service selects, whose labels differ from the selector in a few letters of one value.</summary>
    private static IEnumerable<Problem> Mislabelled(ServiceInCluster service)
    {
        if (service.Pods.Count == 0) yield break;
        foreach (var deployment in service.Cluster.Deployments.Where(one => one.Metadata.Namespace == service.Service.Metadata.Namespace
            && one.Spec.Replicas is not 0 && !IsSelected(service.Cluster, one)))
        {
            var labels = deployment.Spec.TemplateLabels;
            var wrong = service.Service.Spec.Selector.Where(pair => labels.GetValueOrDefault(pair.Key) != pair.Value).ToList();
            if (wrong is not [var (key, value)] || labels.GetValueOrDefault(key) is not { } has
                || !Spelling.IsMistyped(has, value))
                continue;
            yield return Faults.Of("ISM2080", $"Deployment {deployment.Key} in {service.Cluster.Context}", $"spec.template.metadata.labels[{key}]",
                $"is {has}, and Service {service.Service.Key} selects {key}={value}, so no call reaches its Pods",
                deployment.Spec.Selector.MatchLabels.ContainsKey(key) ? $"create the Deployment again with the value {value}: spec.selector cannot be changed"
                    : $"set the label to {value}");
        }
    }

    /// <summary>Whether a Pod of the Deployment is of the mesh, and no ServiceEntry takes it.</summary>
    private static bool HasLostPod(ClusterObjects cluster, Deployment deployment) =>
        cluster.Pods.Any(pod => pod.Metadata.Namespace == deployment.Metadata.Namespace
            && ClusterObjects.Sidecar(pod) is not null && !ClusterObjects.IsGateway(pod)
            && LabelSelector.Selects(deployment.Spec.TemplateLabels, pod.Metadata.Labels)
            && !cluster.Istio<ServiceEntry>().Any(entry => entry.Namespace == pod.Metadata.Namespace && entry.WorkloadSelector.Count > 0
                && LabelSelector.Selects(entry.WorkloadSelector, pod.Metadata.Labels)));

    private static bool IsSelected(ClusterObjects cluster, Deployment deployment)
    {
        var labels = deployment.Spec.TemplateLabels;
        return cluster.Services.Any(service => service.Metadata.Namespace == deployment.Metadata.Namespace && service.Spec.Selector.Count > 0
            && LabelSelector.Selects(service.Spec.Selector, labels));
    }
}

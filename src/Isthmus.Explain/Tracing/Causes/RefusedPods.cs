using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Inventory;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Pods of a Deployment that the API server refuses: nobody sees them, and older ones may answer in their place.</summary>
internal static class RefusedPods
{
    /// <summary>A Deployment that has no Pods, although it is to have some.</summary>
    public static Problem Missing(ClusterObjects cluster, Deployment workload) =>
        Replaced(cluster, workload) ?? Of(cluster.Context, workload, "has no Pods");

    /// <summary>A Deployment that makes no new Pod before the old one has ended, while that still ends; null for others.</summary>
    private static Problem? Replaced(ClusterObjects cluster, Deployment workload)
    {
        if (workload.Spec.Strategy.Type != "Recreate" || cluster.Ending(workload.Metadata.Namespace, workload.Spec.TemplateLabels) is not { } old) return null;
        // The time of deletion is when the Pod is killed at the latest.
        var until = old.Metadata.DeletionTimestamp!.Value.UtcDateTime;
        return Faults.Of("ISM2048", $"Deployment {workload.Key} in {cluster.Context}", "spec.strategy.type",
            $"is Recreate, and Pod {old.Metadata.Name} still ends, until {until:u} at the latest: no new Pod is made before that, so that there is none",
            "wait for the end of the old Pod; to have Pods all the time, set spec.strategy.type: RollingUpdate, or more replicas; to wait for a shorter time, "
                + $"lower terminationGracePeriodSeconds (it is {old.Spec.TerminationGracePeriodSeconds ?? DefaultGrace})");
    }

    /// <summary>A Pod of a Service that was deleted and stays; null where there is none. A StatefulSet makes no other in its place before it is gone.</summary>
    public static Problem? Kept(IEnumerable<ClusterObjects> clusters, Service service)
    {
        var (ns, selector) = (service.Metadata.Namespace, service.Spec.Selector);
        foreach (var cluster in clusters.Where(cluster => cluster.Service(ns, service.Metadata.Name) is not null))
        {
            if (selector.Count == 0 || cluster.Ending(ns, selector) is not { } pod) continue;
            var (kind, name) = ServicePods.OwnerOf(pod);
            var (owner, then) = ($"Pod {pod.Key} in {cluster.Context}", kind == "StatefulSet" ? $", and {kind} {name} makes no other before it is gone" : "");
            return pod.Metadata.Finalizers.Count == 0
                ? Faults.Of("ISM2048", owner, "metadata.deletionTimestamp",
                    $"is {pod.Metadata.DeletionTimestamp!.Value.UtcDateTime:u}: the Pod was deleted and ends until then{then}; "
                        + $"Service {service.Key} has no other",
                    "wait for its end; to have Pods all the time, run more replicas")
                : Faults.Of("ISM2048", owner, "metadata.finalizers",
                    $"has {string.Join(", ", pod.Metadata.Finalizers)}, which keeps the Pod although it was deleted{then}; Service {service.Key} has no other",
                    "let the program that set the finalizer remove it; if that is gone for good: "
                        + $"kubectl --context={cluster.Context} -n {ns} patch pod {pod.Metadata.Name} --type=merge -p "
                        + "'{\"metadata\":{\"finalizers\":null}}'");
        }
        return null;
    }

    private const long DefaultGrace = 30;

    /// <summary>Deployments of a Service that make no more Pods, or none of their newest template.</summary>
    public static IEnumerable<Problem> Behind(ServiceInCluster service) =>
        from workload in ServicePods.Workloads(service)
        where PodRefusal.Why(workload).Length > 0
        select Of(service.Cluster.Context, workload, "makes no more Pods: those that run have an older template, or are too few");

    private static Problem Of(string context, Deployment workload, string what) => Faults.Of("ISM2048", $"Deployment {workload.Key} in {context}", "status",
        PodRefusal.Why(workload) is { Length: > 0 } why ? $"{what}: {why}" : what, PodRefusal.Remedy(context, workload));
}

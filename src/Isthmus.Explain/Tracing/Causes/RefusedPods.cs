using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Diagnose.Analysis;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Pods of a Deployment that the API server refuses: nobody sees them, and older ones may answer in their place.</summary>
internal static class RefusedPods
{
    /// <summary>A Deployment that has no Pods, although it is to have some.</summary>
    public static Problem Missing(string context, Deployment workload) => Of(context, workload, "has no Pods");

    /// <summary>Deployments of a Service that make no more Pods, or none of their newest template.</summary>
    public static IEnumerable<Problem> Behind(ServiceInCluster service) =>
        from workload in ServicePods.Workloads(service)
        where PodRefusals.Why(workload).Length > 0
        select Of(service.Cluster.Context, workload, "makes no more Pods: those that run have an older template, or are too few");

    private static Problem Of(string context, Deployment workload, string what) => Faults.Of("ISM2048", $"Deployment {workload.Key} in {context}", "status",
        PodRefusals.Why(workload) is { Length: > 0 } why ? $"{what}: {why}" : what, PodRefusals.Remedy(context, workload));
}

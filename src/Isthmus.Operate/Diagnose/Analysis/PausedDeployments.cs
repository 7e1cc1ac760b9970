namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Deployments that are paused, and whose template has changed since: what was mended there does not reach their Pods. Pure.</summary>
public static class PausedDeployments
{
    public static Analyzer Analyzer
    {
        get;
    } = new("deployment.PausedAnalyzer", "Checks for paused Deployments whose Pods are of an older template", [WorkloadCodes.DeploymentPaused], ["Deployment"],
        mesh =>
        from cluster in mesh.Readable
        from workload in cluster.Deployments
        where workload.Spec.Paused && workload.Status.Replicas > 0 && workload.Status.UpdatedReplicas < workload.Status.Replicas
        select WorkloadCodes.DeploymentPaused.At(cluster, $"Deployment {workload.Key}", "spec.paused",
            $"is true, and {workload.Status.Replicas - workload.Status.UpdatedReplicas} of its {workload.Status.Replicas} Pods are of an older template",
            $"kubectl --context={cluster.Context} -n {workload.Metadata.Namespace} rollout resume deployment {workload.Metadata.Name}"));
}

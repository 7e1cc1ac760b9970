using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Jobs whose work is done, and whose sidecars keep them from completing. Pure.</summary>
public static class EndedJobs
{
    public static Analyzer Analyzer
    {
        get;
    } = new("job.SidecarAnalyzer", "Checks that sidecars do not keep Jobs from completing", [OwnCodes.JobKeptRunning], ["Pod"], mesh =>
        from area in mesh.Workloads
        from workload in area.All
        where workload.Pod is not null
        let job = workload.Pod!.Metadata.OwnerReferences.FirstOrDefault(owner => owner.Kind == "Job")
        where job is not null && IsKept(workload.Pod!)
        select OwnCodes.JobKeptRunning.At(area.Cluster, $"Job {workload.Namespace}/{job.Name}", "spec.template",
            $"the containers of {workload.Name} have ended, and its sidecar runs on, so that the Job never completes"));

    /// <summary>A native sidecar is an init container, and ends with the others.</summary>
    private static bool IsKept(Pod pod)
    {
        var proxy = Workload.ProxyOf(pod.Spec);
        if (proxy is null || !pod.Spec.Containers.Contains(proxy) || pod.Spec.Containers.Count < 2) return false;
        var states = pod.Status.ContainerStatuses.ToLookup(status => status.Name == proxy.Name, status => status.State);
        return states[true].Any(state => state.Running is not null) && states[false].Any() && states[false].All(state => state.Terminated is not null);
    }
}

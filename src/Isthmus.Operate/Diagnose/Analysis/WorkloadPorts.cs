using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>The ports of workloads, and those of the Services that lead to them. Pure.</summary>
internal static class WorkloadPorts
{
    /// <summary>A port of a Service that no selected workload has, because the Service leads to another one; null when it is a port of a workload, or of
    /// nothing that is known.</summary>
    internal static (string Service, int To)? MistakenFor(ConfigCluster config, string ns, WorkloadSelector selector, int port)
    {
        (string, int)? mistaken = null;
        foreach (var workload in config.Selected(ns, selector).Where(workload => workload.Pod is not null))
        {
            // A port that a Service has under its own number, or a container listens on, is meant.
            if (workload.Pod!.Spec.Containers.Any(container => container.Ports.Any(known => known.Number == port))) return null;
            foreach (var (service, from, to) in LeadingTo(config, workload))
            {
                if (to == port) return null;
                if (from == port) mistaken ??= (service, to);
            }
        }
        return mistaken;
    }

    private static IEnumerable<(string Service, int From, int To)> LeadingTo(ConfigCluster config, Workload workload) =>
        from service in ServicesOf(config, workload)
        from port in service.Spec.Ports
        select ($"{service.Key}", port.Port, AcceptedTls.TargetOf(port, workload.Pod!));

    /// <summary>The Services that select a workload.</summary>
    internal static IEnumerable<Kubernetes.Objects.Service> ServicesOf(ConfigCluster config, Workload workload) =>
        config.Reach.First(area => area.Cluster == workload.Cluster).ServicesOf(workload);
}

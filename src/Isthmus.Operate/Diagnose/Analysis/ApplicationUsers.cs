using Isthmus.Core.Names;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Applications that run as the user of the proxy, whose traffic is not captured. Pure.</summary>
public static class ApplicationUsers
{
    public static Analyzer Analyzer { get; } = new("application.UIDAnalyzer", "Checks that applications do not run as the user of the proxy", [IstioCodes.ReservedUser], ["Pod"], mesh =>
        from area in mesh.Workloads
        from workload in area.All
        where workload is { Pod: not null, HasProxy: true }
        from container in workload.Pod!.Spec.Containers.Index()
        where !container.Item.Name.StartsWith("istio-", StringComparison.Ordinal) && (container.Item.SecurityContext?.RunAsUser ?? workload.Pod!.Spec.SecurityContext?.RunAsUser) == ProxyUser.Id
        select IstioCodes.ReservedUser.At(area.Cluster, workload.Name, $"spec.containers[{container.Index}].securityContext.runAsUser", $"is {ProxyUser.Id}, the user of the proxy: what container {container.Item.Name} sends bypasses the proxy"));
}

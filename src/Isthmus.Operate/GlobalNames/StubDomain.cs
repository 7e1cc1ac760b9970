using Isthmus.Core.Problems;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.GlobalNames;

/// <summary>Whether the cluster's DNS forwards names of the global zone to the server that resolves them. Pure.</summary>
public static class StubDomain
{
    private const string Server = "istiocoredns";

    public static IEnumerable<Finding> Check(IReadOnlyList<ClusterInventory> clusters)
    {
        foreach (var cluster in clusters)
        {
            // Without a Corefile, the cluster's DNS is another program, and nothing is known about it.
            if (cluster.Service(cluster.SystemNamespace, Server) is not { } service || cluster.Corefile.Length == 0) continue;
            if (cluster.Corefile.Contains(service.Spec.ClusterIP, StringComparison.Ordinal)) continue;
            yield return new(cluster.Context, new("ISM1408", "ConfigMap kube-system/coredns", "data[Corefile]",
                $"forwards no zone to {Server} ({service.Spec.ClusterIP}), so names of the global zone do not resolve",
                $"add the block 'global:53 {{ errors; cache 30; forward . {service.Spec.ClusterIP}:53 }}', one directive on a line", Severity.Warning));
        }
    }
}

using Isthmus.Core.Problems;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Services with <c>sessionAffinity: ClientIP</c>, which nodes follow and proxies, as those of Istio, do not. Pure.</summary>
public static class ClientAffinity
{
    public static Analyzer Analyzer
    {
        get;
    } = new("service.AffinityAnalyzer", "Checks for Services with sessionAffinity", [OwnCodes.ClientAffinityIneffective], ["Service"],
        mesh => Check(mesh.Readable));

    public static IEnumerable<Finding> Check(IReadOnlyList<ClusterInventory> clusters) =>
        from cluster in clusters
        from service in cluster.Services
        where service.Spec.SessionAffinity == "ClientIP" && service.Metadata.Namespace != "kube-system"
        select new Finding(cluster.Context, new("ISM1411", $"Service {service.Metadata.Namespace}/{service.Metadata.Name}", "spec.sessionAffinity",
            "has no effect on calls through a proxy", "set loadBalancer.consistentHash.useSourceIp in a DestinationRule of the host", Severity.Warning));
}

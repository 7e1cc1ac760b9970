using Isthmus.Core.Names;
using Isthmus.Core.Problems;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>NetworkPolicies of clusters whose network is known to enforce none. Of other clusters, only their network plug-in knows. Pure.</summary>
internal static class NetworkPolicies
{
    public static Analyzer Analyzer { get; } = new("networkpolicy.EnforcementAnalyzer", "Checks for NetworkPolicies where the network of the Nodes enforces none", [OwnCodes.NetworkPolicyIneffective], ["NetworkPolicy", "Node"], Check);

    private static IEnumerable<Finding> Check(MeshSnapshot mesh) =>
        from cluster in mesh.Readable
        where cluster.Nodes.Any(node => node.Status.NodeInfo.ContainerRuntimeVersion.StartsWith(WellKnown.OwnRuntime, StringComparison.Ordinal))
        from policy in cluster.Objects("NetworkPolicy")
        select new Finding(cluster.Context, new("ISM1425", $"NetworkPolicy {policy["metadata"]?["namespace"]}/{policy["metadata"]?["name"]}", "spec",
            "drops nothing: the network of the Nodes, which is that of a lab, does not enforce NetworkPolicies", "test it in a cluster whose network plug-in enforces them; 'isthmus trace --no-call' names a policy that would drop a call", Severity.Warning));
}

using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Gateways whose <c>credentialName</c> names no usable Secret. Pure.</summary>
public static class CredentialReferences
{
    /// <summary>The Secrets that Gateways name: each must be in the namespace of the Pods that serve it.</summary>
    public static IEnumerable<(Gateway Gateway, int Server, string Namespace, string Name)> Of(ClusterInventory cluster) =>
        from gateway in cluster.Istio<Gateway>()
        from server in gateway.Servers.Select((server, index) => (Index: index, Name: server.Tls?.CredentialName ?? ""))
        where server.Name.Length > 0
        from ns in cluster.Pods.Where(pod => Selectors.Matches(gateway.Selector, pod.Metadata.Labels.ToValueMap())).Select(pod => pod.Metadata.Namespace).Distinct()
        select (gateway, server.Index, ns, server.Name);

    public static IEnumerable<Finding> Check(IReadOnlyList<ClusterInventory> clusters) =>
        from cluster in clusters
        from reference in Of(cluster)
        let secret = $"{reference.Namespace}/{reference.Name}"
        let problem = cluster.Credentials.GetValueOrDefault(secret, "")
        where problem.Length > 0
        select new Finding(cluster.Context, new("IST0101", $"Gateway {reference.Gateway.FullName}", $"spec.servers[{reference.Server}].tls.credentialName",
            $"Referenced credentialName not found: \"{reference.Name}\" (Secret {secret} {problem})", $"create or correct the Secret in namespace {reference.Namespace}, or correct the name"));
}

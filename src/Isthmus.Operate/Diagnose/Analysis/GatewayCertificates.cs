using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>One certificate in several Gateways of the same Pods. Pure.</summary>
public static class GatewayCertificates
{
    public static Analyzer Analyzer
    {
        get;
    } = new("gateway.CertificateAnalyzer", "Checks for Gateways of the same Pods that share a certificate", [IstioCodes.DuplicateCertificate], ["Gateway"],
        mesh => mesh.Readable.SelectMany(Check));

    private static IEnumerable<Finding> Check(ClusterInventory cluster) =>
        from used in cluster.Written<Gateway>()
            .SelectMany(gateway => gateway.Servers.Index()
                .SelectMany(server => (server.Item.Tls?.Credentials ?? [])
                    .Select(credential => (Gateway: gateway, server.Index, credential.Name, credential.Field))))
        group used by used.Name into same
        from used in same
        let names = same.Where(other => LabelSelector.Selects(used.Gateway.Selector, other.Gateway.Selector)).Select(other => other.Gateway.FullName).Distinct()
            .Order(StringComparer.Ordinal).ToList()
        where names.Count > 1
        select IstioCodes.DuplicateCertificate.At(cluster, $"Gateway {used.Gateway.FullName}", $"spec.servers[{used.Index}].tls.{used.Field}",
            $"the Gateways {string.Join(", ", names)} use the same certificate {used.Name}: a client that reuses an HTTP/2 connection for the host of another "
                + $"one gets 404");
}

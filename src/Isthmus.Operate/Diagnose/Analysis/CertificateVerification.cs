using System.Globalization;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Certificates;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>The inventory of certificates as checks of <c>verify</c>. Pure.</summary>
public static class CertificateVerification
{
    /// <summary>The cluster with what handshakes proved about its webhooks.</summary>
    public static ClusterFacts WithHandshakes(ClusterFacts cluster, ClusterInventory? inventory)
    {
        if (inventory is null) return cluster;
        var proven = inventory.Certificates.Where(one => one.Role == CertificateRole.WebhookBundle && (one.Fault.Length > 0 || one.Root.Length > 0));
        return cluster with
        {
            Handshakes = proven.GroupBy(one => one.Owner, StringComparer.Ordinal)
                .Select(group => KeyValuePair.Create(group.Key, group.Select(one => one.Fault).Max() ?? "")).ToValueMap()
        };
    }

    /// <summary>Whether one root is on its way to replace another.</summary>
    public static IEnumerable<Check> Roots(IReadOnlyList<ClusterInventory> clusters) =>
        RotationAnalysis.Check(clusters)
            .Select(finding => new Check(finding.Cluster, "root of trust",
                finding.Problem.Code == OwnCodes.RotationUnderWay.Code ? "being replaced" : finding.Problem.Object, finding.Problem));

    /// <param name="told">Code and object of what other checks say.</param>
    public static IEnumerable<Check> Checks(ClusterInventory cluster, IReadOnlySet<(string Code, string Object)> told)
    {
        if (cluster.CertificatesAt is null || cluster.Certificates.IsEmpty) yield break;
        var count = 0;
        // Webhooks and tokens of remote secrets have checks of their own.
        foreach (var (certificate, finding) in CertificateAnalysis
            .Judged(cluster, one => one.Role is not (CertificateRole.RemoteToken or CertificateRole.WebhookBundle))
            .Where(judged => judged.Finding.Problem.Severity != Severity.Info))
        {
            count++;
            if (!told.Contains((finding.Problem.Code, finding.Problem.Object)) && !told.Contains((finding.Problem.Code, certificate.User)))
                yield return new(cluster.Context, "certificate", finding.Problem.Object,
                    finding.Problem with { Object = $"{finding.Problem.Object} in {cluster.Context}" });
        }
        if (count > 0) yield break;
        var first = cluster.Certificates.Where(one => one.Ends is not null && !one.IsRenewed && one.IsInForce).MinBy(one => one.Ends);
        yield return new(cluster.Context, "certificates",
            first is null
                ? $"{cluster.Certificates.Count}"
                : string.Create(CultureInfo.InvariantCulture, $"{cluster.Certificates.Count}, the first to renew by {first.Ends:yyyy-MM-dd}: {first.Subject}"),
            null);
    }
}

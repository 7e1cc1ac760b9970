using System.Globalization;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Certificates;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>What is wrong with the certificates of the inventory. Pure.</summary>
public static class CertificateAnalysis
{
    public static Analyzer Analyzer
    {
        get;
    } = new("trust.CertificateAnalyzer", "Checks the certificates that the mesh lives by: their end, their names, and whether they are accepted",
        [OwnCodes.CertificateExpired, OwnCodes.CertificateEnds, OwnCodes.AuthorityRefused, OwnCodes.CertificateForOthers, OwnCodes.WebhookUntrusted,
            GatewayCodes.ChainIncomplete, GatewayCodes.SuitesUnfit, IstioCodes.InvalidGatewayCredential],
        [],
        // Other analyzers tell the faults of what Gateways and remote secrets name, where it is named.
        mesh => mesh.Readable.SelectMany(cluster => Check(cluster, one => one.Fault.Length == 0
            || (one.User.Length == 0 && one.Role is not (CertificateRole.Gateway or CertificateRole.ClientAuthority or CertificateRole.RemoteToken)))));

    public static IEnumerable<Finding> Check(ClusterInventory cluster) => Check(cluster, _ => true);

    /// <param name="which">The certificates to check.</param>
    public static IEnumerable<Finding> Check(ClusterInventory cluster, Func<MeshCertificate, bool> which) =>
        Judged(cluster, which).Select(judged => judged.Finding);

    /// <summary>The certificates with which something is wrong.</summary>
    public static IEnumerable<(MeshCertificate Certificate, Finding Finding)> Judged(ClusterInventory cluster, Func<MeshCertificate, bool> which)
    {
        if (cluster.CertificatesAt is not { } now) yield break;
        // Owners of many Pods have the same certificate in each of their fields.
        foreach (var certificate in cluster.Certificates.Where(which)
            .DistinctBy(one => (one.Owner, one.Field, one.Fingerprint, one.Role, one.Hosts, one.Fault)))
            if (Judge(cluster, certificate, now) is { } finding) yield return (certificate, finding);
    }

    /// <summary>Null if nothing is wrong with it.</summary>
    public static Finding? Judge(ClusterInventory cluster, MeshCertificate certificate, DateTimeOffset now)
    {
        if (certificate.Fault.Length > 0)
            return certificate.Role switch
            {
                CertificateRole.Authority => OwnCodes.AuthorityRefused.At(cluster, certificate.Owner, certificate.Field,
                    $"'{certificate.Subject}' is not used: {certificate.Fault}"
                        + (certificate.IsInForce ? "" : Signs(cluster) ? "; the CA that was in force before signs"
                        : "; no control plane is ready, so that nothing signs")),
                CertificateRole.Gateway or CertificateRole.ClientAuthority or CertificateRole.Origination or CertificateRole.ServerAuthority =>
                    IstioCodes.InvalidGatewayCredential.At(cluster, certificate.Owner, certificate.Field, $"{certificate.Fault}{Hit(certificate)}",
                        $"correct the {(certificate.Field.Length > 0 ? "file" : certificate.Owner.Split(' ')[0])}"),
                CertificateRole.RemoteToken => OwnCodes.RemoteSecretUnusable.At(cluster, certificate.Owner, certificate.Field,
                    $"cannot be used: {certificate.Fault}", Renew(cluster, certificate)),
                CertificateRole.WebhookBundle => OwnCodes.WebhookUntrusted.At(cluster, certificate.Owner, certificate.Field, certificate.Fault),
                _ => null,
            };
        var renew = Renew(cluster, certificate);
        return CertificateState.TimeOf(certificate, now) switch
        {
            CertificateTime.Expired => OwnCodes.CertificateExpired.At(cluster, certificate.Owner, certificate.Field,
                $"{What(certificate)} expired at {Time(certificate.Ends)}{Hit(certificate)}", renew),
            CertificateTime.Early => OwnCodes.CertificateExpired.At(cluster, certificate.Owner, certificate.Field,
                $"{What(certificate)} is not valid before {Time(certificate.Begins)}{Hit(certificate)}",
                "correct the clock of the machine that made it, or use one that is valid"),
            _ when CertificateState.Misnamed(certificate) => OwnCodes.CertificateForOthers.At(cluster, certificate.Owner, certificate.Field,
                $"{What(certificate)} is valid for {(certificate.Names.IsEmpty ? "no DNS name" : string.Join(", ", certificate.Names))}, and not for "
                    + $"{string.Join(", ", certificate.Hosts)}"),
            CertificateTime.EndsNow => OwnCodes.CertificateEnds.At(cluster, certificate.Owner, certificate.Field,
                $"{What(certificate)} expires at {Time(certificate.Ends)}, in {Left(certificate, now)}{Hit(certificate)}", renew, Severity.Error),
            CertificateTime.EndsSoon => OwnCodes.CertificateEnds.At(cluster, certificate.Owner, certificate.Field,
                $"{What(certificate)} expires at {Time(certificate.Ends)}, in {Left(certificate, now)}{Hit(certificate)}", renew, Severity.Warning),
            _ when certificate.Gap is { } gap && (gap.IsCertain || gap.OfferedAt.Length > 0) => GatewayCodes.ChainIncomplete.At(cluster, certificate.Owner,
                certificate.Field, $"{What(certificate)} {gap.Why}", gap.Remedy, gap.IsCertain ? Severity.Warning : Severity.Info),
            _ when certificate.Suites is { } unfit => GatewayCodes.SuitesUnfit.At(cluster, certificate.NeededBy, unfit.Field, unfit.Why, unfit.Remedy,
                unfit.IsFatal ? Severity.Error : Severity.Warning),
            _ => null,
        };
    }

    /// <summary>Whether something may sign: a control plane that was ready before the Secret was replaced, or one elsewhere.</summary>
    private static bool Signs(ClusterInventory cluster)
    {
        var planes = cluster.Pods.Where(pod => pod.Metadata.Labels.GetValueOrDefault("app") == WellKnown.Istiod).ToList();
        return planes.Count == 0 || planes.Exists(pod => pod.Status.IsReady);
    }

    private static string What(MeshCertificate certificate) => certificate.Role switch
    {
        CertificateRole.RemoteToken => $"the token for {certificate.Subject}",
        CertificateRole.Root => $"the root '{certificate.Subject}'",
        CertificateRole.Authority => $"the CA '{certificate.Subject}'",
        CertificateRole.ClientAuthority => $"the CA of clients '{certificate.Subject}'",
        CertificateRole.ServerAuthority => $"the CA of servers '{certificate.Subject}'",
        _ => $"the certificate '{certificate.Subject}'",
    };

    private static string Hit(MeshCertificate certificate) =>
        certificate.NeededBy.Length == 0
            ? ""
            : $"; {certificate.NeededBy} {(IsOne(certificate.NeededBy) ? "needs" : "need")} it";

    private static bool IsOne(string needed) =>
        ((string[])["each", "Gateway ", "ListenerSet "]).Any(start => needed.StartsWith(start, StringComparison.Ordinal));

    private static string Renew(ClusterInventory cluster, MeshCertificate certificate) => certificate.Role switch
    {
        CertificateRole.Root => "replace it: isthmus ca rotate",
        CertificateRole.Authority => $"put a new one into the Secret {WellKnown.CaCerts} (isthmus ca intermediate): proxies renew their certificates at once",
        CertificateRole.Workload => "its proxy renews it: read the log of its container istio-proxy, and that of the control plane",
        CertificateRole.ControlPlane or CertificateRole.WebhookBundle => "it lasts as long as the CA: replace that",
        CertificateRole.RemoteToken => WatchedCluster.Create(null, certificate.Subject.Split(' ')[^1], cluster.Context,
            certificate.Owner.Split(' ')[^1].Split('/')[0], " --rotate"),
        _ => $"put a new one there{(certificate.RenewedBy.Length > 0 ? $" ({certificate.RenewedBy})" : "")}",
    };

    private static string Left(MeshCertificate certificate, DateTimeOffset now)
    {
        var left = certificate.Ends!.Value - now;
        return left.TotalDays >= 2
            ? string.Create(CultureInfo.InvariantCulture, $"{left.TotalDays:0} days")
            : left.TotalHours >= 2
            ? string.Create(CultureInfo.InvariantCulture, $"{left.TotalHours:0} hours")
            : Counted.Of(Math.Max(1, (long)Math.Round(left.TotalMinutes)), "minute");
    }

    private static string Time(DateTimeOffset? time) => string.Create(CultureInfo.InvariantCulture, $"{time?.UtcDateTime:yyyy-MM-dd HH:mm} UTC");
}

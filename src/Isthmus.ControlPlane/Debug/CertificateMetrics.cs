using System.Text;
using Isthmus.Core.Problems;
using Isthmus.ControlPlane.Ca;
using Isthmus.Graph.Derive;
using Isthmus.Graph.Metrics;
using Isthmus.Mesh.Certificates;

namespace Isthmus.ControlPlane.Debug;

/// <summary>When the certificates end that this control plane knows, and what is wrong with them: judged as <c>isthmus certificates</c> does, when somebody
/// asks.</summary>
/// <param name="pod">The Pod of this control plane, as <c>namespace/name</c>, in <paramref name="cluster"/>.</param>
/// <param name="ca">The CA in force; none at first.</param>
/// <param name="bundles">What API servers trust webhooks by, as base64.</param>
internal sealed class CertificateMetrics(string cluster, string pod, CaState ca, ServingTls tls, MeshGraph mesh,
    Func<IEnumerable<(string Cluster, string Object, string Bundle)>> bundles)
{
    private const string Expiration = "isthmus_certificate_expiration_timestamp_seconds", Start = "isthmus_certificate_start_timestamp_seconds",
        Problem = "isthmus_certificate_problem";

    private readonly GatewaySecrets _gateways = new(mesh);

    public void Write(StringBuilder text, DateTimeOffset now)
    {
        WriteAuthority(text, now);
        Write(text, [.. Authorities(), .. Kept(cluster, ca.Problem), .. Serving(), .. WebhookTrust.Of(bundles(), tls.Served, now), .. _gateways.Read()]);
    }

    internal static void Write(StringBuilder text, IReadOnlyList<MeshCertificate> all)
    {
        var first = all.Where(one => one is { Begins: not null, Ends: not null }).GroupBy(Labels, StringComparer.Ordinal)
            .Select(same => (Labels: same.Key, Certificate: same.MinBy(CertificateState.WarnedAt)!))
            .OrderBy(one => one.Labels, StringComparer.Ordinal).ToList();
        MetricText.Family(text, Expiration, "gauge",
            "When a certificate expires, as a Unix time, by cluster, by kind (as isthmus certificates says), and by the object that holds it: of several in "
                + "one object, the one that must be renewed first.",
            first.Select(one => (one.Labels, (double)one.Certificate.Ends!.Value.ToUnixTimeSeconds())));
        MetricText.Family(text, Start, "gauge", "When the same certificate begins to be valid, as a Unix time.",
            first.Select(one => (one.Labels, (double)one.Certificate.Begins!.Value.ToUnixTimeSeconds())));
        MetricText.Family(text, Problem, "gauge",
            "1 while a certificate is of no use, by reason: other_hosts (it is valid for none of the hosts that a gateway serves with it), unusable_key "
                + "(nobody can use it with its key), unusable_ca (it can check neither clients nor servers), untrusted (API servers do not trust the webhooks "
                + "of this control plane by it), refused_ca (Secret cacerts holds a CA that is refused) or waiting_ca (it holds one that waits for a restart).",
            all.Select(one => (Certificate: one, Reason: CertificateState.ReasonOf(one))).Where(one => one.Reason.Length > 0)
                .Select(one => $"cluster=\"{MetricText.Escape(one.Certificate.Cluster)}\",object=\"{MetricText.Escape(one.Certificate.Owner)}\""
                    + $",reason=\"{one.Reason}\"{Gateway(one.Certificate)}")
                .Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).Select(labels => (labels, 1.0)));
    }

    private static string Labels(MeshCertificate certificate) => $"cluster=\"{MetricText.Escape(certificate.Cluster)}\""
        + $",kind=\"{CertificateState.NameOf(certificate.Role)}\",object=\"{MetricText.Escape(certificate.Owner)}\"";

    private static string Gateway(MeshCertificate certificate) =>
        certificate.NeededBy.Length == 0 ? "" : $",gateway=\"{MetricText.Escape(certificate.NeededBy)}\"";

    private void WriteAuthority(StringBuilder text, DateTimeOffset now)
    {
        var (root, chain) = (ca.Current?.Bundle.Trust.Roots.Min(one => new DateTimeOffset(one.NotAfter.ToUniversalTime())), ca.Current?.End);
        foreach (var (name, what, time) in ((string, string, DateTimeOffset?)[])[("root_cert", "the first of the trusted root certificates", root),
            ("cert_chain", "the first of the certificates that sign, up to the root,", chain)])
        {
            MetricText.Family(text, $"citadel_server_{name}_expiry_timestamp", "gauge", $"When {what} expires, as a Unix time.",
                time is { } end ? [("", end.ToUnixTimeSeconds())] : []);
            MetricText.Family(text, $"citadel_server_{name}_expiry_seconds", "gauge", $"Seconds until {what} expires; negative when it has.",
                time is { } then ? [("", Math.Floor((then - now).TotalSeconds))] : []);
        }
        MetricText.Family(text, "isthmus_ca_refused", "gauge", "1 while the CA in Secret cacerts is refused, or waits for a restart; 0 otherwise.",
            [("", ca.Problem is null ? 0 : 1)]);
    }

    private IEnumerable<MeshCertificate> Authorities()
    {
        if (ca.Current is not { Bundle: var bundle, Source: var source }) return [];
        var signing = bundle.Intermediates.Prepend(bundle.Issuer.Certificate).Where(one => !bundle.Trust.Roots.Any(one.Equals));
        return bundle.Trust.Roots.Select(root => CertificateRecord.Of(cluster, CertificateRole.Root, source, root))
            .Concat(signing.Select(one => CertificateRecord.Of(cluster, CertificateRole.Authority, source, one)));
    }

    /// <summary>The CA in Secret <c>cacerts</c> that does not sign. When it ends is not told: it would be taken for that of the CA in force, which may have
    /// been in the same Secret.</summary>
    /// <param name="problem">Why it does not; null: it does, or there is none.</param>
    internal static IEnumerable<MeshCertificate> Kept(string cluster, Problem? problem) => problem is null ? []
        : [new(cluster, CertificateRole.Authority, problem.Object, "", null, null)
        {
            IsInForce = false, Fault = problem.Severity == Severity.Error ? problem.Message : "",
        }];

    private IEnumerable<MeshCertificate> Serving() =>
        tls.Served is { Leaf: var leaf } ? [CertificateRecord.Of(cluster, CertificateRole.ControlPlane, $"Pod {pod}", leaf)] : [];
}

using System.Security.Cryptography.X509Certificates;
using System.Text;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Certificates;
using Isthmus.Wire.Tls;

namespace Isthmus.ControlPlane.Debug;

/// <summary>What API servers trust the webhooks of a control plane by, and whether they accept by it what it serves. Names are not compared: a Service of a
/// revision tag gets its name into the certificate with the first handshake that asks for it. Pure.</summary>
internal static class WebhookTrust
{
    /// <param name="bundles">As base64, with the objects that have them.</param>
    /// <param name="served">The certificate of the control plane, and those above it. Null as long as it has not been read.</param>
    public static IEnumerable<MeshCertificate> Of(IEnumerable<(string Cluster, string Object, string Bundle)> bundles,
        (X509Certificate2 Leaf, IReadOnlyCollection<X509Certificate2> Above)? served, DateTimeOffset now)
    {
        foreach (var (cluster, owner, bundle) in bundles.Distinct())
        {
            var pem = PemOf(bundle);
            var certificates = CertificateRecord.All(cluster, CertificateRole.WebhookBundle, owner, pem).ToList();
            if (certificates.Count == 0)
                yield return new(cluster, CertificateRole.WebhookBundle, owner, "", null, null) { Fault = "has no CA bundle, so API servers do not trust it" };
            var fault = served is var (leaf, above) ? Refusal(pem, leaf, above, now) : "";
            foreach (var one in certificates) yield return one.Fault.Length > 0 ? one : one with { Fault = fault };
        }
    }

    private static string Refusal(string pem, X509Certificate2 leaf, IEnumerable<X509Certificate2> above, DateTimeOffset now)
    {
        try { return TrustBundle.FromPem(pem, "caBundle").Reject(leaf, above, CertificateUse.Server, now) ?? ""; }
        catch (ProblemException e) { return e.Problem.Message; }
    }

    private static string PemOf(string base64)
    {
        var bytes = new byte[base64.Length];
        return Convert.TryFromBase64String(base64, bytes, out var length) ? Encoding.UTF8.GetString(bytes, 0, length) : "";
    }
}

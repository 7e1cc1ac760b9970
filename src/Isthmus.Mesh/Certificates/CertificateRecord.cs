using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Wire.Tls;

namespace Isthmus.Mesh.Certificates;

/// <summary>Makes entries of the inventory from certificates.</summary>
public static class CertificateRecord
{
    /// <summary>All certificates of a text. One that cannot be read is an entry, too.</summary>
    public static IEnumerable<MeshCertificate> All(string cluster, CertificateRole role, string owner, string? pem)
    {
        if (string.IsNullOrWhiteSpace(pem)) return [];
        try
        {
            return [.. CertificateText.ReadAny(pem, owner).Select(certificate => Of(cluster, role, owner, certificate))];
        }
        catch (ProblemException e)
        {
            return [new(cluster, role, owner, "", null, null) { Fault = e.Problem.Message }];
        }
    }

    /// <summary>The first certificate of a chain, which lasts no longer than the others; null when there is none.</summary>
    public static MeshCertificate? Leaf(string cluster, CertificateRole role, string owner, string? pem)
    {
        var all = All(cluster, role, owner, pem).ToList();
        return all.Count == 0 ? null : all[0] with { Ends = all.Min(one => one.Ends) };
    }

    public static MeshCertificate Of(string cluster, CertificateRole role, string owner, X509Certificate2 certificate)
    {
        var names = SubjectNames.Of(certificate);
        return new(cluster, role, owner, SubjectOf(certificate, names), certificate.NotBefore.ToUniversalTime(), certificate.NotAfter.ToUniversalTime())
        {
            Fingerprint = Fingerprint(certificate), Issuer = certificate.Issuer,
            // Without alternative names, some clients still look at the common name.
            Names = (names.DnsNames.Count > 0
                ? names.DnsNames.Concat(names.Addresses.Select(address => address.ToString()))
                : names.Addresses.Count > 0
                ? names.Addresses.Select(address => address.ToString())
                : [CommonName(certificate)])
                .Where(name => name.Length > 0).ToValueList(),
        };
    }

    public static string Fingerprint(X509Certificate2 certificate) => certificate.GetCertHashString(HashAlgorithmName.SHA256);

    /// <summary>The digest of the root of <paramref name="roots"/> that a chain leads to, whatever the time; empty when there is none.</summary>
    public static string RootOf(string chainPem, string rootsPem)
    {
        try
        {
            var chain = CertificateText.ReadAny(chainPem, "chain");
            if (chain.Count == 0) return "";
            var then = new DateTimeOffset(chain.Min(one => one.NotAfter).ToUniversalTime()).AddSeconds(-1);
            return CertificateText.ReadAny(rootsPem, "roots")
                .Where(root => new TrustBundle([root]).Reject(chain[0], chain.Skip(1), CertificateUse.Any, then) is null).Select(Fingerprint).FirstOrDefault()
                ?? "";
        }
        catch (ProblemException)
        {
            return "";
        }
    }

    private static string SubjectOf(X509Certificate2 certificate, SubjectNames names) =>
        names.Uris.Count == 1 ? names.Uris[0] : certificate.Subject.Length > 0 ? certificate.Subject : names.DnsNames.FirstOrDefault() ?? "";

    private static string CommonName(X509Certificate2 certificate) => certificate.GetNameInfo(X509NameType.SimpleName, forIssuer: false);
}

using System.Security.Cryptography;
using Isthmus.Core.Problems;
using Isthmus.Wire.Tls;

namespace Isthmus.Operate.Inventory;

/// <summary>A trusted root, or several in a bundle: the SHA-256 digests of the certificates, joined by plus signs; empty
/// when there is none or it cannot be read.</summary>
public readonly record struct Root(string Fingerprint)
{
    public static readonly Root None = new("");

    public bool IsKnown => !string.IsNullOrEmpty(Fingerprint);

    public static Root Of(string? pem)
    {
        if (string.IsNullOrWhiteSpace(pem)) return None;
        try
        {
            var digests = CertificateText.ReadAny(pem, "root").Select(certificate => certificate.GetCertHashString(HashAlgorithmName.SHA256)).Distinct()
                .Order(StringComparer.Ordinal).ToList();
            return digests.Count == 0 ? None : new(string.Join('+', digests));
        }
        catch (ProblemException)
        {
            return None;
        }
    }

    /// <summary>Whether both contain a common root, so that one trusts what the other's CA signs.</summary>
    public bool Shares(Root other) => IsKnown && other.IsKnown && Fingerprint.Split('+').Intersect(other.Fingerprint.Split('+')).Any();

    /// <summary>A form for people to compare: the first half of each digest.</summary>
    public override string ToString() => IsKnown ? string.Join('+', Fingerprint.Split('+').Select(digest => digest[..Math.Min(16, digest.Length)])) : "none";
}

using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Core.Collections;
using Isthmus.Wire.Envoy;

namespace Isthmus.Proxy.Snapshot;

/// <summary>SHA-256 hashes of which the peer's certificate (hexadecimal) or its public key (Base64) must have one.</summary>
internal sealed record CertificatePins(ValueList<string> Hashes, ValueList<string> Keys)
{
    public static readonly CertificatePins None = new(default, default);

    public bool IsEmpty => Hashes.IsEmpty && Keys.IsEmpty;

    public static CertificatePins From(CertificateValidationContext context) => new(
        context.VerifyCertificateHash.Select(hash => hash.Replace(":", "", StringComparison.Ordinal).ToLowerInvariant()).ToValueList(),
        context.VerifyCertificateSpki.ToValueList());

    public bool Allow(X509Certificate2 certificate) =>
        IsEmpty
        || Hashes.Contains(Convert.ToHexStringLower(SHA256.HashData(certificate.RawDataMemory.Span)))
        || Keys.Contains(Convert.ToBase64String(SHA256.HashData(certificate.PublicKey.ExportSubjectPublicKeyInfo())));
}

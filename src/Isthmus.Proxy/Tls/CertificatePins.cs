using System.Security.Cryptography;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Matching;
using Isthmus.Wire.Envoy;

namespace Isthmus.Proxy.Tls;

/// <summary>SHA-256 hashes of which the peer's certificate (hexadecimal) or its public key (Base64) must have one.</summary>
internal sealed record CertificatePins(ValueList<string> Hashes, ValueList<string> Keys)
{
    public static readonly CertificatePins None = new(default, default);

    public bool IsEmpty => Hashes.IsEmpty && Keys.IsEmpty;

    /// <exception cref="ResourceException">A hash that no certificate can have.</exception>
    public static CertificatePins From(CertificateValidationContext context) => new(
        context.VerifyCertificateHash.Select(CertificateHash).ToValueList(), context.VerifyCertificateSpki.Select(KeyHash).ToValueList());

    private static string CertificateHash(string text)
    {
        var hash = text.Replace(":", "", StringComparison.Ordinal).ToLowerInvariant();
        return hash.Length == 2 * SHA256.HashSizeInBytes && hash.All(char.IsAsciiHexDigit)
            ? hash
            : throw new ResourceException($"Invalid hex-encoded SHA-256 {text}");
    }

    private static string KeyHash(string text)
    {
        Span<byte> bytes = stackalloc byte[SHA256.HashSizeInBytes + 1];
        return Convert.TryFromBase64String(text, bytes, out var length) && length == SHA256.HashSizeInBytes
            ? Convert.ToBase64String(bytes[..length])
            : throw new ResourceException($"Invalid base64-encoded SHA-256 {text}");
    }

    /// <param name="hash">That of the certificate, hexadecimal and in lower case.</param>
    /// <param name="keyHash">That of its public key, in Base64.</param>
    public bool Allow(string hash, string keyHash) => IsEmpty || Hashes.Contains(hash) || Keys.Contains(keyHash);
}

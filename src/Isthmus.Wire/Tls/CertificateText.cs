using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Core.Problems;

namespace Isthmus.Wire.Tls;

/// <summary>Certificates as PEM text.</summary>
public static class CertificateText
{
    /// <summary>Size limit of a bundle, in characters.</summary>
    public const int MaxLength = 4 * 1024 * 1024;

    /// <summary>All certificates of a bundle, in order; text between them is skipped.</summary>
    /// <param name="source">Named in the error: a file or a field of a Secret.</param>
    /// <exception cref="ProblemException">There is no certificate, or one is malformed.</exception>
    public static IReadOnlyList<X509Certificate2> Read(string pem, string source)
    {
        var found = ReadAny(pem, source);
        return found.Count > 0 ? found
            : throw new ProblemException(source, "there is no certificate", "it must contain a block -----BEGIN CERTIFICATE-----");
    }

    /// <summary>As <see cref="Read"/>, but allows an empty bundle, such as an empty cert-chain.pem.</summary>
    public static IReadOnlyList<X509Certificate2> ReadAny(string pem, string source)
    {
        if (pem.Length > MaxLength) throw new ProblemException(source, $"more than {MaxLength} characters of certificates");
        var collection = new X509Certificate2Collection();
        try
        {
            collection.ImportFromPem(pem);
        }
        catch (CryptographicException e)
        {
            throw new ProblemException(source, $"certificate {collection.Count + 1} is not readable: {e.Message}", "it must be PEM (base64 of DER)", e);
        }
        return [.. collection];
    }

    /// <summary>Ends with a line feed, so that bundles can be concatenated.</summary>
    public static string Write(X509Certificate2 certificate) => certificate.ExportCertificatePem() + "\n";

    public static string Write(IEnumerable<X509Certificate2> certificates) => string.Concat(certificates.Select(Write));
}

using System.Security.Cryptography.X509Certificates;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>What a certificate may be used for (RFC 5280, 4.2.1.12): clients do not take that of a server which is for clients alone.</summary>
internal static class ServerUse
{
    private const string ServerAuthentication = "1.3.6.1.5.5.7.3.1", Any = "2.5.29.37.0";

    /// <summary>Whether a certificate names uses, and that of a server is not among them.</summary>
    public static bool Lacks(X509Certificate2 certificate) =>
        certificate.Extensions.OfType<X509EnhancedKeyUsageExtension>().FirstOrDefault() is { EnhancedKeyUsages: { Count: > 0 } uses }
        && !uses.Cast<System.Security.Cryptography.Oid>().Any(use => use.Value is ServerAuthentication or Any);
}

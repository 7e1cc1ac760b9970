namespace Isthmus.Proxy.Tls;

/// <summary>The roots of the operating system, as one file of PEM certificates.</summary>
internal static class SystemRoots
{
    /// <summary>The name by which resources ask for them (<c>caCertificates: system</c>, and TLS without roots).</summary>
    public const string Name = "system";

    // Where Istio's agent looks, in that order.
    private static readonly string[] Places =
    [
        "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/pki/tls/cacert.pem",
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem",
    ];

    /// <summary>The file; the first place when there is none, so that its appearance is noticed.</summary>
    /// <param name="chosen">OpenSSL's SSL_CERT_FILE, which replaces the system's file; empty: none.</param>
    public static string File(string chosen) => chosen.Length > 0 ? chosen : Places.FirstOrDefault(System.IO.File.Exists) ?? Places[0];

    /// <summary>The file that a secret of that name is read from.</summary>
    public static string FileOf(string name) => name == Name ? File(Environment.GetEnvironmentVariable("SSL_CERT_FILE") ?? "") : name;
}

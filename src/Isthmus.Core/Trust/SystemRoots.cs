using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Core.Problems;

namespace Isthmus.Core.Trust;

/// <summary>The root certificates of the operating system: the file that has all of them, and what clients trust because of them.</summary>
public static class SystemRoots
{
    /// <summary>The name by which resources ask for them (<c>caCertificates: system</c>, and TLS without roots).</summary>
    public const string Name = "system";

    // Where Istio's agent looks, in that order.
    private static readonly string[] Places =
    [
        "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/pki/tls/cacert.pem",
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem",
    ];

    private const string Folders = "/etc/ssl/certs:/etc/pki/tls/certs";

    /// <summary>The file; the first place when there is none, so that its appearance is noticed.</summary>
    /// <param name="chosen">OpenSSL's SSL_CERT_FILE, which replaces the system's file; empty for none.</param>
    public static string File(string chosen) => chosen.Length > 0 ? chosen : Places.FirstOrDefault(System.IO.File.Exists) ?? Places[0];

    /// <summary>The file that a secret of that name is read from.</summary>
    public static string FileOf(string name) => name == Name ? File(Environment.GetEnvironmentVariable("SSL_CERT_FILE") ?? "") : name;

    /// <summary>For clients that trust what the machine trusts. SSL_CERT_FILE and SSL_CERT_DIR count as for OpenSSL: each replaces one of the two
    /// places, and a file of a folder that cannot be read is left out. Null where the runtime's own store is in force.</summary>
    /// <exception cref="ProblemException">The file cannot be read.</exception>
    public static X509ChainPolicy? Policy() => RuntimeStore.IsEmpty ? Policy(Environment.GetEnvironmentVariable) : null;

    /// <param name="variable">The value of an environment variable; null if it is not set.</param>
    internal static X509ChainPolicy Policy(Func<string, string?> variable)
    {
        var (file, folders) = (variable("SSL_CERT_FILE") ?? "", variable("SSL_CERT_DIR"));
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        // Folders have a file for each certificate, and often a second name for it.
        foreach (var path in (folders ?? (file.Length > 0 ? Folders : "")).Split(':').Where(Directory.Exists).SelectMany(Directory.EnumerateFiles)) Read(path);
        // What the system has as one file, it has as a folder, too.
        if ((file.Length > 0 || folders is null or "") && Read(File(file)) is { } failure and not (FileNotFoundException or DirectoryNotFoundException))
            throw new ProblemException($"trusted certificates in {File(file)}", $"cannot be read: {failure.Message}",
                "specify a file with PEM certificates in SSL_CERT_FILE", failure);
        return policy;

        Exception? Read(string path)
        {
            try
            {
                var roots = new X509Certificate2Collection();
                roots.ImportFromPemFile(path);
                foreach (var root in roots)
                    if (!policy.CustomTrustStore.Contains(root)) policy.CustomTrustStore.Add(root);
                return null;
            }
            catch (Exception e) when (e is CryptographicException or IOException or UnauthorizedAccessException)
            {
                return e;
            }
        }
    }
}

using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Core.Problems;
using Isthmus.Wire.Tls;

namespace Isthmus.Operate.Certificates;

/// <summary>The parameters of new certificates.</summary>
public sealed record CaRequest(KeyKind Key, int Days, string Organization = "Istio");

/// <summary>
/// Creates the mesh's root and an intermediate CA for each cluster. The file names are those of Istio's certificate tool,
/// so that each tool can continue with the files of the other.
/// </summary>
/// <param name="rootCert">The certificate of a root outside the directory; its key is <paramref name="rootKey"/>.</param>
public sealed class CaFiles(string folder, TimeProvider time, string? rootCert = null, string? rootKey = null)
{
    public const string RootKey = "root-key.pem";
    public const string RootCert = "root-cert.pem";
    public static readonly IReadOnlyList<string> ClusterFiles = ["ca-cert.pem", "ca-key.pem", "root-cert.pem", "cert-chain.pem"];

    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private static readonly TimeSpan Backdate = TimeSpan.FromMinutes(2);

    /// <summary>Writes <c>root-key.pem</c> and <c>root-cert.pem</c>. It never overwrites an existing root.</summary>
    public void MakeRoot(CaRequest request)
    {
        var path = Path.Combine(folder, RootKey);
        if (File.Exists(path))
            throw new ProblemException(path, "already exists; a new root would invalidate every certificate that it signed", "use it, or choose another --dir");
        var now = time.GetUtcNow();
        using var root = Issuer.SelfSigned(new(request.Organization, "Root CA"), Keys.Create(request.Key), now - Backdate, now.AddDays(request.Days));
        Write(RootKey, Keys.ToPem(root.Key), Private);
        Write(RootCert, CertificateText.Write(root.Certificate));
    }

    /// <summary>Writes the four files of <c>cacerts</c> into a folder with the cluster's name.</summary>
    public void MakeIntermediate(string cluster, CaRequest request, string istioNamespace)
    {
        if (cluster.Length == 0 || cluster.IndexOfAny(['/', '\0']) >= 0 || cluster is "." or "..")
            throw new ProblemException("cluster", $"'{cluster}' cannot be a directory name", "use the name of the cluster, for example cluster1");
        using var root = LoadRoot();
        var existing = Path.Combine(folder, cluster, "ca-key.pem");
        if (File.Exists(existing)) throw new ProblemException(existing, "already exists", "use it, or remove the directory first");
        var now = time.GetUtcNow();
        var names = new SubjectNames([], [$"istiod.{istioNamespace}.svc"], []);
        var end = now.AddDays(request.Days);
        if (end > root.Certificate.NotAfter.ToUniversalTime()) end = root.Certificate.NotAfter.ToUniversalTime();
        using var intermediate = root.IssueIntermediate(new(request.Organization, "Intermediate CA", cluster), Keys.Create(request.Key), names, now - Backdate,
            end);
        var (certificate, rootText) = (CertificateText.Write(intermediate.Certificate), CertificateText.Write(root.Certificate));
        Write(Path.Combine(cluster, "ca-key.pem"), Keys.ToPem(intermediate.Key), Private);
        Write(Path.Combine(cluster, "ca-cert.pem"), certificate);
        Write(Path.Combine(cluster, "root-cert.pem"), rootText);
        Write(Path.Combine(cluster, "cert-chain.pem"), certificate + rootText);
    }

    public bool HasRoot => File.Exists(rootCert ?? Path.Combine(folder, RootCert));

    /// <summary>The root's certificate; its key is not needed.</summary>
    public X509Certificate2 Root()
    {
        var path = rootCert ?? Path.Combine(folder, RootCert);
        return HasRoot
            ? CertificateText.Read(Read(path), path)[0]
            : throw new ProblemException(folder, $"has no {RootCert}", "create the new root first, in a directory of its own: isthmus ca root --dir DIRECTORY");
    }

    /// <summary>The four files of a cluster by name, which are created if they do not exist.</summary>
    public IReadOnlyDictionary<string, string> Intermediate(string cluster, string istioNamespace)
    {
        if (!File.Exists(Path.Combine(folder, cluster, "ca-key.pem"))) MakeIntermediate(cluster, new(KeyKind.EcP256, 3650), istioNamespace);
        return ClusterFiles.ToDictionary(file => file, file => Read(Path.Combine(folder, cluster, file)));
    }

    private Issuer LoadRoot()
    {
        var (keyPath, certPath) = (rootKey ?? Path.Combine(folder, RootKey), rootCert ?? Path.Combine(folder, RootCert));
        if (!File.Exists(keyPath) || !File.Exists(certPath))
            throw new ProblemException(folder, $"has no {RootKey} and {RootCert}",
                "create the root first with 'isthmus ca root', or specify its directory with --dir");
        var certificate = CertificateText.Read(Read(certPath), certPath)[0];
        var key = Keys.FromPem(Read(keyPath), keyPath);
        if (Keys.Match(certificate, key)) return new(certificate, key);
        throw new ProblemException(keyPath, $"does not belong to {certPath}", "restore the matching pair of key and certificate");
    }

    private static string Read(string path)
    {
        try { return File.ReadAllText(path); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw new ProblemException(path, e.Message, "check its permissions", e); }
    }

    private void Write(string name, string text, UnixFileMode? mode = null)
    {
        var path = Path.Combine(folder, name);
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
            // Windows has no modes: the file gets the permissions of its directory.
            if (mode is { } bits && !OperatingSystem.IsWindows()) options.UnixCreateMode = bits;
            using var file = new StreamWriter(path, options);
            file.Write(text);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ProblemException(path, e.Message, "choose another --dir, or remove the conflicting file", e);
        }
    }
}

using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Operate.Certificates;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Inventory;
using Isthmus.Wire.Tls;

namespace Isthmus.Operate.MeshFile;

/// <summary>The certificate authorities of a mesh as files: which exist, which must be created, and the Secret of each
/// cluster.</summary>
public sealed class MeshTrust(MeshSpec mesh, TimeProvider time)
{
    private const int Days = 3650;
    private static readonly CaRequest Request = new(KeyKind.EcP256, Days);

    private IEnumerable<ClusterSpec> Signing => mesh.Clusters.Where(MeshDesign.HasAuthority);

    private bool IsRootMissing => mesh.Trust.RootCertificate.Length == 0 && !File.Exists(Path.Combine(mesh.Trust.Directory, CaFiles.RootKey)) && Missing.Any();

    private IEnumerable<ClusterSpec> Missing =>
        Signing.Where(cluster => cluster.Certificates.Length == 0 && !File.Exists(Path.Combine(Folder(cluster), "ca-key.pem")));

    private string Folder(ClusterSpec cluster) => cluster.Certificates.Length > 0 ? cluster.Certificates : Path.Combine(mesh.Trust.Directory, cluster.Name);

    /// <summary>Whether the files do not exist and creating them would start a new root.</summary>
    public bool BeginsNewRoot => IsRootMissing;

    public IEnumerable<Change> Plan()
    {
        if (IsRootMissing) yield return new("", Part.Certificates, ChangeKind.Create, Path.Combine(mesh.Trust.Directory, CaFiles.RootCert), []);
        foreach (var cluster in Missing) yield return new("", Part.Certificates, ChangeKind.Create, Folder(cluster), []);
    }

    /// <summary>All problems of the existing files.</summary>
    public IEnumerable<Problem> Check()
    {
        if (mesh.Trust.RootCertificate.Length > 0)
        {
            foreach (var (field, path) in (IEnumerable<(string, string)>)[("certificate", mesh.Trust.RootCertificate), ("key", mesh.Trust.RootKey)])
            {
                if (!File.Exists(path))
                    yield return Wrong($"spec.trust.root.{field}", $"'{path}' does not exist", "correct the path, which begins at the mesh file's folder");
            }
        }
        var roots = new Dictionary<string, string>(StringComparer.Ordinal);
        for (var i = 0; i < mesh.Clusters.Count; i++)
        {
            var cluster = mesh.Clusters[i];
            if (!MeshDesign.HasAuthority(cluster) || Missing.Contains(cluster)) continue;
            var path = cluster.Certificates.Length > 0 ? $"spec.clusters[{i}].certificates" : "spec.trust.directory";
            if (Fault(cluster, out var root) is { } fault) yield return Wrong(path, fault, "put matching files there, or specify another folder");
            else roots[cluster.Name] = root;
        }
        foreach (var (name, root) in roots.Where(pair => pair.Value != roots.Values.First()))
        {
            yield return Wrong("spec.trust",
                $"the CA of '{name}' has root {root}, that of '{roots.Keys.First()}' has {roots.Values.First()}: their proxies would refuse each other",
                "use intermediates of one root");
        }
    }

    private string? Fault(ClusterSpec cluster, out string root)
    {
        root = "";
        var folder = Folder(cluster);
        if (CaFiles.ClusterFiles.FirstOrDefault(file => !File.Exists(Path.Combine(folder, file))) is { } missing) return $"'{folder}' has no {missing}";
        try
        {
            var (certificatePath, keyPath, rootPath) = (Path.Combine(folder, "ca-cert.pem"), Path.Combine(folder, "ca-key.pem"),
                Path.Combine(folder, "root-cert.pem"));
            using var certificate = CertificateText.Read(File.ReadAllText(certificatePath), certificatePath)[0];
            using var anchor = CertificateText.Read(File.ReadAllText(rootPath), rootPath)[0];
            using var key = Keys.FromPem(File.ReadAllText(keyPath), keyPath);
            if (!Keys.Match(certificate, key)) return $"'{keyPath}' is not the key of ca-cert.pem in the same folder";
            if (certificate.NotAfter.ToUniversalTime() <= time.GetUtcNow()) return $"'{certificatePath}' expired at {certificate.NotAfter.ToUniversalTime():u}";
            root = anchor.Thumbprint[..12];
            return null;
        }
        catch (ProblemException e)
        {
            return e.Message;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return e.Message;
        }
    }

    /// <summary>The thumbprint of the root that a cluster's workloads will trust; null while that root must still be
    /// created.</summary>
    public string? Root(ClusterSpec cluster)
    {
        var authority = HasFiles(cluster) ? cluster : cluster.Primaries.Select(mesh.Cluster).FirstOrDefault(HasFiles);
        var path = authority is not null ? Path.Combine(Folder(authority), "root-cert.pem")
            : mesh.Trust.RootCertificate.Length > 0 ? mesh.Trust.RootCertificate : Path.Combine(mesh.Trust.Directory, CaFiles.RootCert);
        try { return File.Exists(path) && CertificateText.Read(File.ReadAllText(path), path) is [var root, ..] ? Thumbprint(root) : null; }
        catch (ProblemException) { return null; } // Check reports it.
    }

    internal static string Thumbprint(X509Certificate2 certificate) => certificate.GetCertHashString(HashAlgorithmName.SHA256).ToLowerInvariant();

    private bool HasFiles(ClusterSpec cluster) => MeshDesign.HasAuthority(cluster) && !Missing.Contains(cluster);

    /// <summary>Creates what is missing.</summary>
    public void Make()
    {
        var files = mesh.Trust.RootCertificate.Length > 0
            ? new CaFiles(mesh.Trust.Directory, time, mesh.Trust.RootCertificate, mesh.Trust.RootKey)
            : new CaFiles(mesh.Trust.Directory, time);
        if (IsRootMissing) files.MakeRoot(Request);
        foreach (var cluster in Missing.ToList()) files.MakeIntermediate(cluster.Name, Request, cluster.SystemNamespace);
    }

    /// <summary>The Secret <c>cacerts</c> of a cluster, in the namespace of its control plane; null while its files must
    /// still be created.</summary>
    public JsonObject? CaSecret(ClusterSpec cluster)
    {
        if (Missing.Contains(cluster)) return null;
        var content = new JsonObject();
        foreach (var file in CaFiles.ClusterFiles) content[file] = Convert.ToBase64String(File.ReadAllBytes(Path.Combine(Folder(cluster), file)));
        return new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "Secret", ["type"] = "Opaque", ["data"] = content,
            ["metadata"] = new JsonObject { ["name"] = WellKnown.CaCerts, ["namespace"] = cluster.SystemNamespace },
        };
    }

    private Problem Wrong(string path, string message, string remedy) => new("ISM0331", mesh.Source, path, message, remedy);
}

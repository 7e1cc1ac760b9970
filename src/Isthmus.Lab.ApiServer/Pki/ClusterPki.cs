using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Core.Problems;

namespace Isthmus.Lab.ApiServer.Pki;

/// <summary>
/// The keys and certificates of one lab cluster, in <c>pki/</c> below the cluster's directory (files 0600): a CA, the API
/// server's certificate, the key that signs service account tokens, and client certificates for the administrator, the
/// controllers, the node, and the API server as a client of kubelets.
/// </summary>
public sealed class ClusterPki : IDisposable
{
    private static readonly TimeSpan RenewBefore = TimeSpan.FromDays(30);

    private readonly string _directory;

    private ClusterPki(string directory, X509Certificate2 ca, X509Certificate2 apiServer, ECDsa serviceAccountKey)
    {
        _directory = directory;
        Ca = ca;
        ApiServer = apiServer;
        ServiceAccountKey = serviceAccountKey;
    }

    /// <summary>The CA with its private key.</summary>
    public X509Certificate2 Ca { get; }

    /// <summary>The API server's certificate with its private key.</summary>
    public X509Certificate2 ApiServer { get; }

    /// <summary>Signs service account tokens (ES256).</summary>
    public ECDsa ServiceAccountKey { get; }

    /// <summary>The CA certificate as PEM: what goes into kubeconfigs and <c>kube-root-ca.crt</c>.</summary>
    public string CaPem => Ca.ExportCertificatePem() + "\n";

    /// <summary>Reads a pair such as <see cref="PkiNames.Admin"/> as PEM texts: certificate and PKCS#8 key.</summary>
    public async Task<(string Certificate, string Key)> ReadPairAsync(string name, CancellationToken stop) =>
        (await File.ReadAllTextAsync(Certificate(name), stop), await File.ReadAllTextAsync(Key(name), stop));

    /// <summary>
    /// Creates what is missing below <paramref name="clusterDirectory"/>, renews certificates that end within 30 days or do
    /// not cover <paramref name="address"/>, and loads the rest. The CA and the token key are never replaced.
    /// </summary>
    /// <exception cref="ProblemException">A file exists but its content is invalid.</exception>
    public static async Task<ClusterPki> EnsureAsync(
        string clusterDirectory, string cluster, IPAddress address, TimeProvider time, CancellationToken stop)
    {
        var directory = Path.Combine(clusterDirectory, PkiNames.Directory);
        PrivateFile.CreateDirectory(directory);
        // Supervisor and API server may start together: the second waits, and then finds all files.
        await using var guard = await LockAsync(Path.Combine(directory, ".lock"), stop);
        var now = time.GetUtcNow();
        var ca = await CaAsync(directory, now, stop);
        var server = await PairAsync(directory, PkiNames.ApiServer, ca, now,
            held => Covers(held, cluster, address), () => Authority.IssueServer(ca, cluster, address, now), stop);
        await ClientAsync(directory, PkiNames.Admin, ca, "kubernetes-admin", PkiNames.Masters, now, stop);
        await ClientAsync(directory, PkiNames.Controllers, ca, "system:kube-controller-manager", PkiNames.Masters, now, stop);
        await ClientAsync(directory, PkiNames.KubeletClient, ca, "kube-apiserver-kubelet-client", PkiNames.Masters, now, stop);
        var node = PkiNames.NodeUserPrefix + PkiNames.NodeName(cluster);
        await ClientAsync(directory, PkiNames.Node, ca, node, PkiNames.Nodes, now, stop);
        return new(directory, ca, server, await TokenKeyAsync(directory, stop));
    }

    /// <summary>Loads the files that <see cref="EnsureAsync"/> created.</summary>
    /// <exception cref="ProblemException">A file is missing or invalid.</exception>
    public static ClusterPki Load(string clusterDirectory)
    {
        var directory = Path.Combine(clusterDirectory, PkiNames.Directory);
        var ca = Load(directory, PkiNames.Ca) ?? throw Missing(directory, PkiNames.Ca + ".crt");
        var server = Load(directory, PkiNames.ApiServer) ?? throw Missing(directory, PkiNames.ApiServer + ".crt");
        var path = Path.Combine(directory, PkiNames.ServiceAccountKey);
        return new(directory, ca, server, File.Exists(path) ? ReadKey(path) : throw Missing(directory, PkiNames.ServiceAccountKey));
    }

    public void Dispose()
    {
        Ca.Dispose();
        ApiServer.Dispose();
        ServiceAccountKey.Dispose();
    }

    private string Certificate(string name) => Path.Combine(_directory, name + ".crt");

    private string Key(string name) => Path.Combine(_directory, name + ".key");

    private static async Task<X509Certificate2> CaAsync(string directory, DateTimeOffset now, CancellationToken stop)
    {
        if (Load(directory, PkiNames.Ca) is { } held) return held;
        var ca = Authority.CreateCa(now);
        await StoreAsync(directory, PkiNames.Ca, ca, stop);
        return ca;
    }

    private static async Task ClientAsync(
        string directory, string name, X509Certificate2 ca, string user, string group, DateTimeOffset now, CancellationToken stop)
    {
        using var _ = await PairAsync(directory, name, ca, now, held => held.GetNameInfo(X509NameType.SimpleName, false) == user,
            () => Authority.IssueClient(ca, user, group, now), stop);
    }

    private static async Task<X509Certificate2> PairAsync(
        string directory, string name, X509Certificate2 ca, DateTimeOffset now,
        Func<X509Certificate2, bool> fits, Func<X509Certificate2> issue, CancellationToken stop)
    {
        var held = Load(directory, name);
        if (held is not null && held.NotAfter.ToUniversalTime() > now.UtcDateTime + RenewBefore && IssuedBy(held, ca) && fits(held))
            return held;
        held?.Dispose();
        var issued = issue();
        await StoreAsync(directory, name, issued, stop);
        return issued;
    }

    private static async Task<ECDsa> TokenKeyAsync(string directory, CancellationToken stop)
    {
        var path = Path.Combine(directory, PkiNames.ServiceAccountKey);
        if (File.Exists(path)) return ReadKey(path);
        var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        await PrivateFile.WriteAsync(path, key.ExportPkcs8PrivateKeyPem() + "\n", stop);
        await PrivateFile.WriteAsync(
            Path.Combine(directory, PkiNames.ServiceAccountPublicKey), key.ExportSubjectPublicKeyInfoPem() + "\n", stop);
        return key;
    }

    private static ECDsa ReadKey(string path)
    {
        var key = ECDsa.Create();
        try
        {
            key.ImportFromPem(File.ReadAllText(path));
            return key;
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            key.Dispose();
            throw Unreadable(path, e);
        }
    }

    private static async Task StoreAsync(string directory, string name, X509Certificate2 certificate, CancellationToken stop)
    {
        using var key = certificate.GetECDsaPrivateKey()!;
        // Key first: a certificate without its key would be taken for a complete pair.
        await PrivateFile.WriteAsync(Path.Combine(directory, name + ".key"), key.ExportPkcs8PrivateKeyPem() + "\n", stop);
        await PrivateFile.WriteAsync(Path.Combine(directory, name + ".crt"), certificate.ExportCertificatePem() + "\n", stop);
    }

    private static X509Certificate2? Load(string directory, string name)
    {
        var certificate = Path.Combine(directory, name + ".crt");
        var key = Path.Combine(directory, name + ".key");
        if (!File.Exists(certificate) || !File.Exists(key)) return null;
        try
        {
            return X509Certificate2.CreateFromPemFile(certificate, key);
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            throw Unreadable(certificate, e);
        }
    }

    private static bool IssuedBy(X509Certificate2 leaf, X509Certificate2 ca)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.Add(ca);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        chain.ChainPolicy.VerificationFlags = X509VerificationFlags.IgnoreNotTimeValid;
        return chain.Build(leaf);
    }

    private static bool Covers(X509Certificate2 held, string cluster, IPAddress address)
    {
        var names = held.Extensions.OfType<X509SubjectAlternativeNameExtension>().FirstOrDefault();
        return names is not null
            && Authority.ServerNames(cluster).All(names.EnumerateDnsNames().Contains)
            && Authority.ServerAddresses(address).All(names.EnumerateIPAddresses().Contains);
    }

    private static async Task<FileStream> LockAsync(string path, CancellationToken stop)
    {
        while (true)
        {
            try
            {
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException) when (File.Exists(path))
            {
                await Task.Delay(TimeSpan.FromMilliseconds(20), stop);
            }
        }
    }

    private static ProblemException Missing(string directory, string file) =>
        new(Path.Combine(directory, file), "is missing", "Delete the cluster and create it again.");

    private static ProblemException Unreadable(string path, Exception cause) => new(
        path, $"is not a usable PEM file: {cause.Message}",
        "Delete the cluster and create it again, or restore the file.", cause);
}

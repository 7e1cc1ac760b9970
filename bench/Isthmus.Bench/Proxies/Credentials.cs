using System.Security.Cryptography.X509Certificates;
using Isthmus.Wire.Tls;

namespace Isthmus.Bench.Proxies;

/// <summary>The files of one workload certificate, as a mesh issues them: ECDSA with P-256, directly below the root. Both sides of every
/// connection use it.</summary>
internal sealed class Credentials
{
    internal const string Identity = "spiffe://cluster.local/ns/bench/sa/app";
    internal const string DnsName = "app.bench.svc.cluster.local";

    /// <param name="directory">The directory to write them to.</param>
    internal Credentials(string directory)
    {
        Directory = System.IO.Directory.CreateDirectory(directory).FullName;
        using var root = Issuer.SelfSigned(new("Isthmus bench"), Keys.Create(KeyKind.EcP256), DateTimeOffset.UtcNow.AddHours(-1),
            DateTimeOffset.UtcNow.AddDays(1));
        using var key = Keys.Create(KeyKind.EcP256);
        var request = new LeafRequest(PublicKey.CreateFromSubjectPublicKeyInfo(key.ExportSubjectPublicKeyInfo(), out _),
            new([Identity], [DnsName], []), DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddHours(20));
        using var leaf = root.IssueLeaf(request);
        Write(Chain, CertificateText.Write(leaf));
        Write(Key, Keys.ToPem(key));
        Write(Root, CertificateText.Write(root.Certificate));
        Write(Joined, CertificateText.Write(leaf) + Keys.ToPem(key));
        Write(KeyExchange, """
            openssl_conf = openssl
            [openssl]
            ssl_conf = ssl
            [ssl]
            system_default = clients
            [clients]
            Groups = X25519

            """);
    }

    internal string Directory { get; }

    internal string Chain => Path.Combine(Directory, "cert-chain.pem");

    internal string Key => Path.Combine(Directory, "key.pem");

    internal string Root => Path.Combine(Directory, "root-cert.pem");

    /// <summary>Chain and key in one file, as haproxy needs them.</summary>
    internal string Joined => Path.Combine(Directory, "joined.pem");

    /// <summary>Settings of OpenSSL with which clients offer one key exchange, so that all servers do the same work.</summary>
    internal string KeyExchange => Path.Combine(Directory, "openssl.cnf");

    private static void Write(string path, string text) => File.WriteAllText(path, text);
}

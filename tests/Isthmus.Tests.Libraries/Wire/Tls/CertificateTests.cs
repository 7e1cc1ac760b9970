using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Core.Identity;
using Isthmus.Core.Problems;
using Isthmus.Testing;
using Isthmus.Wire.Tls;
using Xunit;

namespace Isthmus.Tests.Libraries.Wire.Tls;

public sealed class CertificateTests
{
    private static readonly DateTimeOffset Now = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);
    private static readonly SpiffeId Shop = new("cluster.local", "sample", "shop");

    [Theory]
    [InlineData(KeyKind.Rsa2048, KeyKind.Rsa2048)]
    [InlineData(KeyKind.EcP256, KeyKind.EcP384)]
    [InlineData(KeyKind.Rsa2048, KeyKind.EcP256)]
    public void Leaf_of_an_intermediate_leads_to_the_root_with_its_identity(KeyKind ca, KeyKind workload)
    {
        using var root = Root(ca);
        using var intermediate = Intermediate(root, ca);
        using var key = Keys.Create(workload);

        var leaf = Leaf(intermediate, SigningRequest.Check(SigningRequest.Create(key, Shop)));

        Assert.Equal(Shop, SubjectNames.Of(leaf).Identity);
        Assert.Equal("", leaf.Subject);
        Assert.True(leaf.Extensions["2.5.29.17"]!.Critical);
        Assert.True(Keys.Match(leaf, key));
        var trust = new TrustBundle([root.Certificate]);
        Assert.Null(trust.Reject(leaf, [intermediate.Certificate], CertificateUse.Server, Now));
        Assert.Null(trust.Reject(leaf, [intermediate.Certificate], CertificateUse.Client, Now));
    }

    [Fact]
    public void Chain_is_rejected_for_another_root_a_missing_intermediate_and_outside_its_time()
    {
        using var root = Root(KeyKind.EcP256);
        using var other = Root(KeyKind.EcP256);
        using var intermediate = Intermediate(root, KeyKind.EcP256);
        using var key = Keys.Create(KeyKind.EcP256);
        var leaf = Leaf(intermediate, SigningRequest.Check(SigningRequest.Create(key, Shop)));
        var trust = new TrustBundle([root.Certificate]);

        Assert.Contains("unknown authority", new TrustBundle([other.Certificate]).Reject(leaf, [intermediate.Certificate], CertificateUse.Server, Now),
            StringComparison.Ordinal);
        Assert.Contains("unknown authority", trust.Reject(leaf, [], CertificateUse.Server, Now), StringComparison.Ordinal);
        Assert.Contains("not in force", trust.Reject(leaf, [intermediate.Certificate], CertificateUse.Server, Now.AddDays(3)), StringComparison.Ordinal);
    }

    [Fact]
    public void Several_roots_are_all_trusted()
    {
        using var root = Root(KeyKind.EcP256);
        using var other = Root(KeyKind.EcP256);
        var trust = TrustBundle.FromPem(CertificateText.Write([other.Certificate, root.Certificate]), "bundle");
        using var key = Keys.Create(KeyKind.EcP256);

        Assert.Null(trust.Reject(Leaf(root, SigningRequest.Check(SigningRequest.Create(key, Shop))), [], CertificateUse.Client, Now));
    }

    [Fact]
    public void Subject_of_a_ca_is_written_as_openssl_shows_it()
    {
        using var root = Root(KeyKind.EcP256);
        Assert.Equal("CN=Root CA, O=Istio", root.Certificate.Subject);
        using var intermediate = Intermediate(root, KeyKind.EcP256);
        Assert.Equal("L=cluster1, CN=Intermediate CA, O=Istio", intermediate.Certificate.Subject);
    }

    [Fact]
    public void Bundle_is_accepted_only_when_its_parts_belong_together()
    {
        using var root = Root(KeyKind.EcP256);
        using var stranger = Root(KeyKind.EcP256);
        using var intermediate = Intermediate(root, KeyKind.EcP256);
        var (certificate, key) = (CertificateText.Write(intermediate.Certificate), Keys.ToPem(intermediate.Key));
        var (chain, roots) = (certificate + CertificateText.Write(root.Certificate), CertificateText.Write(root.Certificate));

        using var good = CaBundle.Load(certificate, key, chain, roots, "cacerts", Now);
        Assert.Equal([intermediate.Certificate.Thumbprint], good.Intermediates.Select(c => c.Thumbprint));

        var wrongKey = Assert.Throws<ProblemException>(() => CaBundle.Load(certificate, Keys.ToPem(stranger.Key), chain, roots, "cacerts", Now));
        Assert.Contains("the key does not belong to the certificate", wrongKey.Message, StringComparison.Ordinal);
        var wrongRoot = Assert.Throws<ProblemException>(() => CaBundle.Load(certificate, key, chain, CertificateText.Write(stranger.Certificate), "cacerts",
            Now));
        Assert.Contains("does not verify against root-cert.pem", wrongRoot.Message, StringComparison.Ordinal);
        var expired = Assert.Throws<ProblemException>(() => CaBundle.Load(certificate, key, chain, roots, "cacerts", Now.AddYears(50)));
        Assert.Contains("not in force", expired.Message, StringComparison.Ordinal);
        Assert.Throws<ProblemException>(() => CaBundle.Load("nothing", key, chain, roots, "cacerts", Now));
    }

    [Fact]
    public void Bundle_that_nobody_would_believe_is_refused()
    {
        using var root = Root(KeyKind.EcP256);
        using var weak = RSA.Create(1024);
        Assert.Contains("an RSA key of 1024 bits", Assert.Throws<ProblemException>(() => Load(weak, Signed(weak, X509KeyUsageFlags.KeyCertSign))).Message,
            StringComparison.Ordinal);
        using var strong = RSA.Create(2048);
        Assert.Contains("keyUsage keyCertSign is missing",
            Assert.Throws<ProblemException>(() => Load(strong, Signed(strong, X509KeyUsageFlags.DigitalSignature))).Message, StringComparison.Ordinal);
        using var accepted = Load(strong, Signed(strong, X509KeyUsageFlags.KeyCertSign));

        X509Certificate2 Signed(RSA key, X509KeyUsageFlags usage)
        {
            var request = new CertificateRequest("CN=ca", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
            request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
            request.CertificateExtensions.Add(new X509KeyUsageExtension(usage, true));
            return request.Create(root.Certificate.SubjectName, X509SignatureGenerator.CreateForECDsa((ECDsa)root.Key), Now, Now.AddDays(9), [7]);
        }
        CaBundle Load(RSA key, X509Certificate2 signing)
        {
            using (signing) return CaBundle.Load(CertificateText.Write(signing), Keys.ToPem(key), "", CertificateText.Write(root.Certificate), "cacerts", Now);
        }
    }

    [Fact]
    public void Request_with_a_weak_key_a_forged_signature_or_no_request_at_all_is_refused()
    {
        using var weak = RSA.Create(1024);
        Assert.Contains("1024 bits", Assert.Throws<ProblemException>(() => SigningRequest.Check(SigningRequest.Create(weak, Shop))).Message,
            StringComparison.Ordinal);
        using var key = Keys.Create(KeyKind.EcP256);
        var der = new CertificateRequest("", (ECDsa)key, HashAlgorithmName.SHA256).CreateSigningRequest();
        der[^1] ^= 1;
        Assert.Throws<ProblemException>(() => SigningRequest.Check(PemEncoding.WriteString("CERTIFICATE REQUEST", der)));
        Assert.Throws<ProblemException>(() => SigningRequest.Check("hello"));
    }

    [Fact]
    public void Damaged_certificates_and_requests_are_problems_and_nothing_else()
    {
        using var root = Root(KeyKind.EcP256);
        using var key = Keys.Create(KeyKind.EcP256);
        var request = new CertificateRequest("", (ECDsa)key, HashAlgorithmName.SHA256).CreateSigningRequest();
        Prop.ForAll(ArbMap.Default.ArbFor<int>(), seed =>
        {
            var random = new Random(seed);
            Swallow(() => SigningRequest.Check(PemEncoding.WriteString("CERTIFICATE REQUEST", Damage(request, random))));
            Swallow(() =>
            {
                foreach (var certificate in CertificateText.Read(PemEncoding.WriteString("CERTIFICATE", Damage(root.Certificate.RawData, random)), "x"))
                {
                    SubjectNames.Of(certificate);
                    new TrustBundle([root.Certificate]).Reject(certificate, [], CertificateUse.Any, Now);
                }
            });
        }).MustHold(200);
    }

    /// <summary>A server that had them would end each handshake.</summary>
    [Theory]
    [InlineData("nistP256", false, "")]
    [InlineData("nistP521", false, "")]
    [InlineData("secp256k1", false, "holds a certificate with an EC key of the curve secp256k1, which TLS clients do not know")]
    [InlineData("nistP256", true, "holds a private key that is encrypted: store it without a passphrase")]
    public void Pairs_that_no_server_can_use_are_told(string curve, bool isEncrypted, string why)
    {
        using var key = ECDsa.Create(ECCurve.CreateFromFriendlyName(curve));
        using var certificate = new CertificateRequest("CN=a", key, HashAlgorithmName.SHA256).CreateSelfSigned(Now.AddDays(-1), Now.AddDays(1));
        var text = isEncrypted
            ? key.ExportEncryptedPkcs8PrivateKeyPem("secret", new(PbeEncryptionAlgorithm.Aes128Cbc, HashAlgorithmName.SHA256, 1))
            : key.ExportPkcs8PrivateKeyPem();
        var said = Keys.WhyUnusable(certificate.ExportCertificatePem(), text);
        Assert.True(why.Length == 0 ? said.Length == 0 : said.StartsWith(why, StringComparison.OrdinalIgnoreCase), said);
    }

    /// <summary>Servers send the first certificate of a file as their own.</summary>
    [Fact]
    public void The_order_of_certificates_is_told_where_the_key_belongs_to_another_one()
    {
        using var root = Issuer.SelfSigned(new("mesh", "Root"), Keys.Create(KeyKind.EcP256), Now.AddDays(-1), Now.AddDays(9));
        using var own = root.IssueIntermediate(new("mesh", "www"), Keys.Create(KeyKind.EcP256), SubjectNames.None, Now.AddDays(-1), Now.AddDays(1));
        var (right, wrong) = (CertificateText.Write([own.Certificate, root.Certificate]), CertificateText.Write([root.Certificate, own.Certificate]));
        Assert.Equal("", Keys.WhyUnusable(right, Keys.ToPem(own.Key)));
        Assert.StartsWith("holds its certificates in the wrong order: the key belongs to number 2 (CN=www, O=mesh)",
            Keys.WhyUnusable(wrong, Keys.ToPem(own.Key)), StringComparison.Ordinal);
        Assert.Equal("holds a certificate and a key that cannot be used together: the key is not that of the certificate CN=Root, O=mesh",
            Keys.WhyUnusable(CertificateText.Write(root.Certificate), Keys.ToPem(own.Key)));
        Assert.EndsWith(": there is no certificate in it", Keys.WhyUnusable("tls.crt", Keys.ToPem(own.Key)), StringComparison.Ordinal);
        Assert.Contains("this is not a PEM private key", Keys.WhyUnusable(right, "tls.key"), StringComparison.Ordinal);
    }

    [Fact]
    public void Key_survives_a_round_trip_as_text_and_a_broken_one_is_never_repeated()
    {
        foreach (var kind in new[] { KeyKind.Rsa2048, KeyKind.EcP256, KeyKind.EcP384 })
        {
            using var key = Keys.Create(kind);
            using var again = Keys.FromPem(Keys.ToPem(key), "key");
            Assert.Equal(key.ExportSubjectPublicKeyInfo(), again.ExportSubjectPublicKeyInfo());
        }
        var e = Assert.Throws<ProblemException>(() => Keys.FromPem("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----", "ca-key.pem"));
        Assert.DoesNotContain("c2VjcmV0", e.ToString(), StringComparison.Ordinal);
    }

    private static byte[] Damage(byte[] bytes, Random random)
    {
        var copy = (byte[])bytes.Clone();
        copy[random.Next(copy.Length)] = (byte)random.Next(256);
        return copy;
    }

    private static void Swallow(Action parse)
    {
        try
        {
            parse();
        }
        catch (ProblemException)
        {
        }
    }

    private static Issuer Root(KeyKind kind) =>
        Issuer.SelfSigned(new("Istio", "Root CA"), Keys.Create(kind), Now.AddDays(-1), Now.AddDays(3650));

    private static Issuer Intermediate(Issuer root, KeyKind kind) =>
        root.IssueIntermediate(new("Istio", "Intermediate CA", "cluster1"), Keys.Create(kind), new([], ["istiod.istio-system.svc"], []), Now.AddDays(-1),
            Now.AddDays(3650));

    private static X509Certificate2 Leaf(Issuer issuer, PublicKey key) =>
        issuer.IssueLeaf(new(key, new([Shop.ToString()], [], []), Now.AddMinutes(-2), Now.AddDays(1)));
}

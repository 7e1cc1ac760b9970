using Google.Protobuf;
using Isthmus.Core.Problems;
using Isthmus.Proxy.Tls;
using Isthmus.Testing;
using Isthmus.Wire.Envoy;
using Xunit;

namespace Isthmus.Tests.Proxy.Tls;

public sealed class DiscoveredSecretsTests
{
    [Fact]
    public void A_certificate_that_is_given_serves_until_a_better_one_comes()
    {
        var secrets = new DiscoveredSecrets(TimeProvider.System);
        var changed = new List<string>();
        secrets.Changed += changed.Add;
        Assert.Null(secrets.FindCertificate("kubernetes://front"));
        var (certificate, key) = TestCa.SelfSignedPair("first");
        secrets.Put("1", Made(certificate, key));
        Assert.Equal("CN=first", secrets.FindCertificate("kubernetes://front")!.Leaf.Subject);
        Assert.Throws<ProblemException>(() => secrets.Put("2", Made(certificate, TestCa.SelfSignedPair("other").Key)));
        Assert.Equal("CN=first", secrets.FindCertificate("kubernetes://front")!.Leaf.Subject);
        var (next, nextKey) = TestCa.SelfSignedPair("second");
        secrets.Put("3", Made(next, nextKey));
        Assert.Equal("CN=second", secrets.FindCertificate("kubernetes://front")!.Leaf.Subject);
        Assert.Equal(["kubernetes://front", "kubernetes://front"], changed);
        Assert.DoesNotContain(secrets.View(), view => $"{view}".Contains("PRIVATE", StringComparison.Ordinal));
    }

    [Fact]
    public void Roots_are_given_under_a_name_of_their_own()
    {
        var secrets = new DiscoveredSecrets(TimeProvider.System);
        secrets.Put("1",
            new()
            {
                Name = "kubernetes://front-cacert",
                ValidationContext = new() { TrustedCa = new() { InlineBytes = ByteString.CopyFromUtf8(TestCa.SelfSignedPair("roots").Certificate) } }
            });
        Assert.Equal("CN=roots", Assert.Single(secrets.FindRoots("kubernetes://front-cacert")!.Roots).Subject);
    }

    /// <summary>Without a control plane, files stand for what resources would ask one for.</summary>
    [Fact]
    public void Files_serve_the_names_that_a_control_plane_would()
    {
        var directory = Directory.CreateTempSubdirectory("isthmus-secrets-").FullName;
        var (certificate, key) = TestCa.SelfSignedPair("own");
        File.WriteAllText(Path.Combine(directory, "cert-chain.pem"), certificate);
        File.WriteAllText(Path.Combine(directory, "key.pem"), key);
        File.WriteAllText(Path.Combine(directory, "root-cert.pem"), certificate);
        var secrets = new DirectorySecrets(directory, TimeProvider.System);
        foreach (var name in (string[])["default", DiscoveredSecrets.Local("default")]) Assert.Equal("CN=own", secrets.FindCertificate(name)!.Leaf.Subject);
        Assert.NotNull(secrets.FindRoots(DiscoveredSecrets.Local("ROOTCA")));
        Directory.Delete(directory, recursive: true);
    }

    private static Secret Made(string certificate, string key) => new()
    {
        Name = "kubernetes://front",
        TlsCertificate = new()
        {
            CertificateChain = new() { InlineBytes = ByteString.CopyFromUtf8(certificate) }, PrivateKey = new() { InlineBytes = ByteString.CopyFromUtf8(key) }
        },
    };
}

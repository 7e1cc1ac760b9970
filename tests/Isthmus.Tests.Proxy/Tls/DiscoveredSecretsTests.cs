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
        secrets.Put("1", new() { Name = "kubernetes://front-cacert", ValidationContext = new() { TrustedCa = new() { InlineBytes = ByteString.CopyFromUtf8(TestCa.SelfSignedPair("roots").Certificate) } } });
        Assert.Equal("CN=roots", Assert.Single(secrets.FindRoots("kubernetes://front-cacert")!.Roots).Subject);
    }

    private static Secret Made(string certificate, string key) => new()
    {
        Name = "kubernetes://front",
        TlsCertificate = new() { CertificateChain = new() { InlineBytes = ByteString.CopyFromUtf8(certificate) }, PrivateKey = new() { InlineBytes = ByteString.CopyFromUtf8(key) } },
    };
}

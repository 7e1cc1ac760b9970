using System.Security.Cryptography.X509Certificates;
using Isthmus.ControlPlane.Clusters;
using Isthmus.Wire.Tls;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Security;

public sealed class RemoteRootsTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Clusters_with_one_root_in_common_trust_each_other()
    {
        using var shared = Root();
        using var added = Root();
        Assert.Null(RemoteRoots.Compare([shared], [added, shared]));
    }

    [Fact]
    public void Roots_of_the_same_name_are_told_apart_by_their_fingerprints()
    {
        using var own = Root();
        using var other = Root();
        var difference = RemoteRoots.Compare([own], [other]);
        Assert.NotNull(difference);
        foreach (var root in (X509Certificate2[])[own, other])
            Assert.Contains(root.GetCertHashString(System.Security.Cryptography.HashAlgorithmName.SHA256)[..16], difference, StringComparison.Ordinal);
    }

    private static X509Certificate2 Root()
    {
        using var issuer = Issuer.SelfSigned(new("cluster.local"), Keys.Create(KeyKind.EcP256), Now, Now.AddYears(1));
        return X509CertificateLoader.LoadCertificate(issuer.Certificate.RawData);
    }
}

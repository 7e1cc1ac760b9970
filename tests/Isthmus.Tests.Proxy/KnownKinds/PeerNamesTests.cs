using System.Formats.Asn1;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Isthmus.Proxy.Tls;
using Xunit;

namespace Isthmus.Tests.Proxy.KnownKinds;

/// <summary>Names of certificates that others could read differently end the handshake.</summary>
public sealed class PeerNamesTests
{
    private const string Id = "spiffe://cluster.local/ns/shop/sa/orders";
    private const int Other = 0, Email = 1, Dns = 2, Uri = 6;

    [Theory]
    [InlineData("ROOTCA", true, true, Id)]
    [InlineData("ROOTCA", false, true, Id)]
    [InlineData("ROOTCA", true, false)]
    [InlineData("ROOTCA", true, false, Id, "spiffe://cluster.local/ns/shop/sa/admin")]
    [InlineData("ROOTCA", false, false, Id, "https://orders.example")]
    [InlineData("ROOTCA", true, false, "https://orders.example")]
    [InlineData("ROOTCA", true, false, Id + ";URI=spiffe://cluster.local/ns/shop/sa/admin")]
    [InlineData("ROOTCA", true, false, Id + "%00")]
    // Clients of a gateway with a CA of its own: none, or one.
    [InlineData("kubernetes://shop-cacert", true, true)]
    [InlineData("kubernetes://shop-cacert", true, true, "https://partner.example/a;b")]
    [InlineData("kubernetes://shop-cacert", true, true, Id)]
    [InlineData("kubernetes://shop-cacert", true, false, "https://a.example", "https://b.example")]
    // Servers outside of the mesh are known by their DNS names.
    [InlineData("file-root:system", false, true, "https://a.example", "https://b.example")]
    [InlineData("file-root:system", false, false, "https://a.example", Id)]
    public void A_peer_of_the_mesh_has_one_SPIFFE_ID(string roots, bool isServer, bool accepted, params string[] uris) =>
        Assert.Equal(accepted, Refusal(roots, isServer, list =>
        {
            foreach (var uri in uris) Text(list, Uri, uri);
        }) is null);

    [Theory]
    [InlineData(Uri)]
    [InlineData(Dns)]
    [InlineData(Email)]
    [InlineData(Other)]
    public void No_name_of_any_kind_has_control_characters(int kind)
    {
        foreach (var text in (string[])["a\0.example", "a\r\nb", "a\u001b", "a\u007f"])
        {
            Assert.Equal("verify_cert_failed:_malformed_SAN", Refusal("", isServer: true, list => Text(list, kind, text)));
            Assert.Equal("verify_cert_failed:_malformed_SAN", Refusal("ROOTCA", isServer: false, list =>
            {
                Text(list, Uri, Id);
                Text(list, kind, text);
            }));
        }
        Assert.Null(Refusal("", isServer: true, list => Text(list, kind, "a.example")));
    }

    [Fact]
    public void Names_that_are_not_ASCII_or_cannot_be_read_are_none()
    {
        foreach (var kind in (int[])[Uri, Dns, Email])
            Assert.Equal("verify_cert_failed:_malformed_SAN",
                Refusal("", isServer: true, list => list.WriteOctetString([(byte)'a', 0x80], new Asn1Tag(TagClass.ContextSpecific, kind))));
        Assert.Equal("verify_cert_failed:_malformed_SAN",
            Refusal("", isServer: true, list => list.WriteOctetString([], new Asn1Tag(TagClass.ContextSpecific, Dns))));
        Assert.Null(Refusal("", isServer: true, list => Text(list, Other, "Zoë")));
    }

    private static void Text(AsnWriter list, int kind, string text)
    {
        var tag = new Asn1Tag(TagClass.ContextSpecific, kind);
        if (kind != Other)
        {
            list.WriteOctetString(Encoding.ASCII.GetBytes(text), tag);
            return;
        }
        using (list.PushSequence(tag))
        {
            list.WriteObjectIdentifier("1.3.6.1.4.1.311.20.2.3");
            using (list.PushSequence(new Asn1Tag(TagClass.ContextSpecific, 0))) list.WriteCharacterString(UniversalTagNumber.UTF8String, text);
        }
    }

    private static string? Refusal(string roots, bool isServer, Action<AsnWriter> names)
    {
        var list = new AsnWriter(AsnEncodingRules.DER);
        using (list.PushSequence()) names(list);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=peer", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509Extension("2.5.29.17", list.Encode(), false));
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(100));
        var settings = new TlsSettings([], roots, [], [], false, "", SslProtocols.None) { IsServer = isServer };
        return PeerCertificate.Of(certificate.RawData).Refusal(settings, null, "");
    }
}

using System.Net;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Rigs.Mesh;
using Xunit;

namespace Isthmus.Tests.Effects.Gateways;

/// <summary>Servers of one port with different rules for client certificates: no connection leads past the rule of the server that a request is for,
/// whatever name its TLS handshake had.</summary>
public sealed class MisdirectedRequestTests
{
    private const string Simple = "mode: SIMPLE, serverCertificate: /ec, privateKey: /ec",
        Mutual = "mode: MUTUAL, serverCertificate: /ec, privateKey: /ec, caCertificates: /ca",
        Optional = "mode: OPTIONAL_MUTUAL, serverCertificate: /ec, privateKey: /ec, caCertificates: /ca",
        Mesh = "mode: ISTIO_MUTUAL",
        Refused = "mode: SIMPLE, serverCertificate: /ec, privateKey: /ec, maxProtocolVersion: TLSV1_1";

    private static readonly X509Certificate2 Client = GatewayProxy.Clients.Server("right.example.com");

    [Theory]
    // A wildcard covers the name of the server that demands a certificate.
    [InlineData("*.example.com", Simple, "admin.example.com", Mutual, "x.example.com", "admin.example.com", 421)]
    [InlineData("*.example.com", Simple, "admin.example.com", Mutual, "x.example.com", "ADMIN.example.com:8443", 421)]
    [InlineData("*.example.com", Simple, "admin.example.com", Mutual, "x.example.com", "y.example.com", 200)]
    [InlineData("*.example.com", Simple, "admin.example.com", Mutual, "admin.example.com", "admin.example.com", 201)]
    [InlineData("*.example.com", Simple, "admin.example.com", Mutual, "admin.example.com", "x.example.com", 421)]
    // Without a name in the handshake.
    [InlineData("*", Simple, "admin.example.com", Mutual, "", "admin.example.com", 421)]
    [InlineData("*", Simple, "admin.example.com", Mutual, "", "x.example.com", 200)]
    [InlineData("*", Simple, "*.example.com", Mutual, "", "admin.example.com", 421)]
    [InlineData("*", Simple, "*.example.com", Mutual, "", "admin.example.com:8443", 421)]
    [InlineData("*", Simple, "*.example.com", Mutual, "", "x.example.com:8443", 421)]
    [InlineData("*", Simple, "*.example.com", Mutual, "", "x.example.org:8443", 202)]
    // Names beside each other: clients whose certificate is for both reuse connections.
    [InlineData("a.example.com", Simple, "admin.example.com", Mutual, "a.example.com", "admin.example.com", 421)]
    [InlineData("a.example.com", Simple, "admin.example.com", Mutual, "a.example.com", "other.example.org", 404)]
    // Other rules that differ.
    [InlineData("*.example.com", Optional, "admin.example.com", Mutual, "x.example.com", "admin.example.com", 421)]
    [InlineData("*.example.com", Mutual + ", subjectAltNames: [right.example.com]", "admin.example.com", Mutual + ", subjectAltNames: [left.example.com]",
        "x.example.com", "admin.example.com", 421)]
    [InlineData("*.example.com", Simple, "admin.example.com", Mesh, "x.example.com", "admin.example.com", 421)]
    [InlineData("*.example.com", Simple, "admin.example.com", Refused, "x.example.com", "admin.example.com", 421)]
    // With one rule, a connection is for all names, as in Istio.
    [InlineData("*.example.com", Simple, "admin.example.com", Simple, "x.example.com", "admin.example.com", 201)]
    [InlineData("*.example.com", Mutual, "admin.example.com", Mutual, "x.example.com", "admin.example.com", 201)]
    public async Task A_request_for_a_server_with_another_rule_is_misdirected(string host, string tls, string other, string otherTls, string sni,
        string authority, int status)
    {
        var rig = new MeshRig("c1");
        foreach (var (index, (routed, answer)) in ((IEnumerable<(string, int)>)[("admin.example.com", 201), ("*.example.com", 200), ("*", 202)]).Index())
        {
            rig.Config($$"""
                apiVersion: networking.istio.io/v1
                kind: VirtualService
                metadata: {name: route-{{index}}, namespace: shop}
                spec: {hosts: ['{{routed}}'], gateways: [front-0, front-1], http: [{directResponse: {status: {{answer}} } }]}
                """);
        }
        using var gateway = new GatewayProxy(rig, (host, tls), (other, otherTls));
        Assert.Equal((status, status),
            (await gateway.StatusAsync(HttpVersion.Version11, sni, authority, Client),
                await gateway.StatusAsync(HttpVersion.Version20, sni, authority, Client)));
    }
}

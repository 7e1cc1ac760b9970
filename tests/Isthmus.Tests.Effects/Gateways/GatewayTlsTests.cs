using System.Diagnostics;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Kubernetes.Objects;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Effects.Gateways;

/// <summary>TLS settings of Gateways, up to the handshake with a real client.</summary>
public sealed class GatewayTlsTests
{
    private const string Files = "serverCertificate: /ec, privateKey: /ec";

    private static readonly X509Certificate2 Right = GatewayProxy.Clients.Server("right.example.com"), Wrong = GatewayProxy.Clients.Server("wrong.example.com");

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("MUTUAL", "verifyCertificateHash: [HASH]")]
    [InlineData("MUTUAL", "verifyCertificateHash: ['CO:LO:NS']")]
    [InlineData("MUTUAL", "verifyCertificateSpki: [SPKI]")]
    [InlineData("MUTUAL", "verifyCertificateHash: [OTHER-HASH], verifyCertificateSpki: [OTHER-SPKI, SPKI]")]
    [InlineData("MUTUAL", "verifyCertificateHash: [HASH], verifyCertificateSpki: [OTHER-SPKI]")]
    [InlineData("OPTIONAL_MUTUAL", "verifyCertificateSpki: [SPKI]")]
    [InlineData("MUTUAL", "subjectAltNames: [other.example.com, right.example.com]")]
    [InlineData("MUTUAL", "subjectAltNames: [right.example.com], verifyCertificateSpki: [SPKI]")]
    [InlineData("OPTIONAL_MUTUAL", "subjectAltNames: [right.example.com]")]
    public async Task Of_the_clients_of_a_CA_only_those_with_the_names_and_pins_of_the_server_are_served(string mode, string pins)
    {
        using var gateway = new GatewayProxy(("a.example.com", $"mode: {mode}, {Files}, caCertificates: /ca, {Filled(pins)}"));
        Assert.NotNull(await gateway.CallAsync(certificate: Right));
        Assert.Null(await gateway.CallAsync(certificate: Wrong));
        // As in Envoy: what is pinned must be there.
        Assert.Null(await gateway.CallAsync());
        Assert.Empty(gateway.Reported);
    }

    [Theory]
    [InlineData("mode: SIMPLE, verifyCertificateHash: [HASH]", "verifyCertificateHash")]
    [InlineData("mode: SIMPLE, verifyCertificateSpki: [SPKI]", "verifyCertificateSpki")]
    [InlineData("mode: MUTUAL, caCertificates: /ca, verifyCertificateHash: [HASH, abc]", "verifyCertificateHash[1]")]
    [InlineData("mode: MUTUAL, caCertificates: /ca, caCrl: /crl", "caCrl")]
    [InlineData("mode: MUTUAL, caCertificates: /ca, caCertCredentialName: ca", "caCertCredentialName")]
    [InlineData("mode: SIMPLE, maxProtocolVersion: TLSV1_1", "maxProtocolVersion")]
    [InlineData("mode: SIMPLE, minProtocolVersion: TLSV1_3, maxProtocolVersion: TLSV1_2", "maxProtocolVersion")]
    [InlineData("mode: MUTUAL, caCertificates: /ca, verifyCertificateSpki: [HASH]", "verifyCertificateSpki[0]")]
    public async Task A_stored_server_that_cannot_be_served_as_it_says_is_closed_and_reported(string tls, string field)
    {
        using var gateway = new GatewayProxy(("*.example.com", $"mode: SIMPLE, {Files}"), ("a.example.com", $"{Filled(tls)}, {Files}"));
        Assert.Null(await gateway.CallAsync(certificate: Right));
        Assert.Null(await gateway.CallAsync());
        Assert.NotNull(await gateway.CallAsync("c.example.com"));
        Assert.Equal([$"spec.servers[0].tls.{field}"], gateway.Reported);
    }

    [Fact]
    public async Task Of_a_CA_with_revocations_no_client_is_accepted_once_they_are_there()
    {
        var rig = new MeshRig("c1");
        var (certificate, key) = TestCa.SelfSignedPair("a.example.com");
        Put("");
        using var gateway = new GatewayProxy(rig, ("a.example.com", "mode: OPTIONAL_MUTUAL, credentialName: front"));
        gateway.ReadSecrets();
        Assert.NotNull(await gateway.CallAsync(certificate: Right));
        Assert.Empty(gateway.Feed.Problems);
        Put("-----BEGIN X509 CRL-----");
        rig.Push();
        gateway.ReadSecrets();
        Assert.Null(await gateway.CallAsync(certificate: Right));
        Assert.NotNull(await gateway.CallAsync());
        var problem = Assert.Single(gateway.Feed.Problems);
        Assert.Equal(("Gateway shop/front-0", "spec.servers[0].tls.credentialName"), (problem.Object, problem.Path));
        Assert.StartsWith("Secret shop/front holds a certificate revocation list (ca.crl), which is not supported", problem.Message, StringComparison.Ordinal);

        void Put(string revocations) => rig.Writer.Put("c1", new Secret
        {
            Metadata = new() { Name = "front", Namespace = MeshRig.Namespace },
            Data = new[] { ("tls.crt", certificate), ("tls.key", key), ("ca.crt", GatewayProxy.Clients.Pem), ("ca.crl", revocations) }
                .ToDictionary(item => item.Item1, item => Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(item.Item2))),
        });
    }

    [Theory]
    [InlineData("", true, true)]
    [InlineData("minProtocolVersion: TLSV1_2", true, true)]
    [InlineData("minProtocolVersion: TLSV1_3", false, true)]
    [InlineData("maxProtocolVersion: TLSV1_2", true, false)]
    [InlineData("minProtocolVersion: TLSV1_0", true, true, "spec.servers[0].tls.minProtocolVersion")]
    [InlineData("", false, true, "", "tlsDefaults: {minProtocolVersion: TLSV1_3}")]
    [InlineData("maxProtocolVersion: TLSV1_2", true, false, "", "tlsDefaults: {minProtocolVersion: TLSV1_3}")]
    [InlineData("", true, true, "", "meshMTLS: {minProtocolVersion: TLSV1_3}")]
    [InlineData("", true, true, "tlsDefaults.minProtocolVersion", "tlsDefaults: {minProtocolVersion: TLSV1_1}")]
    [InlineData("", false, true, "tlsDefaults.minProtocolVersion", "tlsDefaults: {minProtocolVersion: tls13}")]
    public async Task A_server_speaks_the_versions_that_it_says_and_no_other(string limits, bool takes12, bool takes13, string reported = "", string mesh = "")
    {
        using var gateway = Gateway($"mode: SIMPLE, {Files}, {limits}", mesh);
        Assert.Equal(takes12, await gateway.CallAsync(versions: SslProtocols.Tls12) is { Version: SslProtocols.Tls12 });
        Assert.Equal(takes13, await gateway.CallAsync(versions: SslProtocols.Tls13) is { Version: SslProtocols.Tls13 });
        Assert.Equal(reported, string.Join(' ', gateway.Reported));
    }

    [Theory]
    [InlineData("", "", true)]
    [InlineData("meshMTLS: {minProtocolVersion: TLSV1_3}", "", false)]
    [InlineData("meshMTLS: {minProtocolVersion: TLSV1_3}", "maxProtocolVersion: TLSV1_2", true)]
    [InlineData("tlsDefaults: {minProtocolVersion: TLSV1_3}", "", true)]
    public async Task The_versions_of_the_mesh_hold_for_servers_with_mesh_TLS(string mesh, string limits, bool takes12)
    {
        using var gateway = Gateway($"mode: ISTIO_MUTUAL, {limits}", mesh);
        using var workload = GatewayProxy.Clients.Server("spiffe://cluster.local/ns/shop/sa/web");
        Assert.Equal(takes12, await gateway.CallAsync(certificate: workload, versions: SslProtocols.Tls12) is not null);
        Assert.NotNull(await gateway.CallAsync(certificate: workload));
        // One name of SPIFFE, and no other.
        Assert.Null(await gateway.CallAsync(certificate: Right));
        Assert.Null(await gateway.CallAsync());
    }

    [Theory]
    [InlineData("ec", "cipherSuites: [ECDHE-ECDSA-AES128-GCM-SHA256]", TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384)]
    [InlineData("ec", "cipherSuites: [ECDHE-ECDSA-CHACHA20-POLY1305, ECDHE-ECDSA-AES256-SHA]", TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256)]
    [InlineData("rsa", "cipherSuites: [ECDHE-RSA-AES256-GCM-SHA384]", TlsCipherSuite.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        TlsCipherSuite.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256)]
    [InlineData("rsa", "cipherSuites: [AES128-SHA]", TlsCipherSuite.TLS_RSA_WITH_AES_128_CBC_SHA, TlsCipherSuite.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256)]
    [InlineData("ec", "", TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        "tlsDefaults: {cipherSuites: [ECDHE-ECDSA-AES128-GCM-SHA256]}")]
    [InlineData("ec", "cipherSuites: [ECDHE-ECDSA-AES128-GCM-SHA256]", TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "tlsDefaults: {cipherSuites: [ECDHE-ECDSA-AES256-GCM-SHA384]}")]
    [InlineData("ec", "cipherSuites: [ECDHE-ECDSA-AES128-GCM-SHA256, RC4-SHA]", TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "", "spec.servers[0].tls.cipherSuites[1]")]
    [InlineData("ec", "cipherSuites: [RC4-SHA]", TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        "", "spec.servers[0].tls.cipherSuites[0]")]
    [InlineData("ec", "", TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        "tlsDefaults: {cipherSuites: [RC4-SHA]}", "tlsDefaults.cipherSuites[0]")]
    public async Task With_TLS_1_2_a_server_takes_its_cipher_suites_and_no_other(string key, string limits, TlsCipherSuite taken, TlsCipherSuite refused,
        string mesh = "", string reported = "")
    {
        using var gateway = Gateway($"mode: SIMPLE, serverCertificate: /{key}, privateKey: /{key}, {limits}", mesh);
        Assert.Equal(taken, (await gateway.CallAsync(versions: SslProtocols.Tls12, suites: [refused, taken]))?.Suite);
        Assert.Null(await gateway.CallAsync(versions: SslProtocols.Tls12, suites: refused));
        Assert.Equal(TlsCipherSuite.TLS_CHACHA20_POLY1305_SHA256,
            (await gateway.CallAsync(versions: SslProtocols.Tls13, suites: TlsCipherSuite.TLS_CHACHA20_POLY1305_SHA256))?.Suite);
        Assert.Equal(reported, string.Join(' ', gateway.Reported));
    }

    [Theory]
    [InlineData("a.example.com")]
    [InlineData("*")]
    public async Task Clients_get_the_application_protocol_that_they_offer_whatever_hosts_the_server_has(string host)
    {
        using var gateway = new GatewayProxy((host, $"mode: SIMPLE, {Files}"));
        Assert.Equal("h2", await gateway.NegotiateAsync("a.example.com", "h2", "http/1.1"));
        Assert.Equal("http/1.1", await gateway.NegotiateAsync("a.example.com", "spdy/3", "http/1.1"));
        Assert.Equal("", await gateway.NegotiateAsync("a.example.com", "spdy/3"));
        Assert.Equal("", await gateway.NegotiateAsync("a.example.com"));
    }

    [Theory]
    [InlineData("a.example.com", "-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256", "ECDSA")]
    [InlineData("a.example.com", "-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256", "RSA-PSS")]
    [InlineData("a.example.com", "-tls1_2 -sigalgs RSA+SHA256", "RSA")]
    [InlineData("a.example.com", "-tls1_2 -curves P-384 -sigalgs RSA-PSS+SHA256:ECDSA+SHA256", "RSA-PSS")]
    [InlineData("a.example.com", "-tls1_3 -sigalgs ECDSA+SHA256", "ECDSA")]
    [InlineData("a.example.com", "-tls1_3 -sigalgs RSA-PSS+SHA256", "RSA-PSS")]
    [InlineData("a.example.com", "-tls1_3 -sigalgs RSA-PSS+SHA256:ECDSA+SHA384", "RSA-PSS")]
    [InlineData("a.example.com", "-sigalgs RSA-PSS+SHA256:ECDSA+SHA256", "ECDSA")]
    [InlineData("*", "-noservername -tls1_3 -sigalgs ECDSA+SHA256", "ECDSA")]
    [InlineData("*", "-noservername -tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256", "RSA-PSS")]
    [InlineData("a.example.com", "-tls1_2", "RSA-PSS", "cipherSuites: [ECDHE-RSA-AES128-GCM-SHA256]")]
    [InlineData("a.example.com", "-sigalgs RSA+SHA256:RSA-PSS+SHA256:ECDSA+SHA256 -cipher ECDHE-RSA-AES128-GCM-SHA256", "RSA-PSS",
        "maxProtocolVersion: TLSV1_2")]
    public async Task Of_several_certificates_the_client_is_shown_one_that_it_can_verify(string host, string client, string signature, string limits = "")
    {
        foreach (var order in (string[])["{serverCertificate: /rsa, privateKey: /rsa}, {serverCertificate: /ec, privateKey: /ec}",
            "{serverCertificate: /ec, privateKey: /ec}, {serverCertificate: /rsa, privateKey: /rsa}"])
        {
            using var gateway = new GatewayProxy((host, $"mode: SIMPLE, tlsCertificates: [{order}], {limits}"));
            using var process = Process.Start(new ProcessStartInfo("openssl",
                ["s_client", "-connect", $"127.0.0.1:{gateway.Port}",
                    .. client.Contains("-noservername", StringComparison.Ordinal) ? [] : (string[])["-servername", host], .. client.Split(' ')])
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;
            process.StandardInput.Close();
            var (output, errors) = (process.StandardOutput.ReadToEndAsync(Stop), process.StandardError.ReadToEndAsync(Stop));
            await process.WaitForExitAsync(Stop);
            Assert.Contains($"Peer signature type: {signature}\n", await output + await errors, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Of_several_secrets_those_that_exist_serve_and_the_others_are_named()
    {
        var rig = new MeshRig("c1");
        Put("ec", GatewayProxy.Clients.Server("a.example.com"));
        using var gateway = new GatewayProxy(rig, ("a.example.com", "mode: SIMPLE, credentialNames: [rsa, ec]"));
        gateway.ReadSecrets();
        var problem = Assert.Single(gateway.Feed.Problems);
        Assert.Equal(("Gateway shop/front-0", "spec.servers[0].tls.credentialNames[0]"), (problem.Object, problem.Path));
        Assert.Equal("ECDSA", (await gateway.CallAsync(versions: SslProtocols.Tls13))?.Key);
        Assert.Null(await gateway.CallAsync(versions: SslProtocols.Tls12, suites: TlsCipherSuite.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256));
        Put("rsa", GatewayProxy.Clients.RsaServer("a.example.com"));
        rig.Push();
        gateway.ReadSecrets();
        Assert.Empty(gateway.Feed.Problems);
        Assert.Equal("RSA", (await gateway.CallAsync(versions: SslProtocols.Tls12, suites: TlsCipherSuite.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256))?.Key);
        Assert.Equal("ECDSA", (await gateway.CallAsync(versions: SslProtocols.Tls13))?.Key);

        void Put(string name, X509Certificate2 certificate)
        {
            using var key = (AsymmetricAlgorithm?)certificate.GetECDsaPrivateKey() ?? certificate.GetRSAPrivateKey()!;
            rig.Writer.Put("c1", new Secret
            {
                Metadata = new() { Name = name, Namespace = MeshRig.Namespace },
                Data = new[] { ("tls.crt", certificate.ExportCertificatePem()), ("tls.key", key.ExportPkcs8PrivateKeyPem()) }
                    .ToDictionary(item => item.Item1, item => Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(item.Item2))),
            });
        }
    }

    private static GatewayProxy Gateway(string tls, string mesh = "")
    {
        var rig = new MeshRig("c1");
        if (mesh.Length > 0) rig.Settings(mesh);
        return new(rig, ("a.example.com", tls));
    }

    private static string Filled(string text) => text
        .Replace("OTHER-HASH", Hash(Wrong.Issuer), StringComparison.Ordinal)
        .Replace("OTHER-SPKI", Convert.ToBase64String(SHA256.HashData(Wrong.RawData)), StringComparison.Ordinal)
        .Replace("CO:LO:NS", string.Join(':', Convert.ToHexString(SHA256.HashData(Right.RawData)).Chunk(2).Select(pair => new string(pair))),
            StringComparison.Ordinal)
        .Replace("HASH", Convert.ToHexStringLower(SHA256.HashData(Right.RawData)), StringComparison.Ordinal)
        .Replace("SPKI", Convert.ToBase64String(SHA256.HashData(Right.PublicKey.ExportSubjectPublicKeyInfo())), StringComparison.Ordinal);

    private static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(text)));
}

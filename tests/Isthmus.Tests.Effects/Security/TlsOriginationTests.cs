using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Proxy.Tls;
using Isthmus.Rigs.Mesh;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Effects.Security;

/// <summary>TLS to a server outside the mesh, from the rule that asks for it to the connection: the control plane generates the
/// cluster, the proxy connects to a real server.</summary>
public sealed class TlsOriginationTests
{
    private const string Name = "outbound|443||a.example.com";

    private static readonly TestCa Public = new("public"), Private = new("private");

    private readonly Roots _secrets = new();

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("mode: SIMPLE", "public a.example.com", "a.example.com")]
    [InlineData("mode: SIMPLE", "public *.example.com", "a.example.com")]
    [InlineData("mode: SIMPLE", "public A.EXAMPLE.COM", "a.example.com")]
    [InlineData("mode: SIMPLE, caCertificates: system", "public a.example.com", "a.example.com")]
    [InlineData("mode: SIMPLE, caCertificates: /private", "private a.example.com", "a.example.com")]
    [InlineData("mode: MUTUAL, clientCertificate: /client, privateKey: /client", "public a.example.com", "a.example.com")]
    [InlineData("mode: SIMPLE, sni: b.example.com", "public b.example.com", "b.example.com")]
    [InlineData("mode: SIMPLE, subjectAltNames: ['spiffe://there/it', c.example.com]", "public spiffe://there/it", "a.example.com")]
    [InlineData("mode: SIMPLE, subjectAltNames: [c.example.com]", "public *.example.com", "a.example.com")]
    [InlineData("mode: SIMPLE, insecureSkipVerify: true", "self wrong.example.com", "a.example.com")]
    [InlineData("mode: SIMPLE", "public spiffe://there/it", "a.example.com", "subjectAltNames: ['spiffe://there/it']")]
    [InlineData("mode: SIMPLE, subjectAltNames: [c.example.com]", "public c.example.com", "a.example.com", "subjectAltNames: [d.example.com]")]
    public async Task A_server_that_proves_its_name_is_used(string tls, string certificate, string sni, string entry = "")
    {
        var (status, body, log) = await CallAsync(tls, certificate, entry);
        Assert.True(status == HttpStatusCode.OK, log);
        Assert.Equal(sni, body);
    }

    [Theory]
    [InlineData("mode: SIMPLE", "self a.example.com", "self-signed_certificate")]
    [InlineData("mode: MUTUAL, clientCertificate: /client, privateKey: /client", "self a.example.com", "self-signed_certificate")]
    [InlineData("mode: MUTUAL, clientCertificate: /client, privateKey: /client", "public b.example.com", "verify_SAN_list")]
    [InlineData("mode: SIMPLE", "private a.example.com", "unable_to_get_local_issuer_certificate")]
    [InlineData("mode: SIMPLE", "public b.example.com", "verify_SAN_list")]
    [InlineData("mode: SIMPLE", "public *.a.example.com", "verify_SAN_list")]
    [InlineData("mode: SIMPLE, caCertificates: /private", "public a.example.com", "unable_to_get_local_issuer_certificate")]
    [InlineData("mode: SIMPLE, caCertificates: /private", "private b.example.com", "verify_SAN_list")]
    [InlineData("mode: SIMPLE, sni: b.example.com", "public a.example.com", "SAN_matcher")]
    [InlineData("mode: SIMPLE, subjectAltNames: [c.example.com]", "public a.example.com", "SAN_matcher")]
    [InlineData("mode: SIMPLE", "public a.example.com", "SAN_matcher", "subjectAltNames: ['spiffe://there/it']")]
    [InlineData("mode: SIMPLE, caCertificates: /missing", "public a.example.com", "Secret_is_not_supplied_by_SDS:_file-root:/missing")]
    [InlineData("mode: SIMPLE, credentialName: nowhere", "public a.example.com", "Secret_is_not_supplied_by_SDS:_kubernetes://nowhere-cacert")]
    [InlineData("mode: MUTUAL, credentialName: nowhere", "public a.example.com", "Secret_is_not_supplied_by_SDS:_kubernetes://nowhere")]
    public async Task Any_other_server_gets_nothing(string tls, string certificate, string reason, string entry = "")
    {
        var (status, _, log) = await CallAsync(tls, certificate, entry);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, status);
        Assert.Contains("503 UF", log, StringComparison.Ordinal);
        Assert.Contains(reason, log, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_connection_verified_for_one_host_serves_no_other(bool http2)
    {
        await using var origin = await OriginServer.StartAsync(http2 ? HttpProtocols.Http2 : HttpProtocols.Http1, OriginServer.ServerNameAsync,
            Public.Server("a.example.com", "b.example.com"));
        using var proxy = Proxy("mode: SIMPLE", "", http2 ? "HTTP2" : "HTTP", origin.Port);
        var first = await GetAsync(proxy, "a.example.com");
        Assert.True(first == (HttpStatusCode.OK, "a.example.com"), $"{first} {await proxy.LoggedAsync()}");
        await ConfiguredProxy.IdleAsync(proxy.Plane);
        Assert.Equal((HttpStatusCode.OK, "b.example.com"), await GetAsync(proxy, "b.example.com:443"));
        Assert.Equal((HttpStatusCode.OK, "a.example.com"), await GetAsync(proxy, "a.example.com"));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await GetAsync(proxy, "c.example.com")).Status);
        // Each event loop has its own shared HTTP/2 connection, and the third client may be on another loop than the first.
        Assert.InRange(proxy.Plane.State.Current.Clusters[Name].Counters.Connects, 3, http2 ? 4 : 3);
    }

    [Theory]
    [InlineData("mode: SIMPLE", "public a.example.com", "a.example.com")]
    [InlineData("mode: SIMPLE, insecureSkipVerify: true", "self b.example.com", "a.example.com")]
    [InlineData("mode: SIMPLE, sni: b.example.com", "public b.example.com", "b.example.com")]
    [InlineData("mode: SIMPLE", "public b.example.com", "")]
    [InlineData("mode: SIMPLE", "self a.example.com", "")]
    public async Task TCP_connections_take_the_name_from_the_host_of_the_service(string tls, string certificate, string sni)
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, OriginServer.ServerNameAsync, Shown(certificate));
        using var proxy = Proxy(tls, "", "TCP", origin.Port);
        using var listener = proxy.Tcp(Name);
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, listener.Number, Stop);
        var answer = "";
        try
        {
            await socket.SendAsync("GET / HTTP/1.1\r\nHost: elsewhere\r\nConnection: close\r\n\r\n"u8.ToArray(), Stop);
            using var reader = new StreamReader(new NetworkStream(socket));
            answer = await reader.ReadToEndAsync(Stop);
        }
        catch (Exception e) when (e is SocketException or IOException)
        {
            // The proxy has no connection to the server, and ends this one.
        }
        Assert.Equal(sni.Length > 0, answer.StartsWith("HTTP/1.1 200", StringComparison.Ordinal));
        Assert.Contains(sni, answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_rule_whose_roots_are_missing_ends_the_traffic_that_flowed_without_TLS()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, OriginServer.ServerNameAsync);
        using var proxy = Proxy("mode: DISABLE", "", "HTTP", origin.Port);
        Assert.Equal(HttpStatusCode.OK, (await GetAsync(proxy, "a.example.com")).Status);
        proxy.Clusters(Generate("mode: SIMPLE, caCertificates: /missing", "", "HTTP"));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await GetAsync(proxy, "a.example.com")).Status);
    }

    private async Task<(HttpStatusCode Status, string Body, string Log)> CallAsync(string tls, string certificate, string entry)
    {
        using var shown = Shown(certificate);
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, OriginServer.ServerNameAsync, shown);
        using var proxy = Proxy(tls, entry, "HTTP", origin.Port);
        var (status, body) = await GetAsync(proxy, "a.example.com");
        return (status, body, await proxy.LoggedAsync());
    }

    private static X509Certificate2 Shown(string certificate) =>
        certificate.Split(' ') is [var issuer, .. var names] && issuer switch { "public" => Public, "private" => Private, _ => null } is { } ca
            ? ca.Server(names)
            : TestCa.SelfSigned(certificate.Split(' ')[1..]);

    private LoopbackProxy Proxy(string tls, string entry, string protocol, int port)
    {
        var proxy = new LoopbackProxy([], $$""" "route": {"cluster": "{{Name}}", "timeout": "0s"} """, secrets: _secrets);
        proxy.Clusters(Generate(tls, entry, protocol));
        proxy.Endpoints(Name, port);
        return proxy;
    }

    private static Isthmus.Wire.Envoy.Clusters.Cluster Generate(string tls, string entry, string protocol)
    {
        var rig = new MeshRig("c1");
        rig.Config($$"""
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: there, namespace: shop}
            spec: {hosts: [a.example.com], location: MESH_EXTERNAL, ports: [{name: web, number: 443, protocol: {{protocol}}}], resolution: STATIC, endpoints: [{address: 127.0.0.1}], {{entry}}}
            ---
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: there, namespace: shop}
            spec: {host: a.example.com, trafficPolicy: {tls: { {{tls}} } } }
            """);
        var caller = rig.Sidecar("c1");
        rig.Push();
        return MeshRig.Cluster(caller, Name)!;
    }

    private static async Task<(HttpStatusCode Status, string Body)> GetAsync(LoopbackProxy proxy, string host)
    {
        using var client = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Get, $"http://127.0.0.1:{proxy.Port}/") { Headers = { Host = host } };
        using var response = await client.SendAsync(request, Stop);
        return (response.StatusCode, await response.Content.ReadAsStringAsync(Stop));
    }

    /// <summary>The public CA is what the system trusts, and the private one is mounted.</summary>
    private sealed class Roots : ISecretSource
    {
        public event Action<string>? Changed
        {
            add { }
            remove { }
        }

        public CertificateSecret? FindCertificate(string name)
        {
            if (name != "file-cert:/client~/client") return null;
            using var own = Private.RsaServer("client");
            using var key = own.GetRSAPrivateKey()!;
            return CertificateSecret.Load(name, own.ExportCertificatePem(), key.ExportPkcs8PrivateKeyPem());
        }

        public RootSecret? FindRoots(string name) => name switch
        {
            "file-root:system" => RootSecret.Load(name, Public.Pem),
            "file-root:/private" => RootSecret.Load(name, Private.Pem),
            _ => null,
        };

        public bool IsAbsent(string name) => FindRoots(name) is null && FindCertificate(name) is null;

        public IReadOnlyList<SecretView> View() => [];
    }
}

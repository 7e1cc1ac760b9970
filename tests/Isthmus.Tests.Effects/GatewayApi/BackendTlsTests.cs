using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Xunit;

namespace Isthmus.Tests.Effects.GatewayApi;

/// <summary>TLS to backends as BackendTLSPolicies demand it, from the objects to the connection. Whatever is wrong, nothing is sent in plain text.</summary>
public sealed class BackendTlsTests
{
    private static readonly TestCa Known = new("known"), Other = new("other");

    [Theory]
    [InlineData("hostname: a.example, caCertificateRefs: [{group: '', kind: ConfigMap, name: known}]", 200, "a.example")]
    [InlineData("hostname: b.example, caCertificateRefs: [{group: '', kind: ConfigMap, name: known}]", 503, "")]
    [InlineData("hostname: a.example, caCertificateRefs: [{group: '', kind: ConfigMap, name: other}]", 503, "")]
    [InlineData("hostname: a.example, caCertificateRefs: [{group: '', kind: ConfigMap, name: other}, {group: '', kind: ConfigMap, name: known}]", 200,
        "a.example")]
    [InlineData("hostname: a.example, caCertificateRefs: [{group: '', kind: ConfigMap, name: none}, {group: '', kind: ConfigMap, name: known}]", 200,
        "a.example")]
    [InlineData("hostname: a.example, caCertificateRefs: [{group: '', kind: ConfigMap, name: none}]", 503, "")]
    [InlineData("hostname: a.example, caCertificateRefs: [{group: '', kind: ConfigMap, name: broken}]", 503, "")]
    [InlineData("hostname: a.example, caCertificateRefs: [{group: '', kind: Secret, name: known}]", 503, "")]
    [InlineData("hostname: a.example, caCertificateRefs: [{group: certificates.k8s.io, kind: ClusterTrustBundle, name: platform}]", 200, "a.example")]
    [InlineData("hostname: a.example, caCertificateRefs: [{group: certificates.k8s.io, kind: ClusterTrustBundle, name: none}]", 503, "")]
    [InlineData("hostname: a.example, caCertificateRefs: [{group: certificates.k8s.io, kind: ClusterTrustBundle, name: known}]", 503, "")]
    [InlineData("hostname: a.example, caCertificateRefs: [{group: '', kind: ClusterTrustBundle, name: platform}]", 503, "")]
    [InlineData("hostname: a.example, caCertificateRefs: [{group: '', kind: ConfigMap, name: platform}]", 503, "")]
    [InlineData("hostname: a.example, wellKnownCACertificates: System", 503, "")]
    [InlineData("hostname: a.example", 503, "")]
    [InlineData("hostname: b.example, subjectAltNames: [{type: Hostname, hostname: a.example}], caCertificateRefs: [{group: '', kind: ConfigMap, name: known}]",
        200, "b.example")]
    [InlineData(
        "hostname: a.example, subjectAltNames: [{type: Hostname, hostname: b.example}, {type: URI, uri: 'spiffe://x/y'}], caCertificateRefs: [{group: '', "
            + "kind: ConfigMap, name: known}]",
        503, "")]
    public async Task A_server_is_accepted_for_a_name_and_a_CA_of_the_policy(string validation, int status, string serverName)
    {
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, OriginServer.ServerNameAsync, Known.Server("a.example"));
        await using var proxy = await ProxyAsync(server, Policy("p", "", validation));
        var (seen, body, _) = await proxy.CallAsync("/");
        Assert.Equal((status, serverName), (seen, status == 200 ? body : ""));
    }

    [Fact]
    public async Task Calls_begin_to_succeed_when_the_CA_appears_and_follow_the_policies_as_they_change()
    {
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, OriginServer.ServerNameAsync, Known.Server("a.example", "b.example"));
        await using var proxy = await ProxyAsync(server, Policy("p", "", "hostname: a.example, caCertificateRefs: [{group: '', kind: ConfigMap, name: late}]"));
        Assert.Equal(503, (await proxy.CallAsync("/")).Status);
        Put(proxy, "late", Known.Pem);
        proxy.Sidecar.Apply("");
        Assert.Equal("a.example", (await proxy.CallAsync("/")).Body);
        // One for the port comes before one for the whole Service, whichever is older.
        proxy.Sidecar.Apply(Policy("q", "sectionName: http, ", "hostname: b.example, caCertificateRefs: [{group: '', kind: ConfigMap, name: known}]",
            "2026-02-01T00:00:00Z"));
        Assert.Equal("b.example", (await proxy.CallAsync("/")).Body);
        // For one target, the oldest one applies.
        proxy.Sidecar.Apply(Policy("r", "sectionName: http, ", "hostname: a.example, caCertificateRefs: [{group: '', kind: ConfigMap, name: known}]",
            "2026-01-15T00:00:00Z"));
        Assert.Equal("a.example", (await proxy.CallAsync("/")).Body);
        proxy.Sidecar.Rig.Writer.RemoveConfig("c1", "BackendTLSPolicy", "shop", "r");
        proxy.Sidecar.Apply(Policy("q", "sectionName: none, ", "hostname: b.example, wellKnownCACertificates: System"));
        Assert.Equal("a.example", (await proxy.CallAsync("/")).Body);
    }

    [Fact]
    public async Task Connections_do_not_announce_themselves_as_those_of_the_mesh()
    {
        static ReadOnlySpan<byte> Protocol(HttpContext context) => context.Features.Get<ITlsApplicationProtocolFeature>()!.ApplicationProtocol.Span;
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1,
            context => context.Response.WriteAsync($"[{Encoding.ASCII.GetString(Protocol(context))}]"), Known.Server("a.example"));
        const string Validation = "hostname: a.example, caCertificateRefs: [{group: '', kind: ConfigMap, name: known}]";
        await using var proxy = await ProxyAsync(server, Policy("p", "", Validation));
        // A sidecar in front of the server would answer one of the mesh's protocols with the certificate of the mesh.
        Assert.Equal("[]", (await proxy.CallAsync("/")).Body);
    }

    [Fact]
    public async Task A_ClusterTrustBundle_counts_as_soon_as_it_changes()
    {
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, OriginServer.ServerNameAsync, Known.Server("a.example"));
        await using var proxy = await ProxyAsync(server,
            Policy("p", "", "hostname: a.example, caCertificateRefs: [{group: certificates.k8s.io, kind: ClusterTrustBundle, name: platform}]"));
        Assert.Equal(200, (await proxy.CallAsync("/")).Status);
        PutBundle(proxy, "platform", Other.Pem);
        proxy.Sidecar.Apply("");
        await Eventually.TrueAsync(async () => (await proxy.CallAsync("/")).Status == 503);
        PutBundle(proxy, "platform", $"{Other.Pem}\n{Known.Pem}");
        proxy.Sidecar.Apply("");
        await Eventually.TrueAsync(async () => (await proxy.CallAsync("/")).Status == 200);
        proxy.Sidecar.Rig.Writer.RemoveConfig("c1", "ClusterTrustBundle", "", "platform");
        proxy.Sidecar.Apply("");
        await Eventually.TrueAsync(async () => (await proxy.CallAsync("/")).Status == 503);
    }

    private static string Policy(string name, string section, string validation, string age = "2026-01-01T00:00:00Z") => $$"""
        apiVersion: gateway.networking.k8s.io/v1
        kind: BackendTLSPolicy
        metadata: {name: {{name}}, namespace: shop, creationTimestamp: '{{age}}'}
        spec: {targetRefs: [{group: '', kind: Service, {{section}}name: secure}], validation: { {{validation}} } }
        """;

    /// <summary>Calls go to the Service <c>secure</c>, behind which the server is.</summary>
    private static async Task<RouteProxy> ProxyAsync(OriginServer server, string policy)
    {
        var proxy = await RouteProxy.OfRulesAsync("{backendRefs: [{name: secure, port: 80}], retry: {attempts: 0} }");
        proxy.Sidecar.Rig.Service("c1", "secure", "10.96.0.50", "http", 80, server.Port);
        proxy.Sidecar.Rig.Pod("c1", "secure", "secure-a", "127.0.0.1", mtls: false);
        proxy.Sidecar.Rig.Slice("c1", "secure", server.Port, "http", ("secure-a", "127.0.0.1"));
        Put(proxy, "known", Known.Pem);
        Put(proxy, "other", Other.Pem);
        Put(proxy, "broken", "no certificate");
        PutBundle(proxy, "platform", Known.Pem);
        proxy.Sidecar.Apply(policy);
        return proxy;
    }

    private static void PutBundle(RouteProxy proxy, string name, string pem) => proxy.Sidecar.Rig.Writer.PutConfig("c1", new JsonObject
    {
        ["apiVersion"] = "certificates.k8s.io/v1", ["kind"] = "ClusterTrustBundle", ["metadata"] = new JsonObject { ["name"] = name },
        ["spec"] = new JsonObject { ["trustBundle"] = pem },
    });

    private static void Put(RouteProxy proxy, string name, string pem) =>
        proxy.Sidecar.Rig.Writer.Put("c1", new ConfigMap { Metadata = new() { Name = name, Namespace = "shop" }, Data = { ["ca.crt"] = pem } });
}

using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Effects.KnownKinds;

/// <summary>Settings that name a Secret, a file, a CA or a service which does not exist: each ends the traffic that it is about, and no other. Plain text, or a
/// peer that nobody checked, would be what an attacker hopes for. Rules for hosts outside the mesh are in <see cref="TlsOriginationTests"/>.</summary>
public sealed class MissingReferenceTests
{
    private static readonly X509Certificate2 Client = GatewayProxy.Clients.Server("right.example.com");

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>A rule of TLS for the service that the proxy itself calls, whose reference is missing.</summary>
    public static TheoryData<string> Rules => new(
        "mode: SIMPLE, caCertificates: /missing",
        "mode: SIMPLE, credentialName: nowhere",
        "mode: MUTUAL, credentialName: nowhere",
        "mode: MUTUAL, clientCertificate: /missing, privateKey: /missing, caCertificates: system",
        "mode: MUTUAL, clientCertificate: /missing, privateKey: /missing, caCertificates: /missing",
        "mode: ISTIO_MUTUAL"); // this proxy has no identity

    [Theory]
    [InlineData("mode: SIMPLE, credentialName: nowhere")]
    [InlineData("mode: SIMPLE, credentialNames: [nowhere]")]
    [InlineData("mode: MUTUAL, credentialName: nowhere")]
    [InlineData("mode: OPTIONAL_MUTUAL, credentialName: nowhere")]
    [InlineData("mode: SIMPLE, serverCertificate: /missing, privateKey: /missing")]
    [InlineData("mode: SIMPLE, serverCertificate: /ec, privateKey: /missing")]
    [InlineData("mode: SIMPLE, tlsCertificates: [{serverCertificate: /missing, privateKey: /missing}]")]
    [InlineData("mode: MUTUAL, serverCertificate: /ec, privateKey: /ec, caCertificates: /missing")]
    [InlineData("mode: OPTIONAL_MUTUAL, serverCertificate: /ec, privateKey: /ec, caCertificates: /missing")]
    [InlineData("mode: MUTUAL, serverCertificate: /missing, privateKey: /missing, caCertificates: /ca")]
    public async Task A_server_whose_certificate_or_CA_is_missing_serves_nobody(string tls)
    {
        using var gateway = new GatewayProxy(("*.example.com", "mode: SIMPLE, serverCertificate: /ec, privateKey: /ec"), ("a.example.com", tls));
        Assert.Empty(gateway.Rejected);
        Assert.Null(await gateway.CallAsync("a.example.com", Client));
        // Also where a certificate is optional: the server could not tell a client that shows none from one that it cannot check.
        Assert.Null(await gateway.CallAsync("a.example.com"));
        // The wildcard does not step in for a.example.com, and stays what it was.
        Assert.NotNull(await gateway.CallAsync("c.example.com"));
    }

    [Theory]
    [MemberData(nameof(Rules))]
    public async Task An_authorizer_that_cannot_be_proven_is_not_asked_and_nothing_is_allowed(string tls)
    {
        foreach (var provider in (string[])["envoyExtAuthzHttp: {service: authorizer.example, port: 8000}",
            "envoyExtAuthzGrpc: {service: authorizer.example, port: 9000}"])
        {
            var (asked, served) = (0, 0);
            await using var authorizer = await CountAsync(provider.Contains("Grpc", StringComparison.Ordinal), () => Interlocked.Increment(ref asked));
            await using var origin = await CountAsync(false, () => Interlocked.Increment(ref served));
            using var gateway = new GuardedGateway($"extensionProviders: [{{name: outer, {provider}}}]", $$"""
                apiVersion: security.istio.io/v1
                kind: AuthorizationPolicy
                metadata: {name: asked, namespace: shop}
                spec: {selector: {matchLabels: {app: edge} }, action: CUSTOM, provider: {name: outer}, rules: [{to: [{operation: {paths: [/safe]} }] }]}
                ---
                {{Rule(tls)}}
                """, origin.Port, authorizer.Port);
            Assert.Equal(403, (await gateway.CallAsync("/safe")).Status);
            Assert.Equal((0, 0), (asked, served));
            Assert.Equal(200, (await gateway.CallAsync("/open")).Status);
        }
    }

    [Theory]
    [MemberData(nameof(Rules))]
    public async Task A_collector_that_cannot_be_proven_gets_no_span_and_no_line(string tls)
    {
        foreach (var (provider, name, counter) in ((string, string, string)[])
        [
            ("zipkin: {service: authorizer.example, port: 8000}", "tracing", "tracing.zipkin.spans_dropped"),
            ("opentelemetry: {service: authorizer.example, port: 8000, http: {path: /v1/traces}}", "tracing", "tracing.opentelemetry.spans_dropped"),
            ("opentelemetry: {service: authorizer.example, port: 9000}", "tracing", "tracing.opentelemetry.spans_dropped"),
            ("envoyOtelAls: {service: authorizer.example, port: 9000}", "accessLogging", ""),
            ("envoyHttpAls: {service: authorizer.example, port: 9000}", "accessLogging", ""),
        ])
        {
            var asked = 0;
            await using var collector = await CountAsync(provider.Contains("9000", StringComparison.Ordinal), () => Interlocked.Increment(ref asked));
            await using var origin = await CountAsync(false, () => { });
            using (var gateway = new GuardedGateway($"extensionProviders: [{{name: there, {provider}}}]\ndefaultProviders: {{{name}: [there]}}", $$"""
                apiVersion: telemetry.istio.io/v1
                kind: Telemetry
                metadata: {name: all, namespace: shop}
                spec: {tracing: [{randomSamplingPercentage: 100}]}
                ---
                {{Rule(tls)}}
                """, origin.Port, collector.Port))
            {
                Assert.Equal(200, (await gateway.CallAsync()).Status);
                if (counter.Length > 0) await Eventually.TrueAsync(() => gateway.Count(counter) == 1);
                else await Eventually.TrueAsync(() => gateway.Plane.Report.Access.All.Any(item => item.Key.StartsWith("access_logs.", StringComparison.Ordinal)
                    && item.Key.EndsWith("dropped", StringComparison.Ordinal) && item.Value > 0));
            }
            Assert.Equal(0, asked);
        }
    }

    /// <summary>Without keys, nothing is a valid token: not one that its issuer signed, and not one without a signature.</summary>
    [Theory]
    [InlineData("jwksUri: 'https://nowhere.example/keys'")]
    [InlineData("jwksUri: 'http://web.example/keys'")]
    [InlineData("jwks: '{\"keys\": []}'")]
    public async Task Keys_that_are_missing_verify_nothing(string keys)
    {
        using var mint = new TokenMint();
        var served = 0;
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context =>
        {
            // The host of the keys is one of the mesh, which answers with something else.
            if (context.Request.Path != "/keys") Interlocked.Increment(ref served);
            return context.Response.WriteAsync("none");
        });
        using var gateway = new GuardedGateway("", $$"""
            apiVersion: security.istio.io/v1
            kind: RequestAuthentication
            metadata: {name: tokens, namespace: shop}
            spec: {selector: {matchLabels: {app: edge} }, jwtRules: [{issuer: bank, {{keys}} }]}
            ---
            apiVersion: security.istio.io/v1
            kind: AuthorizationPolicy
            metadata: {name: callers, namespace: shop}
            spec: {selector: {matchLabels: {app: edge} }, rules: [{from: [{source: {requestPrincipals: ['*']} }] }]}
            """, origin.Port, 1);
        var claims = new JsonObject { ["iss"] = "bank", ["sub"] = "ann" };
        Assert.Equal(401, (await gateway.CallAsync(header: $"authorization: Bearer {mint.Sign(claims)}")).Status);
        Assert.Equal(401, (await gateway.CallAsync(header: "authorization: Bearer eyJhbGciOiJub25lIn0.eyJpc3MiOiJiYW5rIiwic3ViIjoiYW5uIn0.")).Status);
        Assert.Equal(403, (await gateway.CallAsync()).Status);
        Assert.Equal(0, served);
    }

    private static string Rule(string tls) => $$"""
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: authorizer, namespace: shop}
        spec: {host: authorizer.example, trafficPolicy: {tls: { {{tls}} } } }
        """;

    private static Task<OriginServer> CountAsync(bool http2, Action count) =>
        OriginServer.StartAsync(http2 ? HttpProtocols.Http2 : HttpProtocols.Http1, context =>
    {
        count();
        return context.Response.WriteAsync("");
    });
}

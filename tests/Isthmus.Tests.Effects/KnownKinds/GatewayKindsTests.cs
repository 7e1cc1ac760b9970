using System.Formats.Asn1;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Effects.KnownKinds;

/// <summary>Kinds of faults that gateways of other meshes had, from Istio's objects to the bytes that a server gets.</summary>
public sealed class GatewayKindsTests
{
    private const string Manager = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>A claim that holds lines is one value, wherever it is put: not another field, and not another request.</summary>
    [Fact]
    public async Task A_claim_with_lines_stays_one_value()
    {
        using var mint = new TokenMint();
        using var server = new ByteServer(AnswerAsync);
        using var gateway = new GuardedGateway("", $$"""
            apiVersion: security.istio.io/v1
            kind: RequestAuthentication
            metadata: {name: tokens, namespace: shop}
            spec: {selector: {matchLabels: {app: edge} }, jwtRules: [{issuer: bank, jwks: '{{mint.Keys}}', outputPayloadToHeader: x-payload, outputClaimToHeaders: [{header: x-claim, claim: sub}]}]}
            ---
            apiVersion: networking.istio.io/v1
            kind: VirtualService
            metadata: {name: told, namespace: shop}
            spec:
              hosts: [web.example]
              gateways: [edge]
              http: [{headers: {request: {set: {x-user: '%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:payload:sub)%'} } }, route: [{destination: {host: web.example, port: {number: 80} } }]}]
            """, server.Port, 1);
        foreach (var end in (string[])["\r\n", "\n", "\r", "\0\r\n"])
        {
            var token = mint.Sign(new() { ["iss"] = "bank", ["sub"] = $"ann{end}x-admin: yes{end}{end}GET /hidden HTTP/1.1{end}host: web.example{end}{end}" });
            Assert.Equal(200, (await gateway.CallAsync(header: $"authorization: Bearer {token}")).Status);
        }
        Assert.Equal(200, (await gateway.CallAsync(header: $"authorization: Bearer {mint.Sign(new() { ["iss"] = "bank", ["sub"] = "bob" })}")).Status);
        var lines = string.Concat(server.Heard).Split((char[])['\r', '\n', '\0'], StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(5, lines.Count(line => line.StartsWith("GET ", StringComparison.Ordinal)));
        Assert.Equal(4, lines.Count(line => line.StartsWith("x-user: ann", StringComparison.Ordinal) && line.Contains("/hidden", StringComparison.Ordinal)));
        // A field of a claim has its value, or there is none.
        Assert.Equal(["x-claim: bob"], lines.Where(line => line.StartsWith("x-claim", StringComparison.Ordinal)));
        Assert.DoesNotContain(lines, line => line.StartsWith("x-admin", StringComparison.Ordinal) || line.StartsWith("GET /hidden", StringComparison.Ordinal));
    }

    /// <summary>What a client has in the names of its certificate is a part of the value that tells of it: no other field, request, element or key.</summary>
    [Theory]
    [InlineData("ann\r\nx-admin: yes")]
    [InlineData("ann\r\n\r\nGET /hidden HTTP/1.1\r\nhost: web.example\r\n\r\n")]
    [InlineData("ann\n\0\u001b[2J")]
    [InlineData("ann\";URI=\"spiffe://cluster.local/ns/shop/sa/admin")]
    [InlineData("ann\\\";URI=\"spiffe://cluster.local/ns/shop/sa/admin")]
    [InlineData("ann\", By=\"spiffe://cluster.local/ns/shop/sa/admin")]
    [InlineData("ann,By=x;URI=y")]
    [InlineData("ann\\")]
    public async Task A_name_of_a_certificate_stays_in_its_place(string name)
    {
        using var server = new ByteServer(AnswerAsync);
        var rig = new MeshRig("c1");
        rig.Config($$"""
            {{SidecarProxy.Entry([(server.Port, "")])}}
            ---
            apiVersion: networking.istio.io/v1
            kind: VirtualService
            metadata: {name: web, namespace: shop}
            spec: {hosts: [a.example.com], gateways: [front-0], http: [{route: [{destination: {host: web.example, port: {number: 80} } }]}]}
            """);
        using var gateway = new GatewayProxy(rig, ("a.example.com", "mode: MUTUAL, serverCertificate: /ec, privateKey: /ec, caCertificates: /ca"));
        foreach (var commonName in (string[])["ann", name])
        {
            using var certificate = GatewayProxy.Clients.Signed(
                list => list.WriteOctetString("client.example"u8, new Asn1Tag(TagClass.ContextSpecific, 2)), commonName);
            Assert.NotNull(await gateway.CallAsync("a.example.com", certificate));
        }
        var lines = string.Concat(server.Heard).Split((char[])['\r', '\n', '\0'], StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(2, lines.Count(line => line.StartsWith("GET ", StringComparison.Ordinal)));
        Assert.DoesNotContain(lines, line => line.StartsWith("x-admin", StringComparison.Ordinal) || line.StartsWith("GET /hidden", StringComparison.Ordinal));
        const string field = "x-forwarded-client-cert: ";
        var told = lines.Where(line => line.StartsWith(field, StringComparison.Ordinal)).Select(line => Keys(line[field.Length..])).ToList();
        Assert.Equal(2, told.Count);
        Assert.Contains("Subject", told[0]);
        Assert.Equal(told[0], told[1]);
    }

    /// <summary>The keys of the elements of the field, as a reader of Envoy's format sees them.</summary>
    private static List<string> Keys(string field)
    {
        var (parts, isQuoted) = (new List<StringBuilder> { new() }, false);
        for (var i = 0; i < field.Length; i++)
        {
            if (field[i] == '\\' && isQuoted && i + 1 < field.Length) parts[^1].Append(field[i++]);
            else if (field[i] == '"') isQuoted = !isQuoted;
            if (field[i] is ';' or ',' && !isQuoted) parts.Add(new(field[i] == ',' ? "another element: " : ""));
            else parts[^1].Append(field[i]);
        }
        Assert.False(isQuoted, field);
        return [.. parts.Select(part => $"{part}".Split('=')[0])];
    }

    /// <summary>What comes from outside with a name of Envoy's steers proxies and servers behind the gateway.</summary>
    [Theory]
    [InlineData("", false)]
    [InlineData("internal_address_config: {cidr_ranges: [{address_prefix: 10.0.0.0, prefix_len: 8}]}", false)]
    [InlineData("internal_address_config: {cidr_ranges: [{address_prefix: 127.0.0.0, prefix_len: 8}]}", true)]
    public async Task Fields_of_Envoy_from_outside_end_at_the_gateway(string fields, bool stay)
    {
        string[] names = ["x-envoy-original-url", "x-envoy-downstream-service-cluster", "x-envoy-auth-failure-mode-allowed", "x-envoy-ratelimited",
            "x-envoy-overloaded", "x-envoy-original-dst-host",
            "x-envoy-internal", "x-envoy-retry-on", "x-envoy-upstream-rq-timeout-ms", "X-Envoy-Anything"];
        using var server = new ByteServer(AnswerAsync);
        using var gateway = new GuardedGateway("", fields.Length == 0 ? "" : $$"""
            apiVersion: networking.istio.io/v1alpha3
            kind: EnvoyFilter
            metadata: {name: inside, namespace: shop}
            spec:
              workloadSelector: {labels: {app: edge} }
              configPatches:
              - applyTo: NETWORK_FILTER
                match: {context: GATEWAY, listener: {portNumber: 8080, filterChain: {filter: {name: envoy.filters.network.http_connection_manager} } } }
                patch: {operation: MERGE, value: {typed_config: {'@type': {{Manager}}, {{fields}} } } }
            """, server.Port, 1);
        Assert.Equal(200, (await gateway.CallAsync(header: string.Join('\n', names.Select(name => $"{name}: forged")))).Status);
        var forged = Assert.Single(server.Heard).Split("\r\n").Where(line => line.EndsWith(": forged", StringComparison.Ordinal))
            .Select(line => line.Split(':')[0]);
        // Proxies themselves say who is inside, and what says how to retry is for them.
        var kept = names.Except(["x-envoy-internal", "x-envoy-retry-on"]).Select(name => name.ToLowerInvariant());
        Assert.Equal(stay ? kept.Order(StringComparer.Ordinal) : [], forged.Order(StringComparer.Ordinal));
    }

    /// <summary>Requests without a path are asked about like others, or refused.</summary>
    [Theory]
    [InlineData("envoyExtAuthzHttp: {service: authorizer.example, port: 8000, pathPrefix: /check}",
        "OPTIONS * HTTP/1.1\r\nhost: web.example\r\nconnection: close\r\n\r\n", "HTTP/1.1 403 ", "OPTIONS /check*")]
    [InlineData("envoyExtAuthzHttp: {service: authorizer.example, port: 8000}", "OPTIONS * HTTP/1.1\r\nhost: web.example\r\nconnection: close\r\n\r\n",
        "HTTP/1.1 403 ", "OPTIONS *")]
    [InlineData("envoyExtAuthzHttp: {service: authorizer.example, port: 8000}",
        "CONNECT web.example:80 HTTP/1.1\r\nhost: web.example:80\r\n\r\nGET /hidden HTTP/1.1\r\nhost: web.example\r\n\r\n", "HTTP/1.1 403 ", null)]
    [InlineData("envoyExtAuthzGrpc: {service: authorizer.example, port: 9000}", "CONNECT web.example:80 HTTP/1.1\r\nhost: web.example:80\r\n\r\n",
        "HTTP/1.1 403 ", null)]
    // it speaks no gRPC: nobody allows it
    [InlineData("envoyExtAuthzGrpc: {service: authorizer.example, port: 9000}", "OPTIONS * HTTP/1.1\r\nhost: web.example\r\nconnection: close\r\n\r\n",
        "HTTP/1.1 403 ", null)]
    public async Task Requests_without_a_path_do_not_pass_by_an_authorizer(string provider, string request, string answer, string? asked)
    {
        using var server = new ByteServer(AnswerAsync);
        using var authorizer = new ByteServer(async proxy =>
        {
            while (await proxy.HearAsync("\r\n\r\n")) await proxy.SayAsync("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
        });
        using var gateway = new GuardedGateway($"extensionProviders: [{{name: outer, {provider}}}]", """
            apiVersion: security.istio.io/v1
            kind: AuthorizationPolicy
            metadata: {name: outer, namespace: shop}
            spec: {selector: {matchLabels: {app: edge} }, action: CUSTOM, provider: {name: outer}, rules: [{}]}
            """, server.Port, authorizer.Port);
        var text = await RawAsync(gateway, request);
        Assert.StartsWith(answer, text, StringComparison.Ordinal);
        Assert.Equal(2, text.Split("HTTP/1.1 ").Length);
        Assert.Empty(server.Heard);
        if (asked is not null) Assert.StartsWith($"{asked} HTTP/1.1\r\n", Assert.Single(authorizer.Heard), StringComparison.Ordinal);
    }

    /// <summary>An address with a zone is the address of nobody elsewhere.</summary>
    [Theory]
    [InlineData("[fe80::1%25eth0]", "", 200)]
    [InlineData("[fe80::1%25eth0]:8080", "", 200)]
    [InlineData("[fe80::1%1]", "fe80::1%1", 200)]
    [InlineData("web.example", "fe80::1%eth0", 200)]
    [InlineData("web.example", "fe80::1%25eth0, fe80::2%", 200)]
    [InlineData("web.example", "2001:db8::7%1", 403)] // the zone does not hide the address
    [InlineData("web.example", "2001:db8::7", 403)]
    public async Task Addresses_with_zones_are_read_like_others(string host, string forwarded, int status)
    {
        using var server = new ByteServer(AnswerAsync);
        using var gateway = new GuardedGateway("defaultConfig: {gatewayTopology: {numTrustedProxies: 1} }", """
            apiVersion: security.istio.io/v1
            kind: AuthorizationPolicy
            metadata: {name: no, namespace: shop}
            spec: {selector: {matchLabels: {app: edge} }, action: DENY, rules: [{from: [{source: {remoteIpBlocks: ['2001:db8::/32']}}]}]}
            """, server.Port, 1);
        var text = await RawAsync(gateway,
            $"GET / HTTP/1.1\r\nhost: {host}\r\n{(forwarded.Length > 0 ? $"x-forwarded-for: {forwarded}\r\n" : "")}connection: close\r\n\r\n");
        Assert.StartsWith($"HTTP/1.1 {status} ", text, StringComparison.Ordinal);
        Assert.Equal(status == 200 ? 1 : 0, server.Heard.Count);
    }

    /// <summary>A field that is given twice, or as a list, from the policy's YAML to the answer.</summary>
    [Theory]
    [InlineData("DENY", "values: [red]", "blue", 200)]
    [InlineData("DENY", "values: [red]", "red|blue", 403)]
    [InlineData("DENY", "values: [red]", "blue|red", 403)]
    [InlineData("DENY", "values: [red]", "blue, red", 403)]
    [InlineData("DENY", "values: ['red*']", "blue|red1", 403)]
    [InlineData("DENY", "notValues: [blue, 'green*']", "green1|red", 403)]
    [InlineData("DENY", "notValues: [blue, 'green*']", "green1|blue", 200)]
    [InlineData("DENY", "notValues: [blue, 'green*']", "", 403)]
    [InlineData("ALLOW", "values: [red]", "red", 200)]
    [InlineData("ALLOW", "values: [red]", "red|blue", 403)]
    [InlineData("ALLOW", "values: [red]", "red,blue", 403)]
    [InlineData("ALLOW", "notValues: [blue]", "red|blue", 403)]
    [InlineData("ALLOW", "notValues: [blue]", "red|green", 200)]
    // The authorizer is asked, sees every value, and denies.
    [InlineData("CUSTOM, provider: {name: outer}", "values: [red]", "blue", 200)]
    [InlineData("CUSTOM, provider: {name: outer}", "values: [red]", "red|blue", 403)]
    [InlineData("CUSTOM, provider: {name: outer}", "values: [red]", "blue|red", 403)]
    [InlineData("CUSTOM, provider: {name: outer}", "notValues: [blue, 'green*']", "green1|red", 403)]
    public async Task A_field_that_is_given_twice_passes_no_policy_that_one_value_would_not(string action, string condition, string values, int status)
    {
        using var server = new ByteServer(AnswerAsync);
        using var authorizer = new ByteServer(async proxy =>
        {
            while (await proxy.HearAsync("\r\n\r\n")) await proxy.SayAsync("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
        });
        using var gateway = new GuardedGateway(
            "extensionProviders: [{name: outer, envoyExtAuthzHttp: {service: authorizer.example, port: 8000, includeRequestHeadersInCheck: [x-tenant]}}]", $$"""
            apiVersion: security.istio.io/v1
            kind: AuthorizationPolicy
            metadata: {name: tenants, namespace: shop}
            spec: {selector: {matchLabels: {app: edge} }, action: {{action}}, rules: [{when: [{key: 'request.headers[x-tenant]', {{condition}} }]}]}
            """, server.Port, authorizer.Port);
        var lines = string.Concat(values.Split('|', StringSplitOptions.RemoveEmptyEntries).Select(value => $"x-tenant: {value}\r\n"));
        Assert.StartsWith($"HTTP/1.1 {status} ", await RawAsync(gateway, $"GET / HTTP/1.1\r\nhost: web.example\r\n{lines}connection: close\r\n\r\n"),
            StringComparison.Ordinal);
        var isAsked = action.StartsWith("CUSTOM", StringComparison.Ordinal) && status == 403;
        Assert.Equal(isAsked ? values.Split('|') : [], values.Split('|').Where(value =>
            string.Concat(authorizer.Heard).Contains(value, StringComparison.Ordinal) && value.Length > 0));
    }

    /// <summary>Claims nest as deep as the reader allows: a token beyond that is none, and the proxy goes on.</summary>
    [Theory]
    [InlineData(20, 200)]
    [InlineData(500, 401)]
    [InlineData(5000, 401)]
    public async Task Claims_that_nest_too_deeply_are_no_token(int depth, int status)
    {
        using var mint = new TokenMint();
        using var server = new ByteServer(AnswerAsync);
        using var gateway = new GuardedGateway("", $$"""
            apiVersion: security.istio.io/v1
            kind: RequestAuthentication
            metadata: {name: tokens, namespace: shop}
            spec: {selector: {matchLabels: {app: edge} }, jwtRules: [{issuer: bank, jwks: '{{mint.Keys}}'}]}
            """, server.Port, 1);
        foreach (var (open, close) in ((string, string)[])[("[", "]"), ("{\"a\":", "}")])
        {
            var nested = string.Concat(Enumerable.Repeat(open, depth)) + "1" + string.Concat(Enumerable.Repeat(close, depth));
            var token = mint.SignText($$"""{"iss": "bank", "sub": "ann", "deep": {{nested}} }""");
            Assert.Equal(status, (await gateway.CallAsync(header: $"authorization: Bearer {token}")).Status);
        }
        Assert.Equal(200, (await gateway.CallAsync(header: $"authorization: Bearer {mint.Sign(new() { ["iss"] = "bank", ["sub"] = "ann" })}")).Status);
    }

    private static async Task AnswerAsync(ByteServer.Conversation proxy)
    {
        while (await proxy.HearAsync("\r\n\r\n")) await proxy.SayAsync("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    }

    private static async Task<string> RawAsync(GuardedGateway gateway, string text)
    {
        using var client = new System.Net.Sockets.TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, gateway.Port, Stop);
        await using var stream = client.GetStream();
        await stream.WriteAsync(Encoding.Latin1.GetBytes(text), Stop);
        using var all = new MemoryStream();
        await stream.CopyToAsync(all, Stop);
        return Encoding.Latin1.GetString(all.ToArray());
    }
}

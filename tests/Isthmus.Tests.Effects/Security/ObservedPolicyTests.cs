using System.Net;
using System.Net.Sockets;
using Isthmus.Proxy.Admin;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Effects.Security;

/// <summary>AuthorizationPolicies that only observe: dry runs and audits.</summary>
public sealed class ObservedPolicyTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("DENY", "deny", "allowed", "denied")]
    [InlineData("ALLOW", "allow", "denied", "allowed")]
    public async Task A_dry_run_is_counted_and_logged_and_not_enforced(string action, string kind, string others, string matching)
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("origin"));
        using var gateway = Gateway("istio.io/dry-run: 'true'", $"action: {action}, rules: [{{to: [{{operation: {{paths: [/safe]}}}}]}}]", origin.Port,
            $"%REQ(:PATH)% %DYNAMIC_METADATA(envoy.filters.http.rbac:istio_dry_run_{kind}_shadow_engine_result)% "
                + $"%DYNAMIC_METADATA(envoy.filters.http.rbac:istio_dry_run_{kind}_shadow_effective_policy_id)%");
        Assert.Equal((200, "origin"), await gateway.CallAsync("/open"));
        await gateway.LoggedAsync($"/open {others} -\n");
        Assert.Equal((200, "origin"), await gateway.CallAsync("/safe"));
        await gateway.LoggedAsync($"/safe {matching} ns[shop]-policy[seen]-rule[0]\n");
        var counter = "http.outbound_0.0.0.0_8080.rbac";
        Assert.Equal((1, 1, 0),
            (gateway.Count($"{counter}.istio_dry_run_{kind}_shadow_allowed"), gateway.Count($"{counter}.istio_dry_run_{kind}_shadow_denied"),
                gateway.Count($"{counter}.allowed")));
        Assert.Contains($"{counter}.istio_dry_run_{kind}_shadow_denied: 1\n", StatsText.Plain(gateway.Plane, ""), StringComparison.Ordinal);
        Assert.Contains($$"""
            # TYPE envoy_http_outbound_0_0_0_0_8080_rbac counter
            envoy_http_outbound_0_0_0_0_8080_rbac{authz_dry_run_action="{{kind}}",authz_dry_run_result="allowed"} 1
            envoy_http_outbound_0_0_0_0_8080_rbac{authz_dry_run_action="{{kind}}",authz_dry_run_result="denied"} 1

            """.ReplaceLineEndings("\n"), ScrapedText.Of(gateway.Plane), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_dry_run_for_connections_is_counted()
    {
        using var origin = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        origin.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        origin.Listen();
        using var gateway = Gateway("istio.io/dry-run: 'true'", "action: DENY, rules: [{from: [{source: {ipBlocks: [127.0.0.1]}}]}]",
            ((IPEndPoint)origin.LocalEndPoint!).Port);
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(IPAddress.Loopback, gateway.TcpPort, Stop);
        using var served = await origin.AcceptAsync(Stop);
        Assert.Equal((0, 1), (gateway.Count("tcp.rbac.istio_dry_run_deny_shadow_allowed"), gateway.Count("tcp.rbac.istio_dry_run_deny_shadow_denied")));
    }

    [Fact]
    public async Task An_audit_marks_what_it_matches_and_allows_everything()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("origin"));
        using var gateway = Gateway("", "action: AUDIT, rules: [{to: [{operation: {paths: [/safe]}}]}]", origin.Port,
            "%REQ(:PATH)% %DYNAMIC_METADATA(envoy.common:access_log_hint)%");
        Assert.Equal((200, "origin"), await gateway.CallAsync("/open"));
        Assert.Equal((200, "origin"), await gateway.CallAsync("/safe"));
        await gateway.LoggedAsync("/open false\n");
        await gateway.LoggedAsync("/safe true\n");
        Assert.Equal((2, 0), (gateway.Count("http.outbound_0.0.0.0_8080.rbac.allowed"), gateway.Count("http.outbound_0.0.0.0_8080.rbac.denied")));
    }

    [Fact]
    public async Task Enforced_policies_are_counted()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("origin"));
        using var gateway = Gateway("", "action: DENY, rules: [{to: [{operation: {paths: [/safe]}}]}]", origin.Port);
        Assert.Equal(200, (await gateway.CallAsync("/open")).Status);
        Assert.Equal(403, (await gateway.CallAsync("/safe")).Status);
        Assert.Equal((1, 1), (gateway.Count("http.outbound_0.0.0.0_8080.rbac.allowed"), gateway.Count("http.outbound_0.0.0.0_8080.rbac.denied")));
    }

    private static GuardedGateway Gateway(string annotation, string spec, int origin, string log = "") => new("", $$"""
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: seen, namespace: shop, annotations: { {{annotation}} } }
        spec: {selector: {matchLabels: {app: edge} }, {{spec}} }
        """, origin, 1, log);
}

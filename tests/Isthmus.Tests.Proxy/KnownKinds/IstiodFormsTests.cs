using System.Net;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Proxy.KnownKinds;

/// <summary>Settings in the form in which a control plane of Istio 1.31 writes them, where ours writes another one: the proxy does what they say.</summary>
public sealed class IstiodFormsTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>Its retries name the hosts and priorities that were tried, and how often another host is looked for.</summary>
    [Fact]
    public async Task Retries_leave_hosts_and_priorities_that_were_tried()
    {
        await using var bad = await OriginServer.StartAsync(HttpProtocols.Http1, context =>
        {
            context.Response.StatusCode = 503;
            return Task.CompletedTask;
        });
        await using var good = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("good"));
        using var proxy = new LoopbackProxy([$$$"""
            {"name": "app", "type": "STATIC", "connect_timeout": "10s", "load_assignment": {"cluster_name": "app", "endpoints": [
              {"priority": 0, "lb_endpoints": [{{{Endpoint(bad.Port)}}}]}, {"priority": 1, "lb_endpoints": [{{{Endpoint(good.Port)}}}]}]} }
            """], """
            "route": {"cluster": "app", "timeout": "0s", "max_grpc_timeout": "0s", "retry_policy": {
              "retry_on": "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes", "num_retries": 3, "retriable_status_codes": [503], "host_selection_retry_max_attempts": "5",
              "retry_host_predicate": [{"name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {"@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"} }],
              "retry_priority": {"name": "envoy.retry_priorities.previous_priorities",
                "typed_config": {"@type": "type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig", "update_frequency": 1} } } }
            """);
        using var client = new HttpClient();
        for (var i = 0; i < 3; i++) Assert.Equal("good", await client.GetStringAsync($"http://127.0.0.1:{proxy.Port}/", Stop));
    }

    /// <summary>Since Istio 1.30, localities of names have priorities, too.</summary>
    [Fact]
    public async Task Names_of_a_lower_priority_take_over_when_those_before_fail()
    {
        var failing = false;
        await using var first = await OriginServer.StartAsync(HttpProtocols.Http1, context =>
        {
            context.Response.StatusCode = failing ? 503 : 200;
            return context.Response.WriteAsync("first");
        });
        await using var second = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("second"));
        using var proxy = new LoopbackProxy([$$$"""
            {"name": "app", "type": "STRICT_DNS", "dns_lookup_family": "V4_ONLY", "connect_timeout": "10s", "outlier_detection": {
              "consecutive_5xx": 1, "enforcing_consecutive_5xx": 100, "base_ejection_time": "3600s", "max_ejection_percent": 100},
             "load_assignment": {"cluster_name": "app", "endpoints": [
              {"priority": 0, "lb_endpoints": [{{{Named(first.Port)}}}]}, {"priority": 1, "lb_endpoints": [{{{Named(second.Port)}}}]}]} }
            """], """ "route": {"cluster": "app", "timeout": "0s"} """);
        using var client = new HttpClient();
        await Eventually.TrueAsync(async () =>
        {
            try
            {
                return await client.GetStringAsync($"http://127.0.0.1:{proxy.Port}/", Stop) == "first";
            }
            catch (HttpRequestException)
            {
                return false; // It does not listen before the names have addresses.
            }
        });
        for (var i = 0; i < 5; i++) Assert.Equal("first", await client.GetStringAsync($"http://127.0.0.1:{proxy.Port}/", Stop));
        failing = true;
        using (var last = await client.GetAsync($"http://127.0.0.1:{proxy.Port}/", Stop)) Assert.Equal(503, (int)last.StatusCode);
        for (var i = 0; i < 5; i++) Assert.Equal("second", await client.GetStringAsync($"http://127.0.0.1:{proxy.Port}/", Stop));
    }

    private static string Named(int port) => Endpoint(port).Replace("127.0.0.1", "localhost", StringComparison.Ordinal);

    /// <summary>Its policies nest lists of rules and principals; a list of one is a list, too.</summary>
    [Theory]
    [InlineData("DENY", "10.0.0.0", "/closed", 200)]
    [InlineData("DENY", "127.0.0.0", "/closed", 403)]
    [InlineData("DENY", "127.0.0.0", "/open", 200)]
    [InlineData("ALLOW", "127.0.0.0", "/closed", 200)]
    [InlineData("ALLOW", "127.0.0.0", "/open", 403)]
    [InlineData("ALLOW", "10.0.0.0", "/closed", 403)]
    public async Task Nested_rules_decide_by_the_address_of_the_connection(string action, string range, string path, int status)
    {
        using var proxy = new LoopbackProxy([], """ "direct_response": {"status": 200} """, filters: Policy("rules", action, range));
        Assert.Equal(status, await StatusAsync(proxy, path));
    }

    [Fact]
    public async Task Shadow_rules_deny_nothing_and_are_counted()
    {
        using var proxy = new LoopbackProxy([], """ "direct_response": {"status": 200} """, filters: Policy("shadow_rules", "DENY", "127.0.0.0"));
        Assert.Equal(200, await StatusAsync(proxy, "/closed"));
        Assert.Contains(proxy.Plane.Report.Access.All,
            item => item.Key.EndsWith("istio_dry_run_allow_shadow_denied", StringComparison.Ordinal) && item.Value == 1);
    }

    private static string Policy(string rules, string action, string range) => $$$"""
        {"name": "envoy.filters.http.rbac", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
          "{{{rules}}}": {"action": "{{{action}}}", "policies": {"ns[shop]-policy[p]-rule[0]": {
            "permissions": [{"and_rules": {"rules": [{"or_rules": {"rules": [{"url_path": {"path": {"exact": "/closed"} } }] } }] } }],
            "principals": [{"and_ids": {"ids": [{"or_ids": {"ids": [{"direct_remote_ip": {"address_prefix": "{{{range}}}", "prefix_len": 8} }] } }] } }] } } },
          "shadow_rules_stat_prefix": "istio_dry_run_allow_"} },
        """;

    private static string Endpoint(int port) => $$$"""{"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": {{{port}}} } } } }""";

    private static async Task<int> StatusAsync(LoopbackProxy proxy, string path)
    {
        using var client = new HttpClient();
        using var response = await client.GetAsync($"http://127.0.0.1:{proxy.Port}{path}", Stop);
        return (int)response.StatusCode;
    }
}

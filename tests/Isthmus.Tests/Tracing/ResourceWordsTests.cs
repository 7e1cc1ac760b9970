using System.Text.Json.Nodes;
using Isthmus.Explain.WhatIf;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>How <c>isthmus diff</c> tells what would change.</summary>
public sealed class ResourceWordsTests
{
    [Theory]
    [InlineData("v2", "all to v2", "connections to web.shop:80 v2 become possible")]
    [InlineData("~", "all to web.shop", "connections to web.shop:80 become possible")]
    public void A_subset_is_named_and_all_endpoints_of_a_headless_host_are_none(string subset, string route, string cluster)
    {
        const string Host = "web.shop.svc.cluster.local";
        var (before, after) = (Routes($"{Host}:80", $"outbound|80||other.{Host}"), Routes($"{Host}:80", $"outbound|80|{subset}|{Host}"));
        var changes = ResourceWords.Of([new("route", "80", before, after), new("cluster", $"outbound|80|{subset}|{Host}", null, [])]);
        Assert.Equal([$"calls to web.shop:80: {route} instead of all to other.web.shop:80", cluster], changes.Select(change => change.Text));
    }

    [Fact]
    public void What_two_tables_say_is_said_once()
    {
        const string Host = "web.shop.svc.cluster.local:80";
        var (before, after) = (Routes(Host, "outbound|80||web.shop.svc.cluster.local"), Routes(Host, "outbound|80||other.shop.svc.cluster.local"));
        var group = new DiffGroup([], ResourceWords.Of([new("route", "80", before, after), new("route", Host, before, after)]), 0);
        Assert.Equal(2, group.Changes.Count);
        Assert.Equal("~ calls to web.shop:80: all to other.shop:80 instead of all to web.shop", Assert.Single(group.Lines));
    }

    [Fact]
    public void Endpoints_come_to_be_called_through_tunnels()
    {
        static JsonObject Endpoints(string address) => (JsonObject)JsonNode.Parse(
            $$$"""{"endpoints": [{"lb_endpoints": [{"endpoint": {"address": {{{address}}}}}]}]}""")!;
        var (before, after) = (Endpoints("""{"socket_address": {"address": "10.0.0.1", "port_value": 80}}"""),
            Endpoints("""{"envoy_internal_address": {"server_listener_name": "connect_originate", "endpoint_id": "10.0.0.1:80"}}"""));
        var changes = ResourceWords.Of([new("endpoints", "outbound|80||web.shop.svc.cluster.local", before, after)]);
        Assert.Equal(["endpoints of web.shop:80: 10.0.0.1:80 by HBONE", "endpoints of web.shop:80: 10.0.0.1:80"], changes.Select(change => change.Text));
    }

    private static JsonObject Routes(string host, string cluster) => (JsonObject)JsonNode.Parse(
        $$$"""{"virtual_hosts": [{"name": "{{{host}}}", "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "{{{cluster}}}"}}]}]}""")!;
}

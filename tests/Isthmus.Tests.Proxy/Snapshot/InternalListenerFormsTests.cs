using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Proxy.Admin;
using Isthmus.Proxy.Dumps;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Snapshot;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Endpoints;
using Isthmus.Wire.Envoy.Listeners;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Proxy.Snapshot;

/// <summary>The resources of internal listeners, of the clusters in front of them, and of those behind: what is taken, what is refused, and how dumps
/// show them.</summary>
public sealed class InternalListenerFormsTests
{
    private const string Inside = """{"envoy_internal_address": {"server_listener_name": "inner", "endpoint_id": "10.0.0.1:80"} }""";

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"endpoint_id": "10.0.0.1:80"}""")]
    public void An_internal_address_without_the_name_of_a_listener_is_refused(string address) =>
        Assert.Equal("an address that is neither a TCP socket, nor a pipe, nor the name of an internal listener",
            Assert.Throws<ResourceException>(() => Endpoint($$"""{"envoy_internal_address": {{address}} }""")).Message);

    [Fact]
    public void Where_an_endpoint_leads_is_in_its_metadata()
    {
        var target = Endpoint(Inside, """{"local": "10.0.0.1:80", "remote": "[2001:db8::1]:4711", "waypoint": "[::ffff:10.0.0.2]:15008", "other": "x"}""").Target!;
        Assert.Equal(("10.0.0.1:80", "[2001:db8::1]:4711", "10.0.0.2:15008"), ($"{target.Local}", $"{target.Remote}", $"{target.Waypoint}"));
        Assert.Equal(new(null, null, null), Endpoint(Inside, "{}").Target);
        Assert.Null(Endpoint(Inside).Target);
    }

    [Theory]
    [InlineData("local", "\"10.0.0.1\"", "'10.0.0.1'")]
    [InlineData("local", "\"8080\"", "'8080'")]
    [InlineData("remote", "\"shop:80\"", "'shop:80'")]
    [InlineData("remote", "\"10.0.0.1:0\"", "'10.0.0.1:0'")]
    [InlineData("waypoint", "\"\"", "''")]
    [InlineData("waypoint", "\"10.1:80\"", "'10.1:80'")]
    [InlineData("local", "80", "80")]
    public void What_is_no_address_there_is_refused_by_its_field_and_value(string field, string value, string shown) =>
        Assert.Equal($"metadata envoy.filters.listener.original_dst: {field} {shown} is not IP:PORT",
            Assert.Throws<ResourceException>(() => Endpoint(Inside, $$"""{"{{field}}": {{value}} }""")).Message);

    [Fact]
    public void What_goes_along_is_the_endpoints_metadata_and_nothing_else()
    {
        Assert.False(Upstream("").Steps.Internal!.PassesTarget);
        var passing = Upstream("""{"kind": {"host": {} }, "name": "envoy.filters.listener.original_dst"}""");
        Assert.True(passing.Steps.Internal!.PassesTarget && passing.PassesCallers);
        Assert.Empty(passing.Notes);
        var more = Upstream("""{"kind": {"host": {} }, "name": "istio"}, {"kind": {"cluster": {} }, "name": "envoy.filters.listener.original_dst"}""");
        Assert.False(more.Steps.Internal!.PassesTarget);
        Assert.Equal(((string[])["istio", "envoy.filters.listener.original_dst"]).Select(name => $"internal_upstream: metadata '{name}' is not passed on"),
            more.Notes);
    }

    [Theory]
    [InlineData("""{"kind": {"request": {} }, "name": "a"}""", "a")]
    [InlineData("""{"kind": {"route": {} }, "name": "a"}""", "a")]
    [InlineData("""{"name": "a"}""", "a")]
    [InlineData("""{"kind": {"host": {} } }""", "")]
    public void Metadata_of_another_kind_is_refused(string source, string name) =>
        Assert.Equal($"internal_upstream: passthrough_metadata '{name}' needs a name and the kind host or cluster",
            Assert.Throws<ResourceException>(() => Upstream(source)).Message);

    [Fact]
    public void Original_destinations_may_have_another_port_or_be_a_waypoint()
    {
        var cluster = OriginalDst("""
            "upstream_port_override": 15008, "metadata_key": {"key": "envoy.filters.listener.original_dst", "path": [{"key": "waypoint"}]}
            """);
        Assert.Equal((15008, true), (cluster.PortOverride, cluster.AsksWaypoints));
        Assert.Equal((0, false), (OriginalDst("").PortOverride, OriginalDst("").AsksWaypoints));
    }

    [Theory]
    [InlineData("\"use_http_header\": true", "original_dst_lb_config.use_http_header is not supported: requests must not choose addresses")]
    [InlineData("\"http_header_name\": \"x-to\"", "original_dst_lb_config.use_http_header is not supported: requests must not choose addresses")]
    [InlineData("""  "metadata_key": {"key": "envoy.lb", "path": [{"key": "waypoint"}] } """,
        "original_dst_lb_config.metadata_key 'envoy.lb' is not supported: only waypoint of envoy.filters.listener.original_dst is")]
    [InlineData("""  "metadata_key": {"key": "envoy.filters.listener.original_dst", "path": [{"key": "local"}] } """,
        "original_dst_lb_config.metadata_key 'envoy.filters.listener.original_dst' is not supported: only waypoint of envoy.filters.listener.original_dst is")]
    [InlineData("\"upstream_port_override\": 0", "original_dst_lb_config.upstream_port_override 0 is not a port")]
    [InlineData("\"upstream_port_override\": 65536", "original_dst_lb_config.upstream_port_override 65536 is not a port")]
    public void Original_destinations_by_other_means_are_refused(string config, string message) =>
        Assert.Equal(message, Assert.Throws<ResourceException>(() => OriginalDst(config)).Message);

    [Fact]
    public void Only_a_cluster_of_original_destinations_says_how_to_find_them() =>
        Assert.Equal("original_dst_lb_config: the cluster's type is not ORIGINAL_DST", Assert.Throws<ResourceException>(() => ClusterDecoder.Decode(
            WireTypes.Strict.Parse<Cluster>("""{"name": "c", "type": "STATIC", "original_dst_lb_config": {"upstream_port_override": 80} }"""))).Message);

    [Theory]
    [InlineData(""" "internal_listener": {}, "address": {"socket_address": {"address": "127.0.0.1", "port_value": 80} } """, "address: an internal listener has none")]
    [InlineData(""" "internal_listener": {}, "filter_chain_matcher": {} """, "filter_chain_matcher is not supported: ")]
    [InlineData(""" "address": {"socket_address": {"address": "127.0.0.1", "port_value": 80} }, "filter_chain_matcher": {} """, "filter_chain_matcher is not supported: ")]
    [InlineData($$""" "address": {{Inside}} """, "address: only TCP sockets are supported")]
    public void A_listener_of_two_minds_is_refused(string fields, string message) =>
        Assert.StartsWith(message, Assert.Throws<ResourceException>(() => ListenerDecoder.Decode(
            WireTypes.Strict.Parse<Listener>($$"""{"name": "inner", {{fields}} }"""))).Message, StringComparison.Ordinal);

    [Fact]
    public async Task Dumps_and_statistics_show_each_internal_listener_and_the_hosts_behind_it()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, OriginServer.EchoAsync);
        using var proxy = new LoopbackProxy(
            [Behind("to-one", "one"), Behind("to-two", "two"), LoopbackProxy.Cluster("up")], """ "route": {"cluster_header": "to"} """);
        proxy.Endpoints("up", origin.Port);
        proxy.Listeners(Relay("one"), Relay("two"));
        foreach (var (to, times) in ((string, int)[])[("to-one", 2), ("to-two", 1)])
            for (var i = 0; i < times; i++)
                Assert.StartsWith("HTTP/1.1 200 ",
                    await proxy.RawAsync($"GET /echo HTTP/1.1\r\nHost: a\r\nto: {to}\r\nConnection: close\r\n\r\n"), StringComparison.Ordinal);

        Assert.Contains("one::envoy://one/\ntwo::envoy://two/\n", ListenerDumps.Text(proxy.Plane), StringComparison.Ordinal);
        var listeners = JsonNode.Parse(ListenerDumps.Json(proxy.Plane))!["listener_statuses"]!.AsArray();
        Assert.Equal("""{"server_listener_name":"one","endpoint_id":""}""",
            listeners.Single(one => (string?)one!["name"] == "one")!["local_address"]!["envoy_internal_address"]!.ToJsonString());
        var clusters = JsonNode.Parse(ClusterDumps.Json(proxy.Plane))!["cluster_statuses"]!.AsArray();
        Assert.Equal("""{"server_listener_name":"two","endpoint_id":"id"}""",
            clusters.Single(one => (string?)one!["name"] == "to-two")!["host_statuses"]![0]!["address"]!["envoy_internal_address"]!.ToJsonString());
        Assert.Contains("to-one::envoy://one/id::cx_total::1\n", ClusterDumps.Text(proxy.Plane), StringComparison.Ordinal);

        // Connections are kept, so one of each serves all requests.
        var plain = StatsText.Plain(proxy.Plane, "");
        Assert.Contains("listener.envoy_//one/.downstream_cx_total: 1\n", plain, StringComparison.Ordinal);
        Assert.Contains("listener.envoy_//two/.downstream_cx_total: 1\n", plain, StringComparison.Ordinal);
        var scraped = string.Concat(StatsText.Prometheus(proxy.Plane).SelectMany(lines => lines));
        foreach (var name in (string[])["one", "two"])
            Assert.Contains($$"""envoy_listener_downstream_cx_total{listener_address="envoy_//{{name}}/"} 1""", scraped, StringComparison.Ordinal);
    }

    private static Isthmus.Proxy.Clusters.Endpoint Endpoint(string address, string? target = null)
    {
        var metadata = target is null ? "" : $$""", "metadata": {"filter_metadata": {"envoy.filters.listener.original_dst": {{target}} } }""";
        return EndpointDecoder.Decode(WireTypes.Strict.Parse<ClusterLoadAssignment>(
            $$"""{"cluster_name": "c", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {{address}} } {{metadata}} }] }] }"""))
            .Localities.Single().Endpoints.Single();
    }

    private static Isthmus.Proxy.Clusters.ClusterSnapshot Upstream(string sources) => ClusterDecoder.Decode(WireTypes.Strict.Parse<Cluster>($$"""
        {"name": "c", "type": "STATIC", "transport_socket": {"name": "internal_upstream", "typed_config": {
          "@type": "type.googleapis.com/envoy.extensions.transport_sockets.internal_upstream.v3.InternalUpstreamTransport",
          "passthrough_metadata": [{{sources}}], "transport_socket": {"name": "envoy.transport_sockets.raw_buffer",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"} } } } }
        """));

    private static Isthmus.Proxy.Clusters.ClusterSnapshot OriginalDst(string config) => ClusterDecoder.Decode(WireTypes.Strict.Parse<Cluster>(
        $$"""{"name": "c", "type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED", "original_dst_lb_config": { {{config}} } }"""));

    private static string Behind(string name, string listener) => $$"""
        {"name": "{{name}}", "type": "STATIC", "connect_timeout": "5s", "load_assignment": {"cluster_name": "{{name}}", "endpoints": [{"lb_endpoints": [
          {"endpoint": {"address": {"envoy_internal_address": {"server_listener_name": "{{listener}}", "endpoint_id": "id"} } } }] }] } }
        """;

    private static string Relay(string name) => $$"""
        {"name": "{{name}}", "internal_listener": {}, "filter_chains": [{"filters": [{"name": "t", "typed_config": {
          "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "{{name}}", "cluster": "up"} }] }] }
        """;
}

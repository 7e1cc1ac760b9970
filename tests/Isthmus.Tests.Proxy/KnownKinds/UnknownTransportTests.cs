using System.Net;
using System.Net.Sockets;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Snapshot;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Endpoints;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.Rbac;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Proxy.KnownKinds;

/// <summary>What control planes of Istio 1.31 send that this proxy does not do, or does otherwise: only what needs it is closed.</summary>
public sealed class UnknownTransportTests
{
    private const string Tunnel = """
        , "transport_socket_matches": [
          {"name": "hbone", "match": {"tunnel": "http"}, "transport_socket": {"name": "envoy.transport_sockets.internal_upstream",
            "typed_config": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": "unknown"} } },
          {"name": "plain", "match": {}, "transport_socket": {"name": "envoy.transport_sockets.raw_buffer",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"} } }]
        """;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_unknown_transport_closes_the_endpoints_that_need_it_and_no_others()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, OriginServer.EchoAsync);
        using var proxy = new LoopbackProxy(
            [Static("near", origin.Port, "{}"), Static("far", origin.Port, """{"tunnel": "http"}""")],
            """ "route": {"cluster_header": "to"} """);
        using var client = new HttpClient();
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.ServiceUnavailable), (await CallAsync("near"), await CallAsync("far")));
        var far = proxy.Plane.State.Current.Clusters["far"].Config;
        Assert.Equal(["endpoints that match 'hbone' are not reachable: transport socket 'envoy.transport_sockets.internal_upstream' is not supported"],
            far.Notes);

        async Task<HttpStatusCode> CallAsync(string cluster)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"http://127.0.0.1:{proxy.Port}/echo");
            request.Headers.Add("to", cluster);
            using var response = await client.SendAsync(request, Stop);
            return response.StatusCode;
        }
    }

    private static string Static(string name, int port, string labels) => $$$"""
        {"name": "{{{name}}}", "type": "STATIC", "connect_timeout": "30s", "load_assignment": {"cluster_name": "{{{name}}}", "endpoints": [{"lb_endpoints": [{
          "endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": {{{port}}} } } },
          "metadata": {"filter_metadata": {"envoy.transport_socket_match": {{{labels}}} } } }] }] }
        {{{Tunnel}}} }
        """;

    [Fact]
    public void The_transport_of_a_whole_cluster_must_be_known() => Assert.Contains("internal_upstream", Assert.Throws<ResourceException>(() =>
        ClusterDecoder.Decode(WireTypes.Strict.Parse<Isthmus.Wire.Envoy.Clusters.Cluster>("""
            {"name": "c", "type": "STATIC", "transport_socket": {"name": "internal_upstream",
              "typed_config": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": "unknown"} } }
            """))).Message, StringComparison.Ordinal);

    [Fact]
    public void Endpoints_behind_internal_listeners_are_hosts_by_the_name_of_the_listener()
    {
        var assignment = EndpointDecoder.Decode(WireTypes.Strict.Parse<ClusterLoadAssignment>("""
            {"cluster_name": "c", "endpoints": [{"lb_endpoints": [
              {"endpoint": {"address": {"envoy_internal_address": {"server_listener_name": "connect_originate", "endpoint_id": "10.0.0.1:8080"} } } },
              {"endpoint": {"address": {"socket_address": {"address": "10.0.0.2", "port_value": 8080} } } }] }] }
            """));
        Assert.Equal(["envoy://connect_originate/10.0.0.1:8080", "10.0.0.2:8080"], assignment.Localities.Single().Endpoints.Select(one => one.AddressText));
    }

    [Fact]
    public void An_internal_listener_is_taken_and_opens_no_port()
    {
        var listener = ListenerDecoder.Decode(WireTypes.Strict.Parse<Listener>("""
            {"name": "connect_originate", "internal_listener": {}, "filter_chains": [{"filters": [{"name": "tcp", "typed_config": {
              "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "x", "cluster": "c", "tunneling_config": {"hostname": "h:80"} } }] }] }
            """));
        Assert.False(listener.BindToPort);
        Assert.Equal("envoy://connect_originate/", listener.Place.ToString());
        Assert.Empty(listener.Notes);
    }

    [Theory]
    [InlineData("/a/*/b", "/a/x/b?q=/a/b", true)]
    [InlineData("/a/*/b", "/a/x/y/b", false)]
    [InlineData("/a/*/b", "/a//b", false)]
    [InlineData("/a/*/b", "/a/x/b/", false)]
    [InlineData("/a/**", "/a/x/y", true)]
    [InlineData("/a/**", "/a/", true)]
    [InlineData("/a/**", "/ab", false)]
    [InlineData("/a.b/*", "/axb/c", false)]
    [InlineData("/{id}/*.txt", "/7/x.txt", true)]
    [InlineData("/{id}/*.txt", "/7/8/x.txt", false)]
    [InlineData("/{rest=v/**}", "/v/1/2", true)]
    [InlineData("/{rest=v/**}", "/w/1", false)]
    public void A_policy_matches_paths_by_templates(string template, string target, bool matches)
    {
        foreach (var action in (RBAC.Types.Action[])[RBAC.Types.Action.Allow, RBAC.Types.Action.Deny])
        {
            var request = new RequestHead { Method = "GET", Authority = "a" };
            request.SetTarget(System.Text.Encoding.ASCII.GetBytes(target));
            var verdict = Policy(action, template)
                .Decide(new(request, "http", null, new(IPAddress.Loopback, 1), IPAddress.Loopback, new(IPAddress.Loopback, 8080), ""));
            Assert.Equal(matches == (action == RBAC.Types.Action.Allow), verdict.IsAllowed);
        }
    }

    [Theory]
    [InlineData("a/*")]
    [InlineData("/**/*")]
    [InlineData("/{a=**}/{b}")]
    [InlineData("/{a={b}}")]
    [InlineData("/{a")]
    [InlineData("/a}")]
    public void A_policy_with_what_is_no_template_is_refused(string template) =>
        Assert.StartsWith($"path template '{template}'", Assert.Throws<ResourceException>(() => Policy(RBAC.Types.Action.Allow, template)).Message,
            StringComparison.Ordinal);

    private static RbacPolicy Policy(RBAC.Types.Action action, string template) => RbacPolicy.From(WireTypes.Strict.Parse<RBAC>($$$"""
        {"action": "{{{(action == RBAC.Types.Action.Allow ? "ALLOW" : "DENY")}}}",
          "policies": {"p": {"principals": [{"any": true}], "permissions": [{"uri_template": {"name": "uri-template",
          "typed_config": {"@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
            "path_template": "{{{template}}}"} } }] } } }
        """))!;
}

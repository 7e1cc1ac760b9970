using System.Net;
using System.Text.Json.Nodes;
using Google.Protobuf.WellKnownTypes;
using Isthmus.ControlPlane.Push;
using Isthmus.Graph.Settings;
using Isthmus.Injection;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Proxy.Filters;
using Isthmus.Proxy.Http;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Traffic;
using Isthmus.Proxy.Transports;
using Isthmus.Rigs.Mesh;
using Isthmus.Rigs.Proxy;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.HttpFilters;
using Isthmus.Wire.Envoy.NetworkFilters;
using Isthmus.Wire.Envoy.Udpa;
using Xunit;
using ProxyIdentity = Isthmus.Mesh.Model.ProxyIdentity;

namespace Isthmus.Tests.Effects.Traffic;

/// <summary><c>proxyHeaders</c>: what MeshConfig and Pods say, as proxies get it.</summary>
public sealed class ProxyHeadersTests
{
    private const string Own = "Hash=cafe;Subject=\"CN=c\";URI=spiffe://a/ns/b/sa/c;DNS=c.example";

    private const string Off =
        "{requestId: {disabled: true}, server: {disabled: true}, attemptCount: {disabled: true}, envoyDebugHeaders: {disabled: true}, metadataExchangeHeaders: "
            + "{mode: IN_MESH}}";

    [Theory]
    [InlineData("", "theirs," + Own)]
    [InlineData("forwardedClientCert: UNDEFINED", "theirs," + Own)]
    [InlineData("forwardedClientCert: SANITIZE", null)]
    [InlineData("forwardedClientCert: FORWARD_ONLY", "theirs")]
    [InlineData("forwardedClientCert: APPEND_FORWARD", "theirs," + Own)]
    [InlineData("forwardedClientCert: SANITIZE_SET", Own)]
    [InlineData("forwardedClientCert: ALWAYS_FORWARD_ONLY", "theirs")]
    [InlineData("setCurrentClientCertDetails: {subject: false, dns: false}", "theirs,Hash=cafe;URI=spiffe://a/ns/b/sa/c")]
    [InlineData("setCurrentClientCertDetails: {cert: true, uri: false}", "theirs,Hash=cafe;Cert=\"PEM%0A\";Subject=\"CN=c\";DNS=c.example")]
    [InlineData("forwardedClientCert: SANITIZE_SET, setCurrentClientCertDetails: {subject: false, dns: false, uri: false}", "Hash=cafe")]
    public void Sidecars_say_of_callers_what_is_chosen(string headers, string? forwarded)
    {
        var request = new RequestHead();
        HeadParser.ParseRequest("GET / HTTP/1.1\r\nhost: x\r\nx-forwarded-client-cert: theirs\r\n\r\n"u8.ToArray(), request, HttpLimits.Default);
        var connection = new Downstream(
            null!, new("in", new(IPAddress.Loopback, 80), false, false, false, Direction.Inbound, null, null, default, true, null!, default, default, null!),
            new(IPAddress.Loopback, 80), new(IPAddress.Loopback, 1234))
        {
            Transport = new MemoryTransport([], () => 1) { Client = new TlsPeer(["spiffe://a/ns/b/sa/c"], ["c.example"], "CN=c", "cafe", "", "", "PEM") },
        };
        var inbound = HttpDecoder.Decode(Inbound(Mesh($"{{{headers}}}").Orders), []);
        RequestPreparation.Apply(request, connection, inbound, new NoSecrets(), new Random(1));
        Assert.Equal(forwarded, request.Headers.GetJoined("x-forwarded-client-cert"u8));
    }

    [Fact]
    public void Without_settings_proxies_get_what_they_always_did()
    {
        var (client, orders, gateway) = Mesh("{}");
        Assert.Equal(["", "istio-envoy", "istio-envoy"], Managers(client, orders, gateway).Select(manager => manager.ServerName));
        Assert.All(Managers(client, orders, gateway), manager =>
        {
            Assert.Equal((HttpConnectionManager.Types.ServerHeaderTransformation.Overwrite, null),
                (manager.ServerHeaderTransformation, manager.GenerateRequestId));
            Assert.False(manager.HttpFilters[^1].TypedConfig.Unpack<Router>().SuppressEnvoyHeaders);
            Assert.True(Exchange(manager).TypedConfig.Is(Isthmus.Wire.Envoy.HttpFilters.Wasm.Descriptor));
        });
        Assert.All(Hosts(client, gateway), host => Assert.True(host.IncludeRequestAttemptCount, host.Name));
        Assert.False(IsExternal(client, "outbound|80||away.example"));
    }

    [Fact]
    public void What_is_off_is_off_in_each_direction()
    {
        var (client, orders, gateway) = Mesh(Off);
        Assert.All(Managers(client, orders, gateway), manager =>
        {
            Assert.Equal(("", HttpConnectionManager.Types.ServerHeaderTransformation.PassThrough, false),
                (manager.ServerName, manager.ServerHeaderTransformation, manager.GenerateRequestId));
            Assert.True(manager.HttpFilters[^1].TypedConfig.Unpack<Router>().SuppressEnvoyHeaders);
        });
        Assert.All(Hosts(client, gateway), host => Assert.False(host.IncludeRequestAttemptCount, host.Name));
        // As in Istio, sidecars keep what they say of their workload to the mesh, and only they.
        Assert.Equal("type.googleapis.com/io.istio.http.peer_metadata.Config", Exchange(Outbound(client)).TypedConfig.Unpack<TypedStruct>().TypeUrl);
        Assert.All((HttpConnectionManager[])[Inbound(orders), AtGateway(gateway)],
            manager => Assert.True(Exchange(manager).TypedConfig.Is(Isthmus.Wire.Envoy.HttpFilters.Wasm.Descriptor)));
        Assert.True(IsExternal(client, "outbound|80||away.example"));
        Assert.False(IsExternal(client, "outbound|80||near.example"));
        var decoded = HttpDecoder.Decode(Outbound(client), []);
        Assert.Equal((true, true, false), (decoded.ExchangesMetadata, decoded.Filters.Find<PeerFilter>()!.TellsMeshOnly, decoded.AddsEnvoyFields));
    }

    [Fact]
    public void A_name_of_the_server_is_that_of_each_direction()
    {
        var (client, orders, gateway) = Mesh("{server: {value: shop}}");
        Assert.All(Managers(client, orders, gateway),
            manager => Assert.Equal(("shop", HttpConnectionManager.Types.ServerHeaderTransformation.Overwrite),
                (manager.ServerName, manager.ServerHeaderTransformation)));
    }

    [Fact]
    public void What_a_proxy_reports_itself_replaces_what_the_mesh_says()
    {
        var node = new Struct();
        node.Fields["CLUSTER_ID"] = Value.ForString("c1");
        node.Fields["PROXY_CONFIG"] = Value.ForStruct(
            Struct.Parser.ParseJson(
                """{"proxyHeaders": {"server": {"value": "own"}, "attemptCount": {"disabled": true}, "setCurrentClientCertDetails": {"subject": false}}}"""));
        var identity = ProxyIdentity.TryRead("sidecar~10.244.0.7~client.shop~shop.svc.cluster.local", node, Locality.Unknown, out _)!;
        Assert.Equal(ProxyHeaders.Default with { Server = "own", HasAttemptCount = false, ClientCertParts = new(false, false, true, true) }, identity.Headers);
        var rig = Rig("{server: {disabled: true}}");
        var (own, other) = (rig.Connect(identity), rig.Sidecar("c1", "other", "10.244.0.8"));
        rig.Push();
        Assert.Equal(("own", ""), (Outbound(own).ServerName, Outbound(other).ServerName));
        Assert.All(MeshRig.Route(own, "80")!.VirtualHosts, host => Assert.False(host.IncludeRequestAttemptCount));
        Assert.All(MeshRig.Route(other, "80")!.VirtualHosts, host => Assert.True(host.IncludeRequestAttemptCount));
        node.Fields.Remove("PROXY_CONFIG");
        Assert.Null(ProxyIdentity.TryRead("sidecar~10.244.0.7~client.shop~shop.svc.cluster.local", node, Locality.Unknown, out _)!.Headers);
    }

    /// <summary>As in Istio: a Pod sets a part, and has the rest from the mesh.</summary>
    [Fact]
    public void A_Pod_sets_a_part_by_its_annotation()
    {
        var values = InjectorValues.Empty.WithMesh(YamlText.Parse("defaultConfig: {proxyHeaders: {server: {disabled: true}, requestId: {disabled: true}}}",
            "mesh")!.AsObject());
        var pod = YamlText.Parse("""
            apiVersion: v1
            kind: Pod
            metadata: {name: web, annotations: {proxy.istio.io/config: 'proxyHeaders: {server: {value: own}}'}}
            spec: {containers: [{name: web, image: web}]}
            """, "pod")!.AsObject();
        var injected = PodInjector.Inject(pod, "shop", values, InjectionPath.Parse("/inject"), new NativeSidecars(NativeSidecarMode.Disabled, default))!;
        var variable = injected["spec"]!["containers"]!.AsArray().SelectMany(container => container!["env"]?.AsArray() ?? [])
            .Single(one => one!["name"]!.ToString() == "PROXY_CONFIG");
        Assert.Equal("""{"server":{"value":"own"},"requestId":{"disabled":true}}""",
            JsonNode.Parse(variable!["value"]!.ToString())!["proxyHeaders"]!.ToJsonString());
    }

    private static MeshRig Rig(string headers)
    {
        var rig = new MeshRig("c1");
        Assert.Empty(rig.Writer.PutSettings("c1", YamlText.Parse($"defaultConfig: {{proxyHeaders: {headers}}}", "mesh"), null));
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        rig.EastWest("c1", "172.18.201.1");
        rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: Gateway
            metadata: {name: front, namespace: shop}
            spec: {selector: {app: eastwest}, servers: [{port: {number: 15443, name: http, protocol: HTTP}, hosts: ['*']}]}
            ---
            apiVersion: networking.istio.io/v1
            kind: VirtualService
            metadata: {name: front, namespace: shop}
            spec: {hosts: [front.example], gateways: [front], http: [{route: [{destination: {host: orders}}]}]}
            ---
            apiVersion: networking.istio.io/v1
            kind: VirtualService
            metadata: {name: alias, namespace: shop}
            spec: {hosts: [alias.example], http: [{route: [{destination: {host: orders}}]}]}
            ---
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: away, namespace: shop}
            spec: {hosts: [away.example], resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}], endpoints: [{address: 192.0.2.1}]}
            ---
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: near, namespace: shop}
            spec: {hosts: [near.example], location: MESH_INTERNAL, resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}],
              endpoints: [{address: 192.0.2.2}]}
            """);
        return rig;
    }

    private static (ProxyFeed Client, ProxyFeed Orders, ProxyFeed Gateway) Mesh(string headers)
    {
        var rig = Rig(headers);
        var feeds = (rig.Sidecar("c1"), rig.Sidecar("c1", "orders-10.244.0.1", "10.244.0.1"), rig.Router("c1", "eastwest"));
        rig.Push();
        return feeds;
    }

    private static IEnumerable<HttpConnectionManager> Managers(ProxyFeed client, ProxyFeed orders, ProxyFeed gateway) =>
        [Outbound(client), Inbound(orders), AtGateway(gateway)];

    private static IEnumerable<Isthmus.Wire.Envoy.Routes.VirtualHost> Hosts(ProxyFeed client, ProxyFeed gateway) =>
        [.. MeshRig.Route(client, "80")!.VirtualHosts, .. MeshRig.Route(gateway, gateway.Snapshot!.Types[TypeUrls.Route].All.Single().Name)!.VirtualHosts];

    private static HttpConnectionManager Outbound(ProxyFeed proxy) => Manager(proxy, "0.0.0.0_80", 0);

    private static HttpConnectionManager Inbound(ProxyFeed proxy) => Manager(proxy, ResourceNames.VirtualInbound, 8080);

    private static HttpConnectionManager AtGateway(ProxyFeed proxy) => Manager(proxy, "0.0.0.0_15443", 0);

    private static HttpConnectionManager Manager(ProxyFeed proxy, string listener, int port) => MeshRig.Listener(proxy, listener)!.FilterChains
        .Where(chain => (chain.FilterChainMatch?.DestinationPort ?? 0) == port).Select(chain => chain.Filters[^1].TypedConfig)
        .First(config => config.Is(HttpConnectionManager.Descriptor)).Unpack<HttpConnectionManager>();

    private static HttpFilter Exchange(HttpConnectionManager manager) => manager.HttpFilters.Single(filter => filter.Name == "istio.metadata_exchange");

    private static bool IsExternal(ProxyFeed proxy, string cluster) =>
        MeshRig.Cluster(proxy, cluster)!.Metadata.FilterMetadata["istio"].Fields.TryGetValue("external", out var value) && value.BoolValue;
}

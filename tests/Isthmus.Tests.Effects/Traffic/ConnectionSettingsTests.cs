using Google.Protobuf.WellKnownTypes;
using Isthmus.ControlPlane.Push;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Proxy.Snapshot;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.NetworkFilters;
using Xunit;

namespace Isthmus.Tests.Effects.Traffic;

/// <summary><c>connectionSettings</c> of ProxyConfig, as proxies apply it.</summary>
public sealed class ConnectionSettingsTests
{
    private const string All = """
        {httpIdleTimeout: 7m, httpMaxConnectionDuration: 8m, httpMaxStreamDuration: 9m, httpStreamIdleTimeout: 10s, httpRequestTimeout: 11s, httpRequestHeadersTimeout: 12s,
         httpMaxConcurrentStreams: 13, httpHeadersWithUnderscoresAction: HEADERS_WITH_UNDERSCORES_DROP_HEADER, httpMergeSlashes: true, httpPathWithEscapedSlashesAction: REJECT_REQUEST}
        """;

    private const string Chosen = "420 480 540 10 11 12 13 Drop True Reject", Defaults = "3600 0 0 0 0 0 2147483647 Allow False Keep",
        Edge = "3600 0 0 300 300 60 100 Reject True Redirect";

    [Theory]
    [InlineData("{}", Defaults, Defaults)]
    [InlineData(All, Chosen, Chosen)]
    [InlineData("{profile: EDGE}", Edge, Defaults)]
    [InlineData("{profile: SIDECAR}", Defaults, Defaults)]
    [InlineData(
        "{profile: EDGE, httpRequestTimeout: 0s, httpMaxConcurrentStreams: 13, httpHeadersWithUnderscoresAction: HEADERS_WITH_UNDERSCORES_ALLOW, "
            + "httpPathWithEscapedSlashesAction: KEEP_UNCHANGED, httpMergeSlashes: false}",
        "3600 0 0 300 0 60 13 Allow False Keep", "3600 0 0 0 0 0 13 Allow False Keep")]
    public void Gateways_and_sidecars_have_what_the_mesh_says(string settings, string gateway, string sidecar)
    {
        var text = $"defaultConfig: {{connectionSettings: {settings}}}";
        Assert.Equal(gateway, Gateway(text, null));
        Assert.Equal(sidecar, Sidecar(text));
    }

    [Fact]
    public void What_a_proxy_says_itself_replaces_it()
    {
        var node = new Struct();
        node.Fields["PROXY_CONFIG"] = Value.ForStruct(
            Struct.Parser.ParseJson("""{"connectionSettings": {"profile": "EDGE", "httpStreamIdleTimeout": "20s", "httpMaxConcurrentStreams": 14}}"""));
        var identity = ProxyIdentity.TryRead("router~10.0.0.1~front.shop~shop.svc.cluster.local", node, Locality.Unknown, out _)!;
        Assert.Equal("3600 0 0 20 300 60 14 Reject True Redirect", Gateway($"defaultConfig: {{connectionSettings: {All}}}", identity.Connections));
    }

    [Theory]
    [InlineData("{profile: INTERNET}", "profile")]
    [InlineData("{httpMaxConcurrentStreams: 0}", "httpMaxConcurrentStreams")]
    [InlineData("{httpIdleTimeout: soon}", "httpIdleTimeout")]
    [InlineData("{httpHeadersWithUnderscoresAction: NO}", "httpHeadersWithUnderscoresAction")]
    [InlineData("{globalDownstreamConnectionLimit: 0}", "globalDownstreamConnectionLimit")]
    [InlineData("{httpDrainTimeout: 5s}", "httpDrainTimeout")]
    public void What_cannot_be_honoured_is_reported(string settings, string field) =>
        Assert.Equal($"defaultConfig.connectionSettings.{field}",
            Assert.Single(MeshConfigReader.ReadMesh(YamlText.Parse($"defaultConfig: {{connectionSettings: {settings}}}", "mesh")).Problems).Path);

    private static string Gateway(string settings, ConnectionSettings? own)
    {
        var rig = new MeshRig("c1");
        rig.EastWest("c1", "172.18.201.1");
        rig.Settings(settings);
        rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: Gateway
            metadata: {name: front, namespace: shop}
            spec: {selector: {app: eastwest}, servers: [{port: {number: 15443, name: http, protocol: HTTP}, hosts: ["*"]}]}
            """);
        var feed = rig.Router("c1", "eastwest");
        if (own is not null) feed = rig.Connect(feed.Proxy with { Connections = own });
        rig.Push();
        return Text(feed, "0.0.0.0_15443");
    }

    private static string Sidecar(string settings)
    {
        var rig = new MeshRig("c1");
        rig.App("c1", "web", "10.96.0.10", "10.244.0.1");
        rig.Settings(settings);
        var feed = rig.Sidecar("c1");
        rig.Push();
        return Text(feed, "0.0.0.0_80");
    }

    private static string Text(ProxyFeed feed, string listener)
    {
        var filters = MeshRig.Listener(feed, listener)!.FilterChains.Append(MeshRig.Listener(feed, listener)!.DefaultFilterChain)
            .OfType<Wire.Envoy.Listeners.FilterChain>().SelectMany(chain => chain.Filters);
        HttpConnectionManager? manager = null;
        foreach (var filter in filters)
            if (filter.TypedConfig.TryRead(out HttpConnectionManager read)) manager ??= read;
        var action = HttpDecoder.Decode(manager!, []);
        return string.Join(' ', action.Times.Idle.TotalSeconds, action.Times.Connection.TotalSeconds, action.Times.Stream.TotalSeconds,
            action.Times.StreamIdle.TotalSeconds,
            action.Times.Request.TotalSeconds, action.Times.Head.TotalSeconds, action.Codec.MaxStreams, action.Codec.Underscores, action.Paths.MergeSlashes,
            action.Paths.EscapedSlashes);
    }
}

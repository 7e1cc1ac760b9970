using Isthmus.ControlPlane.Push;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Routes;
using Isthmus.Wire.Xds;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Push;

/// <summary>A proxy that takes virtual hosts as resources gets the virtual host that changed, and nothing of the others.</summary>
public sealed class RouteChangeSizeTests
{
    private const int Hosts = 300;
    private readonly MeshRig _rig = new("c1");

    [Fact]
    public void A_changed_VirtualService_sends_a_sidecar_its_virtual_host_only()
    {
        for (var i = 0; i < Hosts; i++) _rig.App("c1", $"app{i}", $"10.96.{i / 200}.{i % 200 + 1}", $"10.244.{i / 200}.{i % 200 + 1}");
        for (var i = 0; i < Hosts; i++) Route(i, 1);
        AssertSmall(_rig.Sidecar("c1"), () => Route(17, 2), "80", table => Assert.Equal(2, TimeoutOf(table, "app17.shop.svc.cluster.local:80")));
    }

    [Fact]
    public void A_changed_VirtualService_sends_a_gateway_its_virtual_host_only()
    {
        _rig.Service("c1", "ingress", "10.96.0.9", "http", 80);
        _rig.Config("{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: web, namespace: shop}, "
            + "spec: {selector: {app: ingress}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}}");
        for (var i = 0; i < Hosts; i++) AtGateway(i, 1);
        _rig.Push();
        AssertSmall(_rig.Router("c1", "ingress"), () => AtGateway(17, 2), "http.8080", table => Assert.Equal(2, TimeoutOf(table, "h17.example:80")));
    }

    private void AssertSmall(ProxyFeed proxy, Action change, string name, Action<RouteConfiguration> check)
    {
        _rig.Push();
        var (stream, other) = (Subscribe(proxy, name, TypeUrls.Route, TypeUrls.VirtualHost), Subscribe(proxy, name, TypeUrls.Route));
        var before = Version(proxy, name);
        change();
        _rig.Push();
        Assert.NotEqual(before, Version(proxy, name));
        Assert.InRange(Routes(stream.Update(proxy.Snapshot!), TypeUrls.VirtualHost).CalculateSize(), 100, 5_000);
        var whole = Routes(other.Update(proxy.Snapshot!), TypeUrls.Route);
        Assert.Equal(TypeUrls.Route, Assert.Single(whole.Resources).Resource_.TypeUrl);
        Assert.InRange(whole.CalculateSize(), 50_000, 10_000_000);
        check(MeshRig.Route(proxy, name)!);
    }

    private static DeltaDiscoveryResponse Routes(IReadOnlyList<DeltaDiscoveryResponse> responses, string type)
    {
        var routes = Assert.Single(responses, response => response.TypeUrl is TypeUrls.Route or TypeUrls.VirtualHost);
        Assert.Equal(type, routes.TypeUrl);
        return routes;
    }

    private static string Version(ProxyFeed proxy, string name) => proxy.Snapshot!.Types[TypeUrls.Route].TryGet(name, out var table) ? table.Version : "";

    private static DeltaStream Subscribe(ProxyFeed proxy, string name, params string[] types)
    {
        var stream = new DeltaStream("n", _ => { });
        stream.Update(proxy.Snapshot!);
        foreach (var type in types)
        {
            var node = new Node { ClientFeatures = { types.Length > 1 ? [VirtualHosts.Feature] : [] } };
            string[] names = type == TypeUrls.Route ? [name] : [];
            var answer = Assert.Single(stream.Receive(new() { TypeUrl = type, Node = node, ResourceNamesSubscribe = { names } }));
            stream.Receive(new() { TypeUrl = type, ResponseNonce = answer.Nonce });
        }
        return stream;
    }

    private static double TimeoutOf(RouteConfiguration table, string host) =>
        table.VirtualHosts.Single(known => known.Name == host).Routes[0].Route_.Timeout.ToTimeSpan().TotalSeconds;

    private void Route(int service, int seconds) => _rig.Config(
        $"{{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {{name: app{service}, namespace: shop}}, "
        + $"spec: {{hosts: [app{service}], http: [{{timeout: {seconds}s, route: [{{destination: {{host: app{service}}}}}]}}]}}}}");

    private void AtGateway(int number, int seconds) => _rig.Config(
        $"{{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {{name: h{number}, namespace: shop}}, "
        + $"spec: {{hosts: [h{number}.example], gateways: [web], http: [{{timeout: {seconds}s, route: [{{destination: {{host: ingress}}}}]}}]}}}}");
}

using Isthmus.ControlPlane.Push;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Mesh.Resolve;
using Isthmus.Rigs.Mesh;
using Isthmus.Tests.ControlPlane.Push;
using Xunit;

namespace Isthmus.Tests.ControlPlane.GatewayApi;

/// <summary>A changed Service costs a gateway the routes that lead to it, however many others there are.</summary>
public sealed class ChangedServiceTests
{
    [Theory]
    [InlineData("http")]
    [InlineData("http2")] // another protocol, which routes do not ask for
    [InlineData("more")]
    [InlineData("gone")]
    public void What_is_looked_up_for_a_changed_Service_does_not_depend_on_the_number_of_routes(string change)
    {
        var (few, many) = (LookUps(20, change), LookUps(400, change));
        Assert.InRange(many, 1, few);
    }

    /// <summary>Services, routes of connections and requests, and rules, of which several change at once.</summary>
    [Theory]
    [InlineData(1, "{}")]
    [InlineData(2, "{}")]
    [InlineData(3, "{hostOwnership: NAMESPACE}")]
    public void Changes_one_by_one_lead_to_the_same_as_all_at_once(int seed, string settings)
    {
        var random = new Random(seed);
        var rig = new GatewayApiRig(Door.Replace("listeners: [", "listeners: [{name: raw, port: 9000, protocol: TCP}, ", StringComparison.Ordinal)).Mesh;
        rig.Settings(settings);
        foreach (var host in (string[])["app1.shop.svc.cluster.local", "claimed.example"])
            rig.Config(
                $"{{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {{name: own{host[0]}, namespace: shop}}, spec: {{selector: {{app: door}}, "
                    + $"servers: [{{port: {{number: 80, name: http, protocol: HTTP}}, hosts: ['{host}']}}]}}}}");
        rig.Service("c1", "door", "10.96.0.5", "http", 80);
        rig.EastWest("c1", "172.18.201.1");
        ProxyFeed[] doors = [rig.Router("c1", "door", labels: new() { [GatewayNaming.GatewayLabel] = "door" }), rig.Router("c1", "eastwest")];
        rig.Config(
            "{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: cross, namespace: shop}, spec: {selector: {app: eastwest}, servers: [{port: "
                + "{number: 15443, name: tls, protocol: TLS}, hosts: ['*.local'], tls: {mode: AUTO_PASSTHROUGH}}]}}");
        for (var step = 0; step < 150; step++)
        {
            for (var more = random.Next(3); more >= 0; more--) Change(rig, random);
            rig.Push();
            foreach (var door in doors) AssertAsNew(rig, door);
        }
    }

    private static void Change(MeshRig rig, Random random)
    {
        var (number, to) = (random.Next(4), random.Next(4));
        switch (random.Next(10))
        {
            case < 4: rig.Service("c1", $"app{number}", Address(number), random.Next(2) == 0 ? "http" : "tcp", random.Next(3) == 0 ? 8080 : 80,
                8080 + random.Next(2)); break;
            case 4: Change(rig, $"app{number}", "Service"); break;
            case 5: rig.Config(Route(number, to)); break;
            case 6: rig.Config($$"""
                {apiVersion: gateway.networking.k8s.io/v1, kind: TCPRoute, metadata: {name: t{{number}}, namespace: shop},
                 spec: {parentRefs: [{name: door, sectionName: raw}], rules: [{backendRefs: [{name: app{{to}}, port: 80}]}]} }
                """); break;
            case 7: rig.Config($$"""
                {apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: d{{number}}, namespace: shop}, spec: {host: app{{number}},
                 trafficPolicy: {connectionPool: {tcp: {idleTimeout: {{to + 1}}s} }{{(to < 2 ? ", loadBalancer: {consistentHash: {httpHeaderName: x}}" : "")}} } } }
                """); break;
            case 8: rig.Config($$"""
                {apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: v{{number}}, namespace: {{(number < 2 ? "shop" : "other")}}},
                 spec: {hosts: [{{(number % 2 == 0 ? "app1.shop.svc.cluster.local" : "claimed.example")}}], gateways: [shop/owna, shop/ownc],
                   http: [{route: [{destination: {host: app{{to}}.shop.svc.cluster.local} }]}]} }
                """); break;
            default: rig.Config($$"""
                {apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: e{{number}}, namespace: {{(number % 2 == 0 ? "shop" : "other")}}},
                 spec: {hosts: [claimed.example], location: MESH_EXTERNAL, resolution: DNS, ports: [{number: {{80 + to}}, name: http, protocol: HTTP}]} }
                """); break;
        }
    }

    private static void Change(MeshRig rig, string name, string kind) =>
        rig.Writer.Remove(rig.Writer.Kinds.All.First(known => known.Descriptor.Kind == kind), new("c1", MeshRig.Namespace, name));

    private static int LookUps(int routes, string change)
    {
        var rig = new GatewayApiRig(Door + string.Concat(Enumerable.Range(0, routes).Select(number => $"---\n{Route(number, number)}"))).Mesh;
        for (var number = 0; number < routes; number++) rig.Service("c1", $"app{number}", Address(number), "http", 80);
        rig.Service("c1", "door", "10.96.0.5", "http", 80);
        var door = rig.Router("c1", "door", labels: new() { [GatewayNaming.GatewayLabel] = "door" });
        rig.Push();
        Change(rig, change);
        var changes = rig.Writer.Commit();
        var counting = new CountingNames();
        var view = rig.Mesh.View();
        view = view with { Registry = view.Registry with { Services = view.Registry.Services.WithComparers(counting) } };
        counting.Count = 0;
        rig.Publisher.PublishAll(view, changes);
        var count = counting.Count;
        AssertAsNew(rig, door);
        return count;
    }

    private static void Change(MeshRig rig, string change)
    {
        if (change == "gone") Change(rig, "app7", "Service");
        else if (change == "more") rig.Service("c1", "app7", Address(7), "http", 8080);
        else rig.Service("c1", "app7", Address(7), change, 80, 9090);
    }

    /// <summary>However it came about, a state is the same as one that is made at once.</summary>
    private static void AssertAsNew(MeshRig rig, ProxyFeed door)
    {
        var fresh = new Publisher(TimeProvider.System);
        fresh.PublishAll(rig.Mesh.View(), null);
        var other = new ProxyFeed(door.Proxy, TimeProvider.System, _ => { });
        fresh.Join(other);
        var (wanted, found) = (MeshRig.Versions(other), MeshRig.Versions(door));
        Assert.Empty(wanted.Except(found).Select(item => item.Key));
        Assert.Equal(wanted.Count, found.Count);
    }

    private static string Address(int number) => $"10.96.{1 + number / 200}.{number % 200 + 1}";

    private const string Door = "{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: door, namespace: shop}, "
        + "spec: {gatewayClassName: istio, listeners: [{name: plain, port: 80, protocol: HTTP}]} }\n";

    private static string Route(int number, int to) => $$"""
        {apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: r{{number}}, namespace: shop},
         spec: {parentRefs: [{name: door}], hostnames: [r{{number}}.example.com], rules: [{backendRefs: [{name: app{{to}}, port: 80}]}]} }

        """;
}

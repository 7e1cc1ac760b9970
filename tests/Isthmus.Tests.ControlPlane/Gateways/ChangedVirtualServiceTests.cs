using Google.Protobuf;
using Isthmus.ControlPlane.Push;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Rigs.Mesh;
using Isthmus.Tests.ControlPlane.Push;
using Isthmus.Wire.Xds;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Gateways;

/// <summary>What a changed VirtualService or Ingress costs a gateway: its hosts, however many others there are.</summary>
public sealed class ChangedVirtualServiceTests
{
    private const int Port = 8080, Changed = 7;
    private const string Table = "http.8080";

    private static readonly string[] Names = ["a.example.com", "b.example.com", "c.example.com", "*.example.com", "x.example.org", "*.example.org", "*",
        "app1.shop.svc.cluster.local", "claimed.example"];

    [Theory]
    [InlineData("VirtualService", "/b", Changed)]
    [InlineData("VirtualService", null, Changed)] // removed
    [InlineData("Ingress", "/b", Changed)]
    [InlineData("VirtualService", "/b", Changed, "new.example.com")]
    public void Only_its_virtual_hosts_are_made_anew(string kind, string? path, int number, string? host = null)
    {
        var (rig, gateway) = Many(40, kind);
        var before = PartsOf(gateway);
        if (path is null) rig.Writer.RemoveConfig("c1", kind, "shop", $"v{number}");
        else Put(rig, kind, number, path, host);
        var changes = rig.Push();
        var after = PartsOf(gateway);
        Assert.Equal(path is null ? 39 : 40, after.Count);
        Assert.Equal(path is null ? 0 : 1, after.Count(part => !before.Exists(old => ReferenceEquals(old, part))));
        Assert.True(changes.IsRoutesOnly);
        AssertAsNew(rig, gateway);
    }

    [Theory]
    [InlineData("VirtualService")]
    [InlineData("Ingress")]
    public void What_is_looked_up_does_not_depend_on_the_number_of_routes(string kind)
    {
        var (few, many) = (LookUps(20, kind), LookUps(400, kind));
        Assert.InRange(many, 1, few);
    }

    /// <summary>Hosts that overlap, wildcards, several Gateways and servers with the same host, other namespaces, delegates, routes of connections, Ingress
    /// objects, routes of the Gateway API, Services and rules, of which several change at once.</summary>
    [Theory]
    [InlineData(1, "{}")]
    [InlineData(2, "{}")]
    [InlineData(3, "{}")]
    [InlineData(4, "{hostOwnership: NAMESPACE}")]
    [InlineData(5, "{hostOwnership: NAMESPACE}")]
    public void Changes_one_by_one_lead_to_the_same_as_all_at_once(int seed, string settings)
    {
        var random = new Random(seed);
        var rig = Overlapping();
        rig.Settings(settings);
        ProxyFeed[] gateways = [.. new[] { "shop", "other" }.Select(ns => rig.Router("c1", ns == "shop" ? "front" : "back", ns: ns,
            labels: new() { ["tier"] = "edge", ["istio"] = "ingressgateway", ["gateway.networking.k8s.io/gateway-name"] = "door" }))];
        rig.Push();
        for (var step = 0; step < 50; step++)
        {
            for (var more = random.Next(3); more >= 0; more--) Change(rig, random);
            rig.Push();
            foreach (var gateway in gateways) AssertAsNew(rig, gateway);
        }
        Assert.Empty(rig.Mesh.Graph.Verify());
        Assert.True(MeshRig.Versions(gateways[0]).Count > 10);
    }

    /// <summary>Routes that the gateway does not see when they come count all the same when it may see them.</summary>
    [Fact]
    public void Routes_for_a_host_of_another_namespace_apply_when_it_is_nobodys()
    {
        var (rig, gateway) = Many(3, "VirtualService");
        rig.Settings("{hostOwnership: NAMESPACE}");
        rig.Config("{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: e, namespace: shop}, spec: {hosts: [claimed.example], "
            + "location: MESH_EXTERNAL, resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}]}}");
        rig.Push();
        rig.Config("{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: v, namespace: other}, spec: {hosts: [claimed.example], "
            + "gateways: [shop/wide], http: [{directResponse: {status: 200}}]}}");
        rig.Push();
        Assert.Equal(3, PartsOf(gateway).Count);
        rig.Writer.RemoveConfig("c1", "ServiceEntry", "shop", "e");
        rig.Push();
        Assert.Equal(4, PartsOf(gateway).Count);
        AssertAsNew(rig, gateway);
    }

    private static void Change(MeshRig rig, Random random)
    {
        var (number, to, ns) = (random.Next(5), random.Next(3), random.Next(3) == 0 ? "other" : "shop");
        switch (random.Next(14))
        {
            case < 5: rig.Config(VirtualService(random, number, ns, to)); break;
            case 5 or 6: rig.Writer.RemoveConfig("c1", "VirtualService", ns, $"v{number}"); break;
            case 7: rig.Config($$"""
                {apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: part{{to}}, namespace: shop},
                 spec: {http: [{match: [{uri: {prefix: /in/{{number}}} }], route: [{destination: {host: app{{to}}.shop.svc.cluster.local} }]}]} }
                """); break;
            case 8: rig.Writer.RemoveConfig("c1", "VirtualService", "shop", $"part{to}"); break;
            case 9: Put(rig, "Ingress", number, $"/{to}", Names[random.Next(6)]); break;
            case 10: rig.Writer.RemoveConfig("c1", random.Next(2) == 0 ? "Ingress" : "HTTPRoute", "shop", $"v{number}"); break;
            case 11: rig.Config($$"""
                {apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: v{{number}}, namespace: shop},
                 spec: {parentRefs: [{name: door}], hostnames: ['{{Names[random.Next(6)]}}'], rules: [{backendRefs: [{name: app{{to}}, port: 80}]}]} }
                """); break;
            case 12: rig.Service("c1", $"app{to}", $"10.96.1.{to + 1}", "http", random.Next(3) == 0 ? 81 : 80);
                if (number > 2) break;
                rig.Config($$"""
                    {apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: d{{number}}, namespace: shop},
                     spec: {host: app{{number}}, trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x{{to}}} },
                      connectionPool: {tcp: {idleTimeout: {{to + 1}}s} } } } }
                    """); break;
            default: rig.Config($$"""
                {apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: e{{number}}, namespace: {{ns}}},
                 spec: {hosts: [claimed.example], location: MESH_EXTERNAL, resolution: DNS, ports: [{number: {{80 + to}}, name: http, protocol: HTTP}]} }
                """); break;
        }
    }

    private static string VirtualService(Random random, int number, string ns, int to)
    {
        string Some(params string[] all) => string.Join(", ", all.Where(_ => random.Next(3) == 0).DefaultIfEmpty(all[random.Next(all.Length)])
            .Distinct().Select(item => $"'{item}'"));
        var route = $"route: [{{destination: {{host: app{to}.shop.svc.cluster.local, port: {{number: 80}}}}}}]";
        var rules = random.Next(8) switch
        {
            0 => $"tcp: [{{{route}}}]",
            1 => $"tls: [{{match: [{{sniHosts: [a.example.com]}}], {route}}}], http: [{{{route}}}]",
            2 => $"http: [{{match: [{{uri: {{prefix: /in}}}}], delegate: {{name: part{to}, namespace: shop}}}}, {{{route}}}]",
            3 => $"http: [{{match: [{{gateways: [shop/wide]}}], {route}}}]",
            4 => $"http: [{{{route}}}]",
            _ => $"http: [{{match: [{{uri: {{prefix: /v{number}}}}}], {route}}}]",
        };
        var hosts = rules.StartsWith("tls", StringComparison.Ordinal) ? "a.example.com" : Some([.. Names.Where(name => name != "*" || random.Next(3) == 0)]);
        return $"{{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {{name: v{number}, namespace: {ns}, creationTimestamp: "
            + $"'2026-01-0{random.Next(3) + 1}T00:00:00Z'}}, spec: {{hosts: [{hosts}], "
            + $"gateways: [{Some("shop/wide", "shop/narrow", "other/wide", "shop/raw", "mesh")}], "
            + $"{random.Next(5) switch { 0 => "exportTo: [.], ", 1 => "exportTo: [other], ", _ => "" }}{rules}}}}}";
    }

    /// <summary>Servers whose hosts overlap, with several sorts of TLS, and one that only redirects.</summary>
    private static MeshRig Overlapping()
    {
        var rig = Rig();
        const string Tls = "serverCertificate: /c.pem, privateKey: /k.pem";
        string Gateway(string name, string ns, params string[] servers) => "{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: "
            + $"{{name: {name}, namespace: {ns}}}, spec: {{selector: {{tier: edge}}, servers: [{string.Join(", ", servers)}]}}}}\n---\n";
        string Server(int port, string name, string protocol, string hosts, string tls = "") =>
            $"{{port: {{number: {port}, name: {name}, protocol: {protocol}}}, hosts: [{hosts}]{(tls.Length > 0 ? $", tls: {{{tls}}}" : "")}}}";
        rig.Config(
            Gateway("wide", "shop", Server(Port, "http", "HTTP", "'*', a.example.com"),
                Server(8443, "https", "HTTPS", "'*.example.com'", $"mode: SIMPLE, {Tls}"))
            + Gateway("wide", "other", Server(Port, "http", "HTTP", "'*.example.com'"))
            + Gateway("narrow", "shop", Server(Port, "http", "HTTP", "b.example.com, '*.example.org', shop/c.example.com, './d.example.com'"),
                Server(Port, "moved", "HTTP", "x.example.org", "httpsRedirect: true"),
                Server(8443, "own", "HTTPS", "a.example.com", $"mode: MUTUAL, caCertificates: /ca.pem, {Tls}"))
            + Gateway("raw", "shop", Server(9000, "tcp", "TCP", "'*'"), Server(9443, "tls", "TLS", "'*.example.com'", "mode: PASSTHROUGH"))
            + "{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: door, namespace: shop}, "
            + $"spec: {{gatewayClassName: istio, listeners: [{{name: plain, port: {Port}, protocol: HTTP}}]}}}}");
        return rig;
    }

    private static (MeshRig Rig, ProxyFeed Gateway) Many(int routes, string kind)
    {
        var rig = Rig();
        rig.Config("{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: wide, namespace: shop}, spec: {selector: {app: front}, "
            + $"servers: [{{port: {{number: {Port}, name: http, protocol: HTTP}}, hosts: ['*']}}]}}}}");
        for (var number = 0; number < routes; number++)
        {
            rig.Service("c1", $"to{number}", $"10.96.{2 + number / 200}.{number % 200 + 1}", "http", 80);
            Put(rig, kind, number, "/a");
        }
        rig.Push();
        return (rig, rig.Router("c1", "front", labels: new() { ["istio"] = "ingressgateway" }));
    }

    private static int LookUps(int routes, string kind)
    {
        var (rig, gateway) = Many(routes, kind);
        Put(rig, kind, Changed, "/b");
        var changes = rig.Writer.Commit();
        var counting = new CountingNames();
        var view = rig.Mesh.View();
        view = view with { Registry = view.Registry with { Services = view.Registry.Services.WithComparers(counting) } };
        counting.Count = 0;
        rig.Publisher.PublishAll(view, changes);
        var count = counting.Count;
        AssertAsNew(rig, gateway);
        return count;
    }

    private static void Put(MeshRig rig, string kind, int number, string path, string? host = null)
    {
        host ??= $"h{number}.example.com";
        if (kind == "VirtualService")
        {
            rig.Config($$"""
                {apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: v{{number}}, namespace: shop}, spec: {hosts: ['{{host}}'],
                 gateways: [wide], http: [{match: [{uri: {prefix: {{path}}} }], route: [{destination: {host: to{{number}}.shop.svc.cluster.local} }]}]} }
                """);
            return;
        }
        rig.Writer.Kinds.Ingresses.StageTree(rig.Writer, "c1", YamlText.Parse($$"""
            {apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: v{{number}}, namespace: shop},
             spec: {ingressClassName: web, rules: [{host: '{{host}}',
             http: {paths: [{path: {{path}}, pathType: Prefix, backend: {service: {name: to{{number}}, port: {number: 80} } } }]} }]} }
            """, "test")!.AsObject());
    }

    private static MeshRig Rig()
    {
        var rig = new MeshRig("c1");
        for (var number = 0; number < 3; number++) rig.App("c1", $"app{number}", $"10.96.1.{number + 1}", $"10.244.1.{number + 1}");
        rig.Writer.Put("c1", new Service
        {
            Metadata = new() { Name = "front", Namespace = MeshRig.Namespace },
            Spec = new()
            {
                Type = "ClusterIP", ClusterIP = "10.96.0.20", ClusterIPs = ["10.96.0.20"], Selector = { ["app"] = "front" },
                // Ingress objects are served at port 80.
                Ports = [.. new[] { (80, Port), (Port, Port), (8443, 8443), (9000, 9000), (9443, 9443) }.Select(port => new ServicePort
                    { Name = $"p{port.Item1}", Port = port.Item1, TargetPort = System.Text.Json.Nodes.JsonValue.Create(port.Item2) })],
            },
        });
        rig.Writer.Kinds.IngressClasses.StageTree(rig.Writer, "c1",
            YamlText.Parse("{metadata: {name: web}, spec: {controller: istio.io/ingress-controller}}", "test")!.AsObject());
        return rig;
    }

    private static void AssertAsNew(MeshRig rig, ProxyFeed gateway) =>
        Assert.Equal(MeshRig.Versions(MeshRig.Alone(gateway, rig.Mesh.View())), MeshRig.Versions(gateway));

    private static List<XdsPart> PartsOf(ProxyFeed gateway) =>
        gateway.Snapshot!.Types[TypeUrls.Route].TryGet(Table, out var resource) ? [.. resource.Parts!.Items] : [];
}

using Isthmus.ControlPlane.Ingresses;
using Isthmus.ControlPlane.Push;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire.Envoy.Routes;
using Xunit;
using static Isthmus.Rigs.Mesh.MeshRig;

namespace Isthmus.Tests.ControlPlane.Gateways;

/// <summary>Ingress objects become servers and routes of gateways.</summary>
public sealed class IngressTests
{
    private const string Class =
        "{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: web}, spec: {controller: istio.io/ingress-controller}}";

    [Theory]
    [InlineData("ingressClassName: web", "", "", true)]
    [InlineData("ingressClassName: other", "", "", false)]
    [InlineData("ingressClassName: other", "istio", "", true)]
    [InlineData("ingressClassName: web", "nginx", "", false)]
    [InlineData("", "istio", "", true)]
    [InlineData("", "istio", "ingressControllerMode: STRICT", true)]
    [InlineData("", "", "", false)]
    [InlineData("", "", "ingressControllerMode: DEFAULT", true)]
    [InlineData("", "nginx", "ingressControllerMode: DEFAULT", false)]
    [InlineData("ingressClassName: web", "istio", "ingressControllerMode: 'OFF'", false)]
    [InlineData("", "front", "ingressClass: front", true)]
    [InlineData("", "istio", "ingressClass: front", false)]
    [InlineData("ingressClassName: web", "", "ingressSelector: other", false)]
    [InlineData("ingressClassName: web", "", "{ingressService: door, ingressSelector: ingressgateway}", true)]
    [InlineData("ingressClassName: web", "", "ingressService: door", false)]
    public void Classes_and_settings_decide_which_objects_gateways_serve(string spec, string annotation, string settings, bool served)
    {
        var (rig, gateway) = Rig();
        rig.Settings(settings);
        var meta = annotation.Length == 0 ? "" : $", annotations: {{kubernetes.io/ingress.class: {annotation}}}";
        Put(rig,
            $"{{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {{name: front, namespace: shop{meta}}}, spec: "
                + $"{{{(spec.Length == 0 ? "" : spec + ", ")}defaultBackend: {{service: {{name: orders, port: {{number: 80}}}}}}}}}}");
        rig.Push();
        Assert.Equal(served, Listener(gateway, "0.0.0.0_8080") is not null);
        Assert.Empty(rig.Mesh.Graph.Verify());
    }

    /// <summary>As names of objects, which have no dots, they are alike.</summary>
    [Theory]
    [InlineData("a.b.test", "one", "a-b.test", "one")]
    [InlineData("a.b", "c", "a", "b-c")]
    public void Hosts_that_differ_in_a_dot_only_have_routes_each(string first, string firstName, string second, string secondName)
    {
        var (rig, gateway) = Rig();
        string Rule(string host) =>
            $"{{host: {host}, http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: orders, port: {{number: 80}}}}}}}}]}}}}";
        if (firstName == secondName) Put(rig, Ingress(firstName, $"rules: [{Rule(first)}, {Rule(second)}]"));
        else
        {
            Put(rig, Ingress(firstName, $"rules: [{Rule(first)}]"));
            Put(rig, Ingress(secondName, $"rules: [{Rule(second)}]"));
        }
        rig.Push();
        var hosts = Route(gateway, "http.8080")!.VirtualHosts.Where(host => host.Routes.Any(route => Text(route).Contains("orders", StringComparison.Ordinal)));
        Assert.Equal(((string[])[first, second]).Order(StringComparer.Ordinal), hosts.Select(host => host.Domains[0]).Order(StringComparer.Ordinal));
        Assert.Equal(0, rig.Mesh.Graph.Conflicts);
    }

    [Fact]
    public void Longer_paths_win_over_shorter_ones_of_all_objects_and_default_backends_come_last()
    {
        var (rig, gateway) = Rig();
        Put(rig, Ingress("one", """
            rules: [{host: a.test, http: {paths: [
              {path: /, pathType: Prefix, backend: {service: {name: orders, port: {number: 80}}}},
              {path: /foo/, pathType: Prefix, backend: {service: {name: orders, port: {name: http}}}},
              {path: /foo, pathType: Exact, backend: {service: {name: exact, port: {number: 80}}}},
              {path: /any/*, pathType: ImplementationSpecific, backend: {service: {name: orders, port: {number: 80}}}}]}}],
            defaultBackend: {service: {name: orders, port: {number: 80}}}
            """));
        Put(rig, Ingress("two", """
            rules: [{host: a.test, http: {paths: [{path: /foo/bar, pathType: Prefix, backend: {service: {name: orders, port: {name: none}}}}]}},
              {host: '*.b.test', http: {paths: [{path: '', pathType: ImplementationSpecific, backend: {resource: {kind: Bucket, name: x}}}]}}]
            """));
        rig.Push();
        var table = Route(gateway, "http.8080")!;
        Assert.Equal(["*", "*.b.test", "a.test"], table.VirtualHosts.Select(host => host.Domains[0]).Order(StringComparer.Ordinal));
        var routes = table.VirtualHosts.Single(host => host.Domains[0] == "a.test").Routes.Select(Text);
        Assert.Equal(
            [
                "= /foo/bar → 503", "^ /foo/bar/ → 503",
                "= /foo → outbound|80||orders.shop.svc.cluster.local", "^ /foo/ → outbound|80||orders.shop.svc.cluster.local",
                "= /foo → outbound|80||exact.shop.svc.cluster.local", "^ /any → outbound|80||orders.shop.svc.cluster.local",
                "^ / → outbound|80||orders.shop.svc.cluster.local",
            ],
            routes);
        Assert.Equal(["^ / → 503"], table.VirtualHosts.Single(host => host.Domains[0] == "*.b.test").Routes.Select(Text));
        Assert.Equal(["^ / → outbound|80||orders.shop.svc.cluster.local"], table.VirtualHosts.Single(host => host.Domains[0] == "*").Routes.Select(Text));
    }

    [Fact]
    public void Certificates_open_port_443_and_a_missing_one_is_named_with_the_field()
    {
        var (rig, gateway) = Rig();
        Put(rig,
            Ingress("one",
                "tls: [{hosts: [ignored.test]}, {hosts: [a.test], secretName: absent}], rules: [{host: a.test, http: {paths: [{path: /, pathType: Prefix, "
                    + "backend: {service: {name: orders, port: {number: 80}}}}]}}]"));
        rig.Push();
        var listener = Listener(gateway, "0.0.0.0_8443");
        Assert.Equal(["a.test"], Assert.Single(listener!.FilterChains).FilterChainMatch.ServerNames);
        Assert.Equal("a.test",
            Assert.Single(Route(gateway,
                "https.443.https-443-ingress-one-shop-1.one-istio-autogenerated-k8s-ingress-shop.istio-system")!.VirtualHosts).Domains[0]);
        var problem = Assert.Single(gateway.Served.Problems);
        Assert.Equal(("Ingress shop/one", "spec.tls[1].secretName"), (problem.Object, problem.Path));
        Assert.Empty(gateway.Served.Gateways);
    }

    [Fact]
    public void What_is_gone_leaves_nothing()
    {
        var (rig, gateway) = Rig();
        rig.Push();
        var before = Versions(gateway);
        Put(rig, Ingress("one", "defaultBackend: {service: {name: orders, port: {number: 80}}}"));
        rig.Push();
        Assert.NotEqual(before, Versions(gateway));
        rig.Writer.Remove("c1", Kinds.Ingress, "shop", "one");
        rig.Push();
        Assert.Equal(before, Versions(gateway));
    }

    [Fact]
    public void Addresses_of_the_Service_belong_into_the_status()
    {
        var (rig, _) = Rig();
        Put(rig, Ingress("one", "defaultBackend: {service: {name: orders, port: {number: 80}}}", "198.51.100.9"));
        Put(rig, Ingress("right", "defaultBackend: {service: {name: orders, port: {number: 80}}}", "198.51.100.1"));
        Put(rig,
            "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: foreign, namespace: shop}, spec: {ingressClassName: nginx}, status: "
                + "{loadBalancer: {ingress: [{ip: 192.0.2.1}]}}}");
        rig.Push();
        var outdated = Assert.Single(IngressAddresses.Outdated(rig.Mesh, "istio-system", new HashSet<ObjectKey>()));
        Assert.Equal(("one", "198.51.100.1"), (outdated.Key.Name, $"{Assert.Single(outdated.Addresses)}"));

        // A class that this control plane has written for, and that is no longer its own.
        var cleared = IngressAddresses.Outdated(rig.Mesh, "istio-system", new HashSet<ObjectKey>([new("c1", "shop", "foreign")]))
            .Single(item => item.Key.Name == "foreign");
        Assert.Empty(cleared.Addresses);
    }

    private static (MeshRig Rig, ProxyFeed Gateway) Rig()
    {
        var rig = new MeshRig("c1");
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        rig.Writer.Put("c1", new Service
        {
            Metadata = new() { Name = "istio-ingressgateway", Namespace = "istio-system" },
            Spec = new()
            {
                Type = "LoadBalancer", ClusterIP = "10.96.0.20", ClusterIPs = ["10.96.0.20"], Selector = { ["istio"] = "ingressgateway" },
                Ports = [new() { Name = "http2", Port = 80, TargetPort = 8080 }, new() { Name = "https", Port = 443, TargetPort = 8443 }]
            },
            Status = new() { LoadBalancer = new() { Ingress = [new() { Ip = "198.51.100.1" }] } },
        });
        Put(rig, Class);
        return (rig, rig.Router("c1", "door", labels: new() { ["istio"] = "ingressgateway" }, ns: "istio-system"));
    }

    private static string Ingress(string name, string spec, string address = "") =>
        $"{{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {{name: {name}, namespace: shop}}, spec: {{ingressClassName: web, "
            + $"{spec}}}{(address.Length == 0 ? "" : $", status: {{loadBalancer: {{ingress: [{{ip: {address}}}]}}}}")}}}";

    private static void Put(MeshRig rig, string text)
    {
        var item = (System.Text.Json.Nodes.JsonObject)YamlText.Parse(text, "test")!;
        rig.Writer.Kinds.All.Single(kind => kind.Resource.Kind == item["kind"]!.ToString()).StageTree(rig.Writer, "c1", item);
    }

    private static string Text(Route route) =>
        $"{(route.Match.Path.Length > 0 ? $"= {route.Match.Path}" : $"^ {route.Match.Prefix}")} → "
            + $"{(route.DirectResponse is { } direct ? $"{direct.Status}" : route.Route_.Cluster)}";
}

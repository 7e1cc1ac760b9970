using Isthmus.ControlPlane.Push;
using Isthmus.Kubernetes.Objects;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire.Envoy.Routes;
using Xunit;

namespace Isthmus.Tests.ControlPlane.HostNames;

/// <summary>Services of type ExternalName: further names of a host, with its routes, clusters and addresses.</summary>
public sealed class ExternalNameTests
{
    private const string Web = "web.shop.svc.cluster.local";

    private readonly MeshRig _rig = new("c1");
    private readonly ProxyFeed _client;

    public ExternalNameTests()
    {
        _rig.App("c1", "web", "10.96.0.10", "10.244.0.1");
        _client = _rig.Sidecar("c1");
    }

    [Fact]
    public void Requests_for_the_alias_take_the_routes_of_its_host()
    {
        Alias("front", Web);
        var domains = Domains(Web);
        Assert.Contains("front.shop.svc.cluster.local", domains);
        Assert.Contains("front.shop.svc.cluster.local:80", domains);
        Assert.Contains("front", domains);
        Assert.Contains("web", domains);
        Assert.Null(MeshRig.Cluster(_client, MeshRig.OutboundName("front")));
        Assert.Equal(["10.96.0.10"], MeshRig.Names(_client).Table["front.shop.svc.cluster.local"].Ips);

        _rig.Writer.Remove("c1", Kinds.Service, MeshRig.Namespace, "front");
        Assert.DoesNotContain("front", Domains(Web));
    }

    [Fact]
    public void An_alias_of_an_alias_leads_to_the_end()
    {
        Alias("front", "middle.shop.svc.cluster.local");
        Alias("middle", Web + ".");
        Assert.Contains("front", Domains(Web));
        Assert.Contains("middle", Domains(Web));
    }

    [Fact]
    public void Aliases_in_a_circle_lead_nowhere()
    {
        Alias("a", "b.shop.svc.cluster.local");
        Alias("b", "a.shop.svc.cluster.local");
        Assert.DoesNotContain("a", Domains(Web));
        Assert.Null(Host("a.shop.svc.cluster.local"));
        Assert.Empty(_rig.Mesh.Graph.Verify());
    }

    /// <summary>As in Istio since 1.21: what is outside needs a ServiceEntry to be known.</summary>
    [Fact]
    public void A_name_outside_of_the_mesh_is_unknown_until_a_ServiceEntry_has_it()
    {
        Alias("api", "api.example.com");
        Assert.Null(Host("api.shop.svc.cluster.local"));
        Assert.Null(MeshRig.Cluster(_client, MeshRig.OutboundName("api")));
        _rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: api, namespace: shop}
            spec: {hosts: [api.example.com], resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}]}
            """);
        Assert.Contains("api.shop", Domains("api.example.com"));
    }

    [Fact]
    public void Only_namespaces_that_see_the_alias_have_its_name()
    {
        Alias("front", Web, exportTo: ".");
        var stranger = _rig.Sidecar("c1", "guest", "10.244.0.9", ns: "other");
        Assert.Contains("front", Domains(Web));
        Assert.DoesNotContain("front.shop", Domains(Web, stranger));
        Assert.Contains("web.shop", Domains(Web, stranger));
    }

    [Fact]
    public void A_route_to_the_alias_leads_to_the_cluster_of_its_host()
    {
        Alias("front", Web);
        _rig.App("c1", "shop", "10.96.0.11", "10.244.0.2");
        _rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: VirtualService
            metadata: {name: shop, namespace: shop}
            spec: {hosts: [shop], http: [{route: [{destination: {host: front}}], mirror: {host: front}}]}
            """);
        _rig.Push();
        var action = Host("shop.shop.svc.cluster.local")!.Routes[0].Route_;
        Assert.Equal((MeshRig.OutboundName("web"), MeshRig.OutboundName("web")), (action.Cluster, action.RequestMirrorPolicies[0].Cluster));
    }

    private void Alias(string name, string target, string exportTo = "*") => _rig.Writer.Put("c1", new Service
    {
        Metadata = new() { Name = name, Namespace = MeshRig.Namespace, Annotations = { ["networking.istio.io/exportTo"] = exportTo } },
        Spec = new() { Type = "ExternalName", ExternalName = target, Ports = { new() { Name = "http", Port = 80 } } },
    });

    private IEnumerable<string> Domains(string host, ProxyFeed? feed = null) => Host(host, feed)!.Domains;

    private VirtualHost? Host(string host, ProxyFeed? feed = null)
    {
        _rig.Push();
        return MeshRig.Route(feed ?? _client, "80")!.VirtualHosts.FirstOrDefault(known => known.Name == $"{host}:80");
    }
}

using System.Text.Json.Nodes;
using Isthmus.Graph.Intake;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Config.GatewayApi;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Rigs.Mesh;
using Xunit;

namespace Isthmus.Tests.ControlPlane.History;

/// <summary>Whose calls a changed route of the Gateway API concerns, as the history and traces tell it.</summary>
public sealed class RouteReachTests
{
    private const string Service = "{group: '', kind: Service, name: orders}", Entry = "{group: networking.istio.io, kind: ServiceEntry, name: ext}",
        Orders = "orders.shop.svc.cluster.local";

    [Theory]
    [InlineData(Service, "", Orders)]
    [InlineData("{group: '', kind: Service, name: orders, namespace: other}", "", "orders.other.svc.cluster.local")]
    // Callers of Services have a route whatever hosts it names.
    [InlineData(Service, "shop.example", Orders)]
    [InlineData("{name: front}", "shop.example", "shop.example")]
    [InlineData("{name: front}", "", "all")]
    [InlineData("{name: front}, " + Service, "shop.example", Orders + " shop.example")]
    [InlineData("{name: front}, " + Service, "", "all")]
    [InlineData(Entry, "shop.example", "all")]
    [InlineData("", "", "all")]
    public void A_route_concerns_callers_of_its_Services_and_of_its_hosts(string parents, string host, string concerned)
    {
        var route = ApiRouteReader.Read(MeshApi.HttpRoute, "c1", (JsonObject)YamlText.Parse(
            $"{{metadata: {{name: r, namespace: shop}}, spec: {{parentRefs: [{parents}], hostnames: [{host}], rules: []}}}}", "route")!);
        var reach = new MeshRig("c1").Writer.Kinds.All.OfType<GatewayApiKind<ApiRoute>>().First(kind => kind.Descriptor.Kind == "HTTPRoute").ReachOf(route);
        Assert.Equal(concerned, reach.IsEverything ? "all" : string.Join(' ', reach.Hosts));
    }

    [Theory]
    [InlineData("{group: '', kind: Service, name: orders, sectionName: https}", Orders)]
    [InlineData(Entry, "all")]
    public void A_policy_of_backends_concerns_callers_of_its_Services(string target, string concerned)
    {
        var policy = BackendTlsPolicyReader.Read("c1", (JsonObject)YamlText.Parse($"{{metadata: {{name: p, namespace: shop}}, spec: {{targetRefs: [{target}], "
            + "validation: {hostname: orders.example, wellKnownCACertificates: System}}}", "policy")!);
        var reach = new MeshRig("c1").Writer.Kinds.All.OfType<GatewayApiKind<BackendTlsPolicy>>().Single().ReachOf(policy);
        Assert.Equal(concerned, reach.IsEverything ? "all" : string.Join(' ', reach.Hosts));
    }
}

using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model.GatewayApi;
using Xunit;

namespace Isthmus.Tests.ControlPlane.GatewayApi;

/// <summary>What is said of whole meshes.</summary>
public sealed class ApiMeshTests
{
    [Fact]
    public void Ours_says_what_the_mesh_supports()
    {
        var status = StatusOf("controllerName: istio.io/mesh-controller");
        Assert.Equal("Accepted True Accepted", TextOf(status));
        Assert.All((string[])["Mesh", "MeshConsumerRoute", "HTTPRoute", "GRPCRouteRequestHeaderModifier"],
            feature => Assert.Contains(feature, status!.Features));
        Assert.DoesNotContain(status!.Features, feature => feature.StartsWith("Gateway", StringComparison.Ordinal));
        // As the definition demands.
        Assert.Equal(status.Features.Order(StringComparer.Ordinal), status.Features);
        Assert.InRange(status.Features.Count, 1, 64);
        Assert.Equal(7, status.Generation.Number);
    }

    [Fact]
    public void Parameters_are_refused() =>
        Assert.Equal("Accepted False InvalidParameters",
            TextOf(StatusOf("controllerName: istio.io/mesh-controller, parametersRef: {group: '', kind: ConfigMap, name: istio, namespace: istio-system}")));

    [Fact]
    public void Nothing_is_said_of_those_of_others() => Assert.Null(StatusOf("controllerName: example.com/mesh"));

    private static SupportStatus? StatusOf(string spec)
    {
        var rig = new GatewayApiRig(
            $"{{apiVersion: gateway.networking.x-k8s.io/v1alpha1, kind: XMesh, metadata: {{name: mesh, generation: 7}}, spec: {{{spec}}}}}");
        return rig.Mesh.Mesh.ApiStatuses.Items.GetValueOrDefault(new("c1", MeshApi.ApiMesh.Name, "", "mesh")) as SupportStatus;
    }

    private static string TextOf(SupportStatus? status) =>
        string.Join(", ", status!.Conditions.Select(condition => $"{condition.Type} {condition.Status} {condition.Reason}"));
}

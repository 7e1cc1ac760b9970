using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Mcs;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Xunit;

namespace Isthmus.Tests.Effects.GatewayApi;

/// <summary>Each field of the Gateway API: without it, something else follows, or a status names what is wrong, or docs/api.md says that nothing
/// follows.</summary>
public sealed class GatewayApiFieldTests
{
    private static readonly Lazy<GatewayApiMesh> Mesh = new(static () => new());

    public static TheoryData<string, string> Fields =>
        [.. GatewayApiFields.All.Where(known => known.Path.Length > 0 && known.Answer != GatewayApiFields.Written).Select(known => (known.Kind, known.Path))];

    [Theory]
    [MemberData(nameof(Fields))]
    public void A_field_does_what_the_page_says(string kind, string path)
    {
        var field = GatewayApiFields.All.Single(known => (known.Kind, known.Path) == (kind, path));
        var samples = GatewayApiMesh.Samples(kind).Select(sample => (With: sample, Without: ApiSamples.Without(sample, $"spec.{path}")))
            .Where(pair => pair.Without is not null).ToList();
        Assert.True(samples.Count > 0, $"No sample in {ApiSamples.FileOf($"gateway-api/{kind}")} has {path}.");
        switch (field.Answer)
        {
            case GatewayApiFields.Works:
                Assert.True(samples.Exists(pair => AreDifferent(pair.With, pair.Without!)), $"Nothing follows from {kind} {path} in its samples.");
                break;
            case GatewayApiFields.Idle:
                Assert.All(samples, pair => Assert.False(AreDifferent(pair.With, pair.Without!)));
                break;
            default:
                Assert.Contains(samples, pair => Mesh.Value.Whole(pair.With)
                    .Any(item => item.Key.StartsWith("status ", StringComparison.Ordinal) && item.Value.Contains(field.Words, StringComparison.Ordinal)));
                break;
        }
    }

    [Fact]
    public void Written_fields_are_those_that_an_export_gives_an_import()
    {
        var rig = new MeshRig("c1");
        rig.Writer.Put("c1", new Namespace { Metadata = new() { Name = MeshRig.Namespace } });
        rig.Writer.Put("c1", new Service
        {
            Metadata = new() { Name = "web", Namespace = MeshRig.Namespace },
            Spec = new()
            {
                ClusterIP = "10.96.0.10", ClusterIPs = ["10.96.0.10"], IpFamilies = ["IPv4"], SessionAffinity = "ClientIP",
                SessionAffinityConfig = new() { ClientIP = new() { TimeoutSeconds = 9 } }, InternalTrafficPolicy = "Local",
                TrafficDistribution = "PreferClose", Ports = [new() { Name = "http", Port = 80, AppProtocol = "http", Protocol = "TCP" }],
            },
        });
        var named = new JsonObject { ["name"] = "web", ["namespace"] = MeshRig.Namespace };
        rig.Writer.PutMultiCluster("c1", new() { ["kind"] = "ServiceExport", ["metadata"] = named });
        rig.Push();
        var spec = Assert.Single(MultiClusterPlan.Of(rig.Mesh, "c1", MultiClusterSettings.Default).Imports).Spec;
        Assert.All(GatewayApiFields.All.Where(field => field.Answer == GatewayApiFields.Written),
            field => Assert.NotNull(ApiSamples.Without(spec, field.Path)));
    }

    private static bool AreDifferent(JsonNode one, JsonNode other) => !Mesh.Value.Whole(one).SequenceEqual(Mesh.Value.With(other));
}

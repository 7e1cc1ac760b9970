using Isthmus.ControlPlane.Push;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire.Discovery;
using Xunit;
using TypeUrls = Isthmus.Wire.Xds.TypeUrls;

namespace Isthmus.Tests.Effects.Envoys;

/// <summary>EnvoyFilters that change the bootstrap: agents of Envoys are told what, in the order of the filters.</summary>
public sealed class BootstrapPatchTests
{
    [Theory]
    [InlineData("ANY", "1 2", "1 2")]
    [InlineData("SIDECAR_INBOUND", "1 2", "")]
    [InlineData("SIDECAR_OUTBOUND", "1 2", "")]
    [InlineData("GATEWAY", "", "1 2")]
    public void Envoys_get_the_patches_of_their_context(string context, string sidecar, string gateway)
    {
        var rig = new MeshRig("c1") { Software = ProxySoftware.Of("envoy", []) };
        var (one, other) = (rig.Sidecar("c1"), rig.Router("c1", "door"));
        rig.Config(Filter("late", context, 2, priority: 1));
        rig.Config(Filter("early", context, 1, priority: 0));
        rig.Push();
        Assert.DoesNotContain(rig.Mesh.Sources.Problems.Items.Values.SelectMany(item => item.Problems), problem => problem.Severity == Severity.Error);
        Assert.Equal((sidecar, gateway), (Told(one), Told(other)));
        rig.Writer.RemoveConfig("c1", "EnvoyFilter", "shop", "late");
        rig.Writer.RemoveConfig("c1", "EnvoyFilter", "shop", "early");
        rig.Push();
        Assert.Equal(("", ""), (Told(one), Told(other)));
    }

    /// <summary>The question stays without an answer for who is no Envoy, and nothing else changes.</summary>
    [Fact]
    public void Our_proxies_get_nothing_of_them()
    {
        var rig = new MeshRig("c1");
        var feed = rig.Sidecar("c1");
        rig.Push();
        var before = MeshRig.Versions(feed).ToList();
        rig.Config(Filter("any", "ANY", 1, priority: 0));
        rig.Push();
        Assert.Equal(before, MeshRig.Versions(feed));
        Assert.False(feed.Snapshot!.Types.ContainsKey(TypeUrls.BootstrapPatch));
    }

    private static string Told(ProxyFeed feed) => string.Join(' ',
        BootstrapPatch.Parser.ParseFrom(Assert.Single(feed.Snapshot!.Types[TypeUrls.BootstrapPatch].All).Body.Value).Values
            .Select(text => text.Split("\"stats_server_version_override\":")[1].TrimEnd('}')));

    private static string Filter(string name, string context, int value, int priority) => $$"""
        apiVersion: networking.istio.io/v1alpha3
        kind: EnvoyFilter
        metadata: {name: {{name}}, namespace: shop}
        spec:
          priority: {{priority}}
          configPatches:
          - applyTo: BOOTSTRAP
            match: {context: {{context}} }
            patch: {operation: MERGE, value: {statsServerVersionOverride: {{value}} } }
        """;
}

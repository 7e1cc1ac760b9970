using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Inventory;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

public sealed class MissingDefinitionsTests
{
    private static ClusterInventory Cluster(string context, params string[] undefined) =>
        ClusterInventory.From(context, MeshText.Clusters(MeshText.Join(MeshText.Root,
            MeshText.Workload("istio-system", "istiod-1", "app: istiod", "containers: [{name: discovery}]")))[0].AllObjects).WithUndefined([.. undefined]);

    /// <summary>Somebody has deleted it, and with it all VirtualServices: calls take the default route.</summary>
    [Fact]
    public void A_definition_that_only_another_cluster_has_is_missed()
    {
        var finding = Assert.Single(Isthmus.Operate.Diagnose.Analysis.Analysis.Run([Cluster("c1"), Cluster("c2", "VirtualService")]));
        Assert.Equal(("c2", "ISM1523", "cluster c2"), (finding.Cluster, finding.Problem.Code, finding.Problem.Object));
        Assert.Contains("has no CustomResourceDefinition virtualservices.networking.istio.io, which c1 has", finding.Problem.Message, StringComparison.Ordinal);
        Assert.Contains("isthmus install -y --context=c2 -f FILE", finding.Problem.Remedy, StringComparison.Ordinal);
        Assert.Equal("ISM1046", Assert.Single(MissingDefinitions.Checks([Cluster("c1"), Cluster("c2", "VirtualService")])).Problem?.Code);
    }

    /// <summary>Kinds that no cluster has, or that came with a later version, are missed by nobody.</summary>
    [Fact]
    public void Definitions_that_nobody_misses_are_not_named()
    {
        Assert.Empty(MissingDefinitions.Checks([Cluster("c1"), Cluster("c2")]));
        Assert.Empty(MissingDefinitions.Checks([Cluster("c1", "VirtualService"), Cluster("c2", "VirtualService")]));
        Assert.Empty(MissingDefinitions.Checks([Cluster("c1"), Cluster("c2", "WasmPlugin", "Telemetry")]));
    }
}

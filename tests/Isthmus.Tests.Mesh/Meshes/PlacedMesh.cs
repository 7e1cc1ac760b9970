using Xunit;

namespace Isthmus.Tests.Mesh.Meshes;

/// <summary>The mesh of the quickstart with its clusters in different regions.</summary>
public sealed class PlacedMeshRig : MeshRig
{
    protected override string[] Up =>
        ["--clusters", "2", "--network", "cluster1=network1,cluster2=network2", "--region", "cluster1=eu,cluster2=us", "--zone", "cluster1=eu-1,cluster2=us-1"];

    private bool _defined;

    /// <summary>Defines kinds for the first test that needs them, and for all after it.</summary>
    internal async Task DefineAsync(string file)
    {
        if (_defined) return;
        foreach (var cluster in Clusters) await KubectlAsync(cluster, $"apply -f {file}");
        _defined = true;
    }
}

/// <summary>One mesh for all classes that call services and break nothing. Each class has a Kubernetes namespace of its
/// own.</summary>
[CollectionDefinition(nameof(PlacedMesh))]
public sealed class PlacedMesh : ICollectionFixture<PlacedMeshRig>;

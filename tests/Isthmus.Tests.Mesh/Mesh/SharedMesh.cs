using Xunit;

namespace Isthmus.Tests.Mesh.Mesh;

/// <summary>
/// One mesh of two clusters for all classes whose tests leave it unchanged. A class that breaks clusters permanently has
/// its own fixture.
/// </summary>
[CollectionDefinition(nameof(SharedMesh))]
public sealed class SharedMesh : ICollectionFixture<MeshRig>;

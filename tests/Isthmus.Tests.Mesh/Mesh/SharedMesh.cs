using Xunit;

namespace Isthmus.Tests.Mesh.Mesh;

/// <summary>
/// One mesh of two clusters for all classes whose tests leave it as they found it. A class that breaks clusters for good has a fixture of its own.
/// </summary>
[CollectionDefinition(nameof(SharedMesh))]
public sealed class SharedMesh : ICollectionFixture<MeshRig>;

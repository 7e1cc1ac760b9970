using Xunit;

namespace Isthmus.Tests.Mesh.Meshes;

/// <summary>
/// One mesh of two clusters for all classes that take parts of it away under load and restore them. A class that breaks
/// clusters permanently has its own fixture.
/// </summary>
[CollectionDefinition(nameof(SharedMesh))]
public sealed class SharedMesh : ICollectionFixture<MeshRig>;

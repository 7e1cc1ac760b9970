using Xunit;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary>One mesh for all classes whose tests leave it as they found it.</summary>
[Trait("shard", "LoopbackMesh")]
[CollectionDefinition(nameof(SharedLoopbackMesh))]
public sealed class SharedLoopbackMesh : ICollectionFixture<LoopbackMeshRig>, ICollectionFixture<FaultyServices>;

using Isthmus.Graph.Derive;
using Isthmus.Graph.History;
using Isthmus.Core.Live;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Intake;

/// <summary>A kind that admission refuses. Objects that API servers stored without it are read only to tell their problems.</summary>
public sealed class RefusedKind(KindDescriptor kind) : IstioObjectKind<NoValue>(kind)
{
    internal override Source<ObjectKey, NoValue>? SourceIn(MeshSources sources) => null;

    internal override Reach ReachOf(NoValue value) => Reach.OfHosts();
}

/// <summary>Stands in for the value of objects that never have one.</summary>
public sealed record NoValue
{
    private NoValue()
    {
    }
}

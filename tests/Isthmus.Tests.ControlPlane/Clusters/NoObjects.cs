using Isthmus.Graph.History;
using Isthmus.Graph.Intake;
using Isthmus.ControlPlane.Resolve;
using Isthmus.Kubernetes.Watch;
using Isthmus.Mesh.Model;

namespace Isthmus.Tests.ControlPlane.Clusters;

/// <summary>For code that resolves no names.</summary>
internal sealed class NoNames : INameClient
{
    public Task<NameAnswer> AskAsync(string host, CancellationToken stop) => throw new NotSupportedException();
}

/// <summary>For code that needs only the connection to a cluster.</summary>
internal sealed class NoObjects : IClusterObjects
{
    public ValueTask Replace<TFacts>(WatchId watch, MeshKind<TFacts> kind, IReadOnlyList<KeyValuePair<string, TFacts>> items)
        where TFacts : class => ValueTask.CompletedTask;

    public ValueTask Apply<TFacts>(WatchId watch, MeshKind<TFacts> kind, IReadOnlyList<Change<TFacts>> changes,
        IReadOnlyDictionary<string, ObjectWrite>? writes)
        where TFacts : class => ValueTask.CompletedTask;

    public ValueTask Remove(WatchId watch) => ValueTask.CompletedTask;

    public ValueTask Contact(ClusterContact contact) => ValueTask.CompletedTask;
}

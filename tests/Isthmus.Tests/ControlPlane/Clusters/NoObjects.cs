using Isthmus.ControlPlane.Clusters;
using Isthmus.ControlPlane.Resolve;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Mesh.Model;

namespace Isthmus.Tests.ControlPlane.Clusters;

/// <summary>For what asks for no names.</summary>
internal sealed class NoNames : INameClient
{
    public Task<NameAnswer> AskAsync(string host, CancellationToken stop) => throw new NotSupportedException();
}

/// <summary>For what only needs the connection to a cluster.</summary>
internal sealed class NoObjects : IClusterObjects
{
    public ValueTask Replace<T>(WatchId watch, ResourceKind kind, IReadOnlyList<KeyValuePair<string, T>> items) where T : class => ValueTask.CompletedTask;

    public ValueTask Apply<T>(WatchId watch, ResourceKind kind, IReadOnlyList<Change<T>> changes) where T : class => ValueTask.CompletedTask;

    public ValueTask Remove(WatchId watch) => ValueTask.CompletedTask;

    public ValueTask Contact(ClusterContact contact) => ValueTask.CompletedTask;
}

using Isthmus.Core.Problems;

namespace Isthmus.ControlPlane.Clusters;

/// <summary>What a <see cref="ClusterSet"/> knows about one remote cluster.</summary>
internal abstract record RemoteState
{
    /// <param name="Next">The watch with changed credentials, while it has not synced.</param>
    /// <param name="IsLate">Its time to sync is over.</param>
    internal sealed record Watched(ClusterWatch Watch, ClusterWatch? Next, bool IsLate) : RemoteState;

    /// <summary>The Secret cannot be used.</summary>
    internal sealed record Invalid(string Cluster, string Secret, Problem Problem) : RemoteState;
}

/// <summary>The lines of <c>remote-clusters</c>: the connections, and other problems of clusters whose connection works.</summary>
public sealed class ClusterReport(ClusterSet clusters, RemoteRoots roots, ManagedRemotes managed, TimeProvider time)
{
    public IReadOnlyList<ClusterStatus> Lines() => [.. clusters.States().Select(Line).OrderBy(line => line.Id, StringComparer.Ordinal)];

    private ClusterStatus Line(RemoteState state) => state switch
    {
        RemoteState.Watched { Watch: var watch } watched => ClusterStatus.Of(watch, watched.Next, watched.IsLate, Otherwise(watch.Id), time.GetUtcNow()),
        RemoteState.Invalid invalid => ClusterStatus.Invalid(invalid.Cluster, invalid.Secret, invalid.Problem.ToString()),
        _ => throw new NotSupportedException(state.ToString()),
    };

    private string Otherwise(string cluster) => roots.Difference(cluster) is { Length: > 0 } difference ? difference : managed.Problem(cluster);
}

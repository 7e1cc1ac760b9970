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
    private static readonly IReadOnlyDictionary<ClusterWatch, RemoteProof> Unasked = new Dictionary<ClusterWatch, RemoteProof>();

    private readonly RemoteProofs _proofs = new(time);

    public IReadOnlyList<ClusterStatus> Lines() => Lines(Unasked);

    /// <summary>The same with what the API servers say now.</summary>
    public async Task<IReadOnlyList<ClusterStatus>> ProvenAsync() => Lines(await _proofs.OfAsync([clusters.Config, .. clusters.Remotes.Values]));

    private IReadOnlyList<ClusterStatus> Lines(IReadOnlyDictionary<ClusterWatch, RemoteProof> proofs) =>
        [.. clusters.States().Select(state => Line(state, proofs)).OrderBy(line => line.Id, StringComparer.Ordinal)];

    private ClusterStatus Line(RemoteState state, IReadOnlyDictionary<ClusterWatch, RemoteProof> proofs) => state switch
    {
        RemoteState.Watched { Watch: var watch } watched =>
            ClusterStatus.Of(watch, watched.Next, watched.IsLate, Otherwise(watch, proofs), time.GetUtcNow()) with
            {
                Uid = proofs.GetValueOrDefault(watch)?.Uid ?? "",
            },
        RemoteState.Invalid invalid => ClusterStatus.Invalid(invalid.Cluster, invalid.Secret, invalid.Problem.ToString()),
        _ => throw new NotSupportedException(state.ToString()),
    };

    private string Otherwise(ClusterWatch watch, IReadOnlyDictionary<ClusterWatch, RemoteProof> proofs) =>
        proofs.GetValueOrDefault(watch)?.Refusal is { } refusal ? ClusterStatus.Describe(watch, refusal)
        : Twin(watch, proofs) is { Length: > 0 } twin ? twin
        : roots.Difference(watch.Id) is { Length: > 0 } difference ? difference : managed.Problem(watch.Id);

    /// <summary>The credentials lead to a cluster that is read by another name already; empty when they do not.</summary>
    private string Twin(ClusterWatch watch, IReadOnlyDictionary<ClusterWatch, RemoteProof> proofs)
    {
        if (proofs.GetValueOrDefault(watch) is not { Uid: { Length: > 0 } uid }) return "";
        var other = proofs.Where(proof => proof.Key != watch && proof.Value.Uid == uid).Select(proof => proof.Key)
            .OrderBy(one => one == clusters.Config ? 0 : 1).FirstOrDefault();
        if (other is null) return "";
        var seen = other == clusters.Config ? $"cluster {other.Id}, which has this control plane" : $"the same cluster as those of {other.Id}";
        return $"its credentials lead to {seen}, and not to a cluster {watch.Id} of its own: both have the UID {uid} of Namespace kube-system";
    }
}

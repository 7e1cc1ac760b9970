using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.ControlPlane.Clusters;

/// <summary>What the API server of a cluster says when it is asked anew.</summary>
/// <param name="Uid">The UID of its Namespace kube-system, by which clusters are told apart; empty when it does not say.</param>
/// <param name="Refusal">Why it lets a kind that the mesh needs not be read any more; null when it lets all be read.</param>
internal sealed record RemoteProof(string Uid, KubeException? Refusal);

/// <summary>
/// Asks API servers anew what the watches of clusters take for granted: an open watch goes on for minutes after the right to it is gone, and the credentials of
/// another cluster work as well. They are asked only when somebody wants to know.
/// </summary>
internal sealed class RemoteProofs(TimeProvider time)
{
    private const string SystemNamespace = "kube-system";

    /// <summary>How long an answer is as good as a new one, and how long to wait for one.</summary>
    private static readonly TimeSpan Lifetime = TimeSpan.FromSeconds(2), Patience = TimeSpan.FromSeconds(3);

    private readonly Lock _guard = new(); // Guards _asked.
    private Dictionary<ClusterWatch, (DateTimeOffset At, Task<RemoteProof> Proof)> _asked = [];

    /// <summary>What the API servers of all these clusters say; those that do not answer in time say nothing.</summary>
    public async Task<IReadOnlyDictionary<ClusterWatch, RemoteProof>> OfAsync(IReadOnlyList<ClusterWatch> watches)
    {
        Dictionary<ClusterWatch, (DateTimeOffset At, Task<RemoteProof> Proof)> asked;
        lock (_guard)
        {
            var now = time.GetUtcNow();
            asked = watches.ToDictionary(watch => watch,
                watch => _asked.TryGetValue(watch, out var last) && now - last.At < Lifetime ? last : (now, AskAsync(watch)));
            _asked = asked;
        }
        var found = new Dictionary<ClusterWatch, RemoteProof>();
        foreach (var (watch, (_, proof)) in asked) found[watch] = await proof;
        return found;
    }

    private async Task<RemoteProof> AskAsync(ClusterWatch watch)
    {
        using var limit = new CancellationTokenSource(Patience, time);
        var naming = UidAsync(watch, limit.Token);
        // What the control plane cannot read of its own cluster keeps it from being ready.
        var refusals = watch.Secret.Length == 0 ? []
            : await Task.WhenAll(watch.Needed.Select(kind => RefusalAsync(watch, kind.Kind, kind.Namespace, limit.Token)));
        return new(await naming, refusals.FirstOrDefault(refusal => refusal is not null));
    }

    private static async Task<string> UidAsync(ClusterWatch watch, CancellationToken stop)
    {
        try { return (await watch.Client.FindAsync<Namespace>(Kinds.Namespace, null, SystemNamespace, stop))?.Metadata.Uid ?? ""; }
        catch (Exception e) when (IsNoAnswer(e)) { return ""; }
    }

    private static async Task<KubeException?> RefusalAsync(ClusterWatch watch, ResourceKind kind, string? ns, CancellationToken stop)
    {
        try
        {
            await watch.Client.ListAsync<JsonObject>(kind, ns, new() { Limit = 1 }, stop);
            return null;
        }
        catch (KubeException e) when (e.Code is 401 or 403) { return e; }
        catch (Exception e) when (IsNoAnswer(e)) { return null; }
    }

    /// <summary>The watch itself tells when an API server cannot be reached.</summary>
    private static bool IsNoAnswer(Exception e) =>
        e is KubeException or HttpRequestException or IOException or OperationCanceledException or ObjectDisposedException or JsonException;
}

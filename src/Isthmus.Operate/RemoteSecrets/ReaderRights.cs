using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;

namespace Isthmus.Operate.RemoteSecrets;

/// <summary>What an account that exists may read. The API server decides: a right may come from a group, or from a binding of any name.</summary>
internal sealed class ReaderRights(KubeClient client, string ns, string account, TimeProvider time)
{
    /// <summary>An installation that runs at the same time creates the account first, and its rights some objects later. An account that is older than
    /// this has what it is meant to have.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5), Look = TimeSpan.FromMilliseconds(250);

    /// <summary>A cluster without these is not served at all.</summary>
    private static readonly IReadOnlyList<KindDescriptor> Needed =
        [.. MeshApi.All.Where(kind => kind is { Place: KindPlace.EveryCluster, IsCustom: false, Rights.Reader: KindRights.Read })];

    /// <summary>What a control plane elsewhere cannot read with the account, and how to grant it; null when it reads everything, or nobody tells the
    /// user.</summary>
    /// <param name="created">When the account was created.</param>
    public async Task<string?> LackAsync(DateTimeOffset? created, CancellationToken stop)
    {
        try
        {
            var (begun, patience) = (time.GetTimestamp(), time.GetUtcNow() - created <= Patience ? Patience : TimeSpan.Zero);
            var lacking = Needed;
            while ((lacking = await LackingAsync(lacking, stop)).Count > 0)
            {
                if (time.GetElapsedTime(begun) >= patience)
                    return $"Warning: ServiceAccount {ns}/{account} may not list {string.Join(", ", lacking.Select(kind => kind.Plural))} of all "
                        + $"namespaces, so that a control plane cannot watch this cluster with the secret. Its rights are left as they are. "
                        + "To grant them, repeat the command with --restore-permissions.";
                await Task.Delay(Look, time, stop);
            }
            return null;
        }
        catch (KubeException)
        {
            return null;
        }
    }

    private async Task<IReadOnlyList<KindDescriptor>> LackingAsync(IEnumerable<KindDescriptor> kinds, CancellationToken stop)
    {
        var lacking = new List<KindDescriptor>();
        foreach (var kind in kinds)
            if (!await MayListAsync(kind, stop)) lacking.Add(kind);
        return lacking;
    }

    private async Task<bool> MayListAsync(KindDescriptor kind, CancellationToken stop)
    {
        return AccessReview.Allows(await client.CreateAsync(Kinds.SubjectAccessReview, AccessReview.OfList(ns, account, kind.Group, kind.Plural, null), stop));
    }
}

using Isthmus.Kubernetes.Client;

namespace Isthmus.ControlPlane.Clusters;

/// <summary>One line of <c>remote-clusters</c>.</summary>
/// <param name="Secret">The remote secret that names the cluster, <c>namespace/name</c>, or the path of its file.</param>
/// <param name="Status"><c>synced</c>, <c>syncing</c>, <c>timeout</c> (not reached in time; still being tried) or <c>invalid</c>.</param>
/// <param name="Source">The source of the cluster's served state.</param>
/// <param name="LastContact">When its API server last responded; null if never since this control plane started.</param>
/// <param name="Confirmed">When the served state was last confirmed; null: nothing is served.</param>
/// <param name="Expires">When the credentials of the Secret expire; null if never or unknown.</param>
/// <param name="Error">The error; empty when there is none.</param>
/// <param name="Warning">What will fail unless someone acts.</param>
public sealed record ClusterStatus(
    string Id, string Secret, string Status, ClusterSource Source, DateTimeOffset? LastContact, DateTimeOffset? Confirmed, DateTimeOffset? Expires,
    string Error, string Warning)
{
    /// <summary>When the credentials of the Secret were issued; null when nobody knows.</summary>
    public DateTimeOffset? Issued { get; init; }

    /// <summary>The UID of the Namespace kube-system of the cluster to which the credentials lead; empty when nobody asked, or it is not known.</summary>
    public string Uid { get; init; } = "";

    /// <summary>Every value of <see cref="Status"/>.</summary>
    internal static readonly string[] All = ["synced", "syncing", "timeout", "invalid"];

    internal static ClusterStatus Invalid(string id, string secret, string error) =>
        new(id, secret, "invalid", ClusterSource.Nothing, null, null, null, error, "");

    /// <param name="otherwise">What is wrong although the connection works; empty for nothing.</param>
    internal static ClusterStatus Of(ClusterWatch watch, ClusterWatch? next, bool timedOut, string otherwise, DateTimeOffset now)
    {
        var error = watch.LastError;
        var lifetime = CredentialLifetime.Of(watch.Access);
        var isSynced = watch.Contact.Synced;
        var source = isSynced
            ? error is null ? ClusterSource.Live : ClusterSource.Memory
            : watch.SnapshotOf is null
            ? ClusterSource.Nothing
            : ClusterSource.Snapshot;
        return new(
            watch.Id, watch.Secret, isSynced ? "synced" : timedOut ? "timeout" : "syncing", source, watch.LastContact,
            source switch { ClusterSource.Nothing => null, ClusterSource.Snapshot => watch.SnapshotOf, _ => watch.LastContact },
            lifetime?.Expires,
            error is not null ? Describe(watch, error)
                : next?.LastError is { } refused
                ? $"the changed credentials do not work; the previous ones stay in effect: {Describe(next, refused)}"
                : otherwise,
            lifetime is { } life && life.IsEnding(now)
                ? $"its credentials {(life.Expires <= now ? "expired" : "expire")} at {life.Expires.ToUniversalTime():u}; create new ones with 'isthmus "
                    + $"create-remote-secret --name={watch.Id} --rotate' and apply them here"
                : "") { Issued = lifetime?.Issued };
    }

    internal static string Describe(ClusterWatch watch, Exception error) => error switch
    {
        KubeException { Code: 401 } =>
            $"{watch.Access.Server} rejects the token: it has expired or its account is gone; create the secret again with 'isthmus create-remote-secret'",
        KubeException { Code: 403 } e => $"{watch.Access.Server}: {e.Message}; the account of the secret lacks permissions",
        HttpRequestException e => $"{watch.Access.Server} cannot be reached: {Unreachable.Describe(e)}",
        _ => $"{watch.Access.Server} cannot be reached: {error.InnerException?.Message ?? error.Message}",
    };
}

/// <summary>The source of a remote cluster's served state: its API server, the state before contact was lost, or the
/// snapshot of an earlier control plane.</summary>
public enum ClusterSource { Nothing, Live, Memory, Snapshot }

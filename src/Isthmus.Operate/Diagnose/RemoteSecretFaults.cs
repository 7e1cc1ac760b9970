using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose;

/// <summary>A cluster, as remote secrets are held against it.</summary>
/// <param name="Name">How its control plane calls it; empty when nobody knows.</param>
/// <param name="Server">The address of its API server; empty when nobody knows.</param>
/// <param name="Uid">The UID of its Namespace kube-system; empty when nobody knows.</param>
internal sealed record NamedCluster(string Context, string Name, string Server, string Uid = "");

/// <summary>What keeps a control plane from reading another cluster by an entry of a remote secret, or makes it take the cluster for another one.
/// Pure.</summary>
internal static class RemoteSecretFaults
{
    /// <summary>The object of the problem is the Secret. Null: nothing is wrong.</summary>
    /// <param name="holder">The context of the cluster that has the Secret.</param>
    /// <param name="entries">All entries there.</param>
    internal static Problem? Of(string holder, RemoteSecretFacts entry, IReadOnlyList<RemoteSecretFacts> entries, IReadOnlyList<NamedCluster> members,
        DateTimeOffset now) =>
        Own(holder, entry, members, now)
        ?? (entries.FirstOrDefault(other => other != entry && other.Cluster == entry.Cluster) is { } twin
            && string.CompareOrdinal(twin.Secret, entry.Secret) < 0
            ? Wrong("ISM1024", entry, $"names cluster {entry.Cluster}, and so does Secret {twin.Secret}: only one of them is used",
                "delete one of them") : null);

    private static Problem? Own(string holder, RemoteSecretFacts entry, IReadOnlyList<NamedCluster> members, DateTimeOffset now)
    {
        var meant = members.FirstOrDefault(member => member.Name == entry.Cluster);
        string Again(string more = "") => WatchedCluster.Create(meant?.Context, entry.Cluster, holder, entry.Secret.Split('/')[0], more);
        if (entry.Error.Length > 0) return Wrong("ISM1025", entry, $"cannot be used: {entry.Error}", Again());
        if (Uri.TryCreate(entry.Server, UriKind.Absolute, out var server) && (server.IsLoopback || server.Host is "0.0.0.0"))
        {
            return Wrong("ISM1027", entry, $"points to {entry.Server}, which is the control plane's own Pod, not the API server of {entry.Cluster}",
                $"with an address that Pods can reach in place of ADDRESS: {Again($" --server=https://ADDRESS:{server.Port}")}");
        }
        if (entry.Expires <= now) return Wrong("ISM1023", entry, $"its token expired at {entry.Expires:u}", Again());
        if (Strayed(entry.Uid, entry.Cluster, members) is { Length: > 0 } strayed) return Wrong("ISM1026", entry, strayed, Again());
        var other = members.FirstOrDefault(member => member.Server.Length > 0 && member.Server == entry.Server && member.Name.Length > 0
            && member.Name != entry.Cluster);
        return other is null || meant?.Server == entry.Server || members.Count(member => member.Name == other.Name) > 1 ? null
            : Wrong("ISM1026", entry, $"calls the cluster at {entry.Server} {entry.Cluster}, and that one calls itself {other.Name}",
                other.Context == holder ? $"it leads back to {holder} itself: create it again from the cluster that is meant: {Again()}"
                    : Renamed(holder, entry, other));
    }

    /// <summary>Credentials that work, and lead to another cluster than the one whose name they have; null: they do not.</summary>
    /// <param name="holder">The context of the cluster that has the Secret.</param>
    /// <param name="ns">The namespace of its control plane.</param>
    internal static Problem? Astray(string holder, string ns, WatchedCluster watched, IReadOnlyList<NamedCluster> members)
    {
        var meant = members.FirstOrDefault(member => member.Name == watched.Id)?.Context;
        return Strayed(watched.Uid, watched.Id, members) is not { Length: > 0 } strayed ? null
            : new("ISM1026", watched.Place, "", strayed,
                watched.IsInFile ? $"mount a kubeconfig of {meant} in its place" : WatchedCluster.Create(meant, watched.Id, holder, ns));
    }

    /// <summary>Where credentials lead that do not lead to the cluster whose name they have; empty when they do, or nobody knows.</summary>
    private static string Strayed(string uid, string name, IReadOnlyList<NamedCluster> members)
    {
        if (uid.Length == 0 || members.Where(member => member.Name == name).ToList() is not [{ Uid.Length: > 0 } meant] || meant.Uid == uid) return "";
        var seen = members.FirstOrDefault(member => member.Uid == uid);
        return $"names cluster {name}, and its credentials lead to "
            + (seen is null ? "a cluster that is not among these contexts" : $"{seen.Context}{(seen.Name.Length > 0 ? $", which is cluster {seen.Name}" : "")}")
            + $": Namespace kube-system has the UID {uid} there, and {meant.Uid} in {meant.Context}";
    }

    /// <summary>The Secret of another name is made before the one in force goes, unless it takes its place.</summary>
    private static string Renamed(string holder, RemoteSecretFacts entry, NamedCluster of)
    {
        var (ns, name) = (entry.Secret.Split('/')[0], entry.Secret.Split('/')[^1]);
        var (delete, create) = ($"kubectl --context={holder} -n {ns} delete secret {name}", WatchedCluster.Create(of.Context, of.Name, holder, ns));
        return name == WellKnown.RemoteSecretPrefix + of.Name ? $"{delete}; then {create}" : $"{create}; then {delete}";
    }

    private static Problem Wrong(string code, RemoteSecretFacts entry, string message, string remedy) => new(code, $"Secret {entry.Secret}", "", message,
        remedy);
}

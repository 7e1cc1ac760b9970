using Isthmus.Core.Problems;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose;

/// <summary>A cluster, as remote secrets are held against it.</summary>
/// <param name="Name">How its control plane calls it; empty when nobody knows.</param>
/// <param name="Server">The address of its API server; empty when nobody knows.</param>
internal sealed record NamedCluster(string Context, string Name, string Server);

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
        var again = $"isthmus create-remote-secret --context={meant?.Context ?? "CONTEXT"} --name={entry.Cluster} | kubectl apply -f - --context={holder}";
        if (entry.Error.Length > 0) return Wrong("ISM1025", entry, $"cannot be used: {entry.Error}", again);
        if (Uri.TryCreate(entry.Server, UriKind.Absolute, out var server) && (server.IsLoopback || server.Host is "0.0.0.0"))
        {
            return Wrong("ISM1027", entry, $"points to {entry.Server}, which is the control plane's own Pod, not the API server of {entry.Cluster}",
                $"create it with an address that Pods can reach: isthmus create-remote-secret --context={meant?.Context ?? "CONTEXT"} --name={entry.Cluster} "
                    + "--server=https://ADDRESS:6443");
        }
        if (entry.Expires <= now) return Wrong("ISM1023", entry, $"its token expired at {entry.Expires:u}", again);
        var other = members.FirstOrDefault(member => member.Server.Length > 0 && member.Server == entry.Server && member.Name.Length > 0
            && member.Name != entry.Cluster);
        return other is null || meant?.Server == entry.Server || members.Count(member => member.Name == other.Name) > 1 ? null
            : Wrong("ISM1026", entry, $"calls the cluster at {entry.Server} {entry.Cluster}, and that one calls itself {other.Name}",
                $"create it again with --name={other.Name}");
    }

    private static Problem Wrong(string code, RemoteSecretFacts entry, string message, string remedy) => new(code, $"Secret {entry.Secret}", "", message,
        remedy);
}

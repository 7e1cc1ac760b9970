using Isthmus.Graph.Derive;
using Isthmus.ControlPlane.Push;
using Isthmus.Graph.Settings;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Statuses;

/// <summary>Keeps a condition in the status of each object that claims a host or an address of another: admission may not know of the owner yet.</summary>
/// <param name="cluster">The cluster of <paramref name="client"/>. Objects of others have no status from here.</param>
public sealed class OwnerStatus(KubeClient client, string cluster, PushEngine engine, TimeProvider time, ILogger log)
{
    internal const string Reason = "OwnedByAnother";

    private readonly Dictionary<string, ObjectCondition> _conditions = MeshApi.All.Where(kind => kind.ClaimsHosts).ToDictionary(
        kind => kind.Kind, kind => new ObjectCondition(client, kind.Resource, (ObjectProblems.Ownership, Reason), time, log), StringComparer.Ordinal);

    private sealed record Found(List<ObjectRef> Known, List<(ObjectRef Source, ObjectProblems Problems)> Claims);

    public Task RunAsync(CancellationToken stop) => new Rounds(time).AfterAsync([Trigger.Commit(engine)], UpdateAsync, stop);

    internal async Task<NextRound> UpdateAsync(CancellationToken stop)
    {
        // Before all is known, an owner may be missing.
        if (await engine.AskAsync(writer => engine.IsReady ? Find(writer.Mesh) : null, stop).ConfigureAwait(false) is not { } found) return NextRound.AtChange;
        var next = NextRound.AtChange;
        foreach (var (kind, condition) in _conditions)
        {
            next = next.Or(await condition.UpdateAsync(
                [.. found.Known.Where(source => source.Kind == kind).Select(Name).Union(condition.Told)],
                [.. found.Claims.Where(item => item.Source.Kind == kind).SelectMany(item => item.Problems.Problems)], stop).ConfigureAwait(false));
        }
        return next;
    }

    /// <summary>Only those that claim something, and those whose status says so, rightly or from before.</summary>
    private Found Find(MeshGraph mesh)
    {
        var claims = mesh.ForeignClaims.Items.Where(item => item.Key.Cluster == cluster).Select(item => (item.Key, item.Value)).ToList();
        return new([.. claims.Select(item => item.Key)
            .Union(mesh.Sources.Problems.Items.Where(item => item.Value.IsTold && item.Key.Cluster == cluster).Select(item => item.Key))],
            claims);
    }

    private static string Name(ObjectRef source) => $"{source.Namespace}/{source.Name}";
}

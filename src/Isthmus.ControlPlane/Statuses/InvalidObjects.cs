using Isthmus.Graph.Derive;
using Isthmus.ControlPlane.Push;
using Isthmus.Graph.Settings;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Statuses;

/// <summary>Keeps a condition in the status of each of Istio's objects that has errors: API servers store what a webhook that was away did not see.</summary>
/// <param name="cluster">The cluster of <paramref name="client"/>. Objects of others have no status from here.</param>
public sealed class InvalidObjects(KubeClient client, string cluster, PushEngine engine, TimeProvider time, ILogger log)
{
    internal const string Reason = "Invalid";

    private readonly Dictionary<string, ObjectCondition> _conditions = MeshApi.Effective.Concat(MeshApi.Refused).ToDictionary(
        kind => kind.Kind, kind => new ObjectCondition(client, kind.Resource, (ObjectProblems.Condition, Reason), time, log), StringComparer.Ordinal);

    public Task RunAsync(CancellationToken stop) => new Rounds(time).AfterAsync([Trigger.Commit(engine)], UpdateAsync, stop);

    internal async Task<NextRound> UpdateAsync(CancellationToken stop)
    {
        var found = await engine.AskAsync(writer => writer.Mesh.Sources.Problems.Items.Where(item => item.Key.Cluster == cluster)
            .Select(item => (item.Key, Errors: item.Value.Problems.Where(problem => problem.Severity == Severity.Error).ToList(), item.Value.IsTold))
            .Where(item => item.Errors.Count > 0 || item.IsTold).ToList(),
            stop)
            .ConfigureAwait(false);
        var next = NextRound.AtChange;
        foreach (var (kind, condition) in _conditions)
        {
            var known = found.Where(item => item.Key.Kind == kind).ToList();
            // An object that was put right is no longer among them.
            next = next.Or(await condition.UpdateAsync(
                [.. known.Select(item => Name(item.Key)).Union(condition.Told)],
                [.. known.SelectMany(item => item.Errors.Select(problem => problem with { Object = $"{kind} {Name(item.Key)}" }))], stop)
                .ConfigureAwait(false));
        }
        return next;
    }

    private static string Name(ObjectRef source) => $"{source.Namespace}/{source.Name}";
}

using Isthmus.ControlPlane.Push;
using Isthmus.Graph.Settings;
using Isthmus.ControlPlane.Statuses;
using Isthmus.Kubernetes.Client;
using Isthmus.Mesh.Config;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Resolve;

/// <summary>Keeps a condition in the status of each RequestAuthentication whose issuer's keys cannot be fetched.</summary>
/// <param name="cluster">The cluster of <paramref name="client"/>. Objects of others have no status from here.</param>
public sealed class IssuerKeyStatus(KubeClient client, string cluster, PushEngine engine, IssuerKeys keys, TimeProvider time, ILogger log)
{
    internal const string Type = "KeysFetched", Reason = "KeysUnavailable";

    private readonly ObjectCondition _condition = new(client, MeshApi.RequestAuthentication.Resource, (Type, Reason), time, log);

    public Task RunAsync(CancellationToken stop) => new Rounds(time).AfterAsync(
        [Trigger.Commit(engine), new(tell => keys.FailuresChanged += tell, tell => keys.FailuresChanged -= tell)], UpdateAsync, stop);

    internal async Task<NextRound> UpdateAsync(CancellationToken stop)
    {
        var policies = await engine.AskAsync(writer => engine.IsReady
            ? writer.Mesh.Sources.RequestAuthentications.Items.Values.Where(policy => policy.Source.Cluster == cluster).ToList()
            : null,
            stop)
            .ConfigureAwait(false);
        if (policies is null) return NextRound.AtChange;
        return await _condition.UpdateAsync([.. policies.Select(policy => $"{policy.Namespace}/{policy.Name}").Distinct()],
            [.. KeyFailure.Problems(policies, keys.Failures)], stop)
            .ConfigureAwait(false);
    }
}

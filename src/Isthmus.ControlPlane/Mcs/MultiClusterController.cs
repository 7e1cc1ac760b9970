using Isthmus.ControlPlane.Push;
using Isthmus.Graph.Settings;
using Isthmus.ControlPlane.Statuses;
using Isthmus.Core.Tasks;
using Isthmus.Kubernetes.Client;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Mcs;

/// <summary>
/// Maintains the own cluster's objects of the multi-cluster services API: imports of everything that any cluster exports
/// with their EndpointSlices, and the conditions of its own exports. The control planes of other clusters maintain theirs.
/// </summary>
public sealed partial class MultiClusterController(KubeClient client, DiscoverySettings settings, PushEngine engine, TimeProvider time,
    ILogger<MultiClusterController> log)
{
    private readonly MultiClusterObjects _objects = new(client, settings.MultiCluster, time, log);

    private readonly ImportSliceObjects _slices = new(client, settings.MultiCluster, time);

    private string _trouble = "";

    public Task RunAsync(CancellationToken stop)
    {
        var rounds = new Rounds(time);
        return Together.RunAsync(stop, token => rounds.AfterAsync([Trigger.Commit(engine)], UpdateAsync, token), token => _slices.RunAsync(rounds.Tell, token));
    }

    private async Task<NextRound> UpdateAsync(CancellationToken stop)
    {
        // Before addresses are allocated, those that others have may be missing.
        var plan = await engine.AskAsync(writer => writer.Allocates ? MultiClusterPlan.Of(writer.Mesh, settings.ClusterId, settings.MultiCluster) : null, stop)
            .ConfigureAwait(false);
        if (plan is null) return NextRound.Soon;
        var (trouble, next) = await _objects.WriteAsync(plan, stop).ConfigureAwait(false);
        var (late, again) = await _slices.WriteAsync(plan.Behind, stop).ConfigureAwait(false);
        if (trouble.Length == 0) trouble = late;
        if (trouble.Length > 0 && trouble != _trouble) LogNotWritten(trouble);
        _trouble = trouble;
        return next.Or(again);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Objects of the multi-cluster services API could not be written; retrying: {Error}")]
    private partial void LogNotWritten(string error);
}

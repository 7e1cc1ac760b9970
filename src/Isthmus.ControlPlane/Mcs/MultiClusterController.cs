using Isthmus.ControlPlane.Push;
using Isthmus.ControlPlane.Settings;
using Isthmus.Kubernetes.Client;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Mcs;

/// <summary>
/// Maintains the own cluster's objects of the multi-cluster services API: imports of everything that any cluster exports,
/// and the conditions of its own exports. The control planes of other clusters maintain theirs.
/// </summary>
public sealed partial class MultiClusterController(KubeClient client, DiscoverySettings settings, PushEngine engine, TimeProvider time,
    ILogger<MultiClusterController> log)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly MultiClusterObjects _objects = new(client, settings.MultiCluster, time);

    private string _trouble = "";

    public async Task RunAsync(CancellationToken stop)
    {
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stop).ConfigureAwait(false))
            {
                var plan = await engine.AskAsync(writer => writer.Allocates
                    ? MultiClusterPlan.Of(writer.Mesh, settings.ClusterId, settings.MultiCluster)
                    : MultiClusterPlan.Nothing,
                    stop)
                    .ConfigureAwait(false);
                var trouble = await _objects.WriteAsync(plan, stop).ConfigureAwait(false);
                if (trouble.Length > 0 && trouble != _trouble) LogNotWritten(trouble);
                _trouble = trouble;
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Objects of the multi-cluster services API could not be written; retrying: {Error}")]
    private partial void LogNotWritten(string error);
}

using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Derive;
using Isthmus.ControlPlane.Push;
using Isthmus.ControlPlane.Settings;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Mcs;

/// <summary>
/// Maintains the own cluster's objects of the multi-cluster services API: imports of everything that any cluster exports,
/// and the conditions of its own exports. The control planes of other clusters maintain theirs.
/// </summary>
public sealed partial class MultiClusterController(KubeClient client, DiscoverySettings settings, PushEngine engine, TimeProvider time, ILogger<MultiClusterController> log)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private string _trouble = "";

    public async Task RunAsync(CancellationToken stop)
    {
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stop).ConfigureAwait(false))
            {
                var plan = await engine.AskAsync(writer => writer.Allocates ? MultiClusterPlan.Of(writer.Mesh, settings.ClusterId, settings.MultiCluster) : MultiClusterPlan.Nothing, stop).ConfigureAwait(false);
                try
                {
                    await DoAsync(plan, stop).ConfigureAwait(false);
                    _trouble = "";
                }
                catch (Exception e) when (!stop.IsCancellationRequested && e is KubeException or HttpRequestException or IOException or OperationCanceledException)
                {
                    if (_trouble != e.Message) LogNotWritten(e.Message);
                    _trouble = e.Message;
                }
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
        }
    }

    private async Task DoAsync(MultiClusterPlan plan, CancellationToken stop)
    {
        var (exports, imports) = (MultiClusterFacts.ExportKind(settings.MultiCluster), MultiClusterFacts.ImportKind(settings.MultiCluster));
        foreach (var key in plan.AutoExports)
        {
            await client.ApplyAsync(exports, new() { ["apiVersion"] = exports.ApiVersion, ["kind"] = exports.Kind, ["metadata"] = new JsonObject { ["name"] = key.Name, ["namespace"] = key.Namespace } }, stop).ConfigureAwait(false);
        }
        foreach (var import in plan.Imports)
        {
            await client.ApplyAsync(imports, new()
            {
                ["apiVersion"] = imports.ApiVersion,
                ["kind"] = imports.Kind,
                ["metadata"] = new JsonObject { ["name"] = import.Name, ["namespace"] = import.Namespace, ["labels"] = new JsonObject { [MultiClusterFacts.ManagedLabel] = "true" } },
                ["spec"] = import.Spec,
            }, stop).ConfigureAwait(false);
            await client.PatchAsync(imports, import.Namespace, import.Name, new JsonObject { ["status"] = new JsonObject { ["clusters"] = import.Clusters } }, PatchType.Merge, stop, "status").ConfigureAwait(false);
        }
        foreach (var key in plan.Obsolete) await client.DeleteAsync(imports, key.Namespace, key.Name, stop).ConfigureAwait(false);
        foreach (var (key, conditions) in plan.Conditions)
        {
            await client.PatchAsync(exports, key.Namespace, key.Name, new JsonObject { ["status"] = new JsonObject { ["conditions"] = new JsonArray([.. conditions.Select(Written)]) } }, PatchType.Merge, stop, "status").ConfigureAwait(false);
        }
    }

    private JsonNode Written(ExportCondition condition) => new JsonObject
    {
        ["type"] = condition.Type,
        ["status"] = condition.Status ? "True" : "False",
        ["reason"] = condition.Reason,
        ["message"] = condition.Message,
        ["lastTransitionTime"] = ApiTime.Seconds(time.GetUtcNow()),
    };

    [LoggerMessage(Level = LogLevel.Warning, Message = "Objects of the multi-cluster services API could not be written; retrying: {Error}")]
    private partial void LogNotWritten(string error);
}

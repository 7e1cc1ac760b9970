using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Controllers.Framework;

namespace Isthmus.Lab.Controllers.Nodes;

/// <summary>Binds each Pod without a node to one.</summary>
internal sealed class Scheduler : Controller
{
    private readonly ConcurrentDictionary<string, byte> _unplaced = new(StringComparer.Ordinal);

    internal Scheduler(Runtime runtime) : base("default-scheduler", runtime)
    {
        View.Pods.Listen(change =>
        {
            if (change.Object is { } pod && Waits(pod))
            {
                _unplaced[change.Key] = 0;
                Enqueue(change.Key);
                return;
            }
            _unplaced.TryRemove(change.Key, out _);
            // A Pod that is gone may have made room.
            if (change.Object is null) TryAllAgain();
        });
        View.Nodes.Listen(_ => TryAllAgain());
    }

    private static bool Waits(Pod pod) =>
        pod is { Spec.NodeName: "", Metadata.DeletionTimestamp: null } && !PodStates.IsFinished(pod) && pod.Spec.SchedulerName is "" or "default-scheduler"
            && pod.Spec.NodeName.Length == 0;

    private void TryAllAgain()
    {
        foreach (var key in _unplaced.Keys) Enqueue(key);
    }

    protected override async Task ReconcileAsync(string key, CancellationToken stop)
    {
        if (View.Pods.Find(key) is not { } pod || !Waits(pod)) return;
        var choice = Placement.Choose(pod, [.. View.Nodes.Items], node => [.. View.PodsByNode[node]]);
        if (choice.Node is not { } chosen)
        {
            await ExplainAsync(pod, choice.Reason, stop);
            return;
        }
        try
        {
            await Runtime.Client.CreateAsync(Kinds.Pod, pod.Metadata.Namespace, new JsonObject
            {
                ["apiVersion"] = "v1", ["kind"] = "Binding",
                ["metadata"] = new JsonObject { ["name"] = pod.Metadata.Name, ["namespace"] = pod.Metadata.Namespace, ["uid"] = pod.Metadata.Uid },
                ["target"] = new JsonObject { ["apiVersion"] = "v1", ["kind"] = "Node", ["name"] = chosen },
            }, stop, pod.Metadata.Name, "binding");
        }
        catch (KubeException e) when (e.Code is 404 or 409)
        {
            // Gone, or bound by somebody else: the watch reports what happened.
            return;
        }
        Runtime.Record(Name, Note.Normal(Kinds.Pod, pod, "Scheduled", $"Successfully assigned {pod.Key} to {chosen}") with { Action = "Binding" });
    }

    private async Task ExplainAsync(Pod pod, string reason, CancellationToken stop)
    {
        var known = pod.Status.Conditions.FirstOrDefault(condition => condition.Type == "PodScheduled");
        if (known is { Status: "False" } && known.Message == reason) return;
        Runtime.Record(Name, Note.Warning(Kinds.Pod, pod, "FailedScheduling", reason) with { Action = "Scheduling" });
        var condition = new JsonObject
        {
            ["type"] = "PodScheduled", ["status"] = "False", ["reason"] = "Unschedulable", ["message"] = reason,
            ["lastProbeTime"] = null, ["lastTransitionTime"] = ApiTime.Seconds(Runtime.Now),
        };
        var patch = Write.Status(Kinds.Pod, pod, new JsonObject { ["conditions"] = new JsonArray(condition) }) with { PatchType = PatchType.Strategic };
        await Runtime.DoAsync(patch, stop);
    }
}

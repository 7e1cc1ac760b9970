using System.Text.Json.Nodes;
using Isthmus.Capture;
using Isthmus.Cni.Pods;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Microsoft.Extensions.Logging;

namespace Isthmus.Cni.Repair;

/// <summary>What to do with Pods that started without capture, for example while no agent was running. The first that is set applies.</summary>
internal sealed record RepairSettings(bool RepairPods, bool DeletePods, bool LabelPods);

/// <summary>Finds Pods of this node whose check of the rules failed. Their applications have not started, and kubelet repeats the check.</summary>
internal sealed partial class PodRepair(KubeClient client, string node, RepairSettings settings, PodCaptures captures, TimeProvider time, ILogger log)
{
    internal const string BrokenLabel = "cni.istio.io/uninitialized";

    /// <summary>The last failed check that was answered, by Pod: a Pod changes more often than its check fails.</summary>
    private readonly Dictionary<string, (string Uid, int Restarts)> _answered = new(StringComparer.Ordinal);

    internal async Task RunAsync(CancellationToken stop)
    {
        var informer = new Informer<Pod, Pod>(client, Kinds.Pod, IsBroken,
            new() { FieldSelector = $"spec.nodeName={node}", ConsumerFailed = e => NotTaken(log, e) }, time);
        await informer.RunAsync(async changes =>
        {
            foreach (var change in changes)
            {
                if (change.Object is { } pod) await AnswerAsync(pod, stop);
                else _answered.Remove(change.Key);
            }
        }, stop);
    }

    /// <summary>Keeps only Pods that need something.</summary>
    private Pod? IsBroken(Pod pod) => Failure(pod) is not null && pod.Metadata.DeletionTimestamp is null && captures.Decide(pod).Captures ? pod : null;

    /// <summary>The status of a check that failed and is not running again.</summary>
    internal static ContainerStatus? Failure(Pod pod) =>
        pod.Status.InitContainerStatuses.Find(status => status.Name == CaptureDecision.Validation && status.State.Running is null
            && (status.State.Terminated ?? status.LastState.Terminated)?.ExitCode == CaptureProgram.NotCaptured);

    private async Task AnswerAsync(Pod pod, CancellationToken stop)
    {
        var state = (pod.Metadata.Uid, Failure(pod)!.RestartCount);
        if (_answered.TryGetValue(pod.Key, out var known) && known == state) return;
        try
        {
            await AnswerOnceAsync(pod, stop);
        }
        catch (Exception e) when (e is ProblemException or KubeException)
        {
            // The next failed check is the next attempt.
            NotRepaired(log, pod.Key, e.Message);
        }
        _answered[pod.Key] = state;
    }

    private async Task AnswerOnceAsync(Pod pod, CancellationToken stop)
    {
        if (settings.RepairPods)
        {
            await captures.RepairAsync(pod, stop);
            Repaired(log, pod.Key);
        }
        else if (settings.DeletePods)
        {
            await client.DeleteAsync(Kinds.Pod, pod.Metadata.Namespace, pod.Metadata.Name, stop, uid: pod.Metadata.Uid);
            Deleted(log, pod.Key);
        }
        else if (settings.LabelPods && !pod.Metadata.Labels.ContainsKey(BrokenLabel))
        {
            var patch = new JsonObject { ["metadata"] = new JsonObject { ["labels"] = new JsonObject { [BrokenLabel] = "true" } } };
            await client.PatchAsync(Kinds.Pod, pod.Metadata.Namespace, pod.Metadata.Name, patch, PatchType.Merge, stop);
            Labelled(log, pod.Key, BrokenLabel);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "{Pod}: started without capture; captured now")]
    private static partial void Repaired(ILogger log, string pod);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Pod}: started without capture; deleted, so that its owner creates another")]
    private static partial void Deleted(ILogger log, string pod);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Pod}: started without capture; labelled {Label}")]
    private static partial void Labelled(ILogger log, string pod, string label);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Pod}: started without capture, and could not be repaired: {Error}")]
    private static partial void NotRepaired(ILogger log, string pod, string error);

    [LoggerMessage(Level = LogLevel.Error, Message = "Pods could not be repaired; retrying")]
    private static partial void NotTaken(ILogger log, Exception e);
}

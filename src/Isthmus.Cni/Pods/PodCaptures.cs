using System.Net;
using Isthmus.Capture;
using Isthmus.Cni.Requests;
using Isthmus.Core.Problems;
using Isthmus.Core.Time;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Microsoft.Extensions.Logging;

namespace Isthmus.Cni.Pods;

/// <summary>Captures the traffic of Pods of this node.</summary>
internal sealed partial class PodCaptures(KubeClient client, NodeNamespaces namespaces, IReadOnlyCollection<string> excludedNamespaces, TimeProvider time,
    ILogger log)
{
    /// <summary>Together less than the plug-in waits for.</summary>
    private const int Attempts = 5;

    internal CaptureDecision Decide(Pod pod) => CaptureDecision.Of(pod, excludedNamespaces);

    /// <summary>Captures a Pod whose network the runtime has just created, if it is in the mesh.</summary>
    /// <returns>Why the Pod must not start; empty if it may.</returns>
    internal async Task<string> AnswerAsync(PluginRequest request, CancellationToken stop)
    {
        var name = $"{request.Namespace}/{request.Pod}";
        try
        {
            // A Pod that was deleted meanwhile, or that kubelet reads from a file: such Pods are not injected.
            if (await FindAsync(request, stop) is not { } pod || (request.Uid.Length > 0 && pod.Metadata.Uid != request.Uid)) return "";
            if (Decide(pod) is { Captures: false } other)
            {
                Skipped(log, name, other.Reason);
                return "";
            }
            await LoadAsync(pod, request.NetworkNamespace, stop);
            Captured(log, name, request.NetworkNamespace);
            return "";
        }
        catch (Exception e) when (e is ProblemException or KubeException or HttpRequestException)
        {
            Failed(log, name, e.Message);
            return e.Message;
        }
    }

    /// <summary>Captures a Pod that started without.</summary>
    /// <exception cref="ProblemException">Its network namespace is not found, or the rules cannot be loaded.</exception>
    internal async Task RepairAsync(Pod pod, CancellationToken stop)
    {
        var path = IPAddress.TryParse(pod.Status.PodIP, out var address) ? await Task.Run(() => namespaces.Find(address), stop) : null;
        if (path is null)
            throw new ProblemException($"Pod {pod.Key}", $"no network namespace in /var/run/netns has its address '{pod.Status.PodIP}'",
                "delete the Pod, or set values.cni.repair.deletePods for runtimes that keep namespaces elsewhere");
        await LoadAsync(pod, path, stop);
    }

    private async Task LoadAsync(Pod pod, string path, CancellationToken stop)
    {
        var decision = Decide(pod);
        var rules = PodCapture.Rules(decision.Flags!, decision.Environment);
        using var loader = await Task.Run(() => namespaces.Run(path, PodCapture.StartLoader), stop);
        await PodCapture.LoadAsync(loader, rules, stop);
    }

    private async Task<Pod?> FindAsync(PluginRequest request, CancellationToken stop)
    {
        var backoff = new Backoff(TimeSpan.FromMilliseconds(200), TimeSpan.FromSeconds(2), new Random());
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await client.FindAsync<Pod>(Kinds.Pod, request.Namespace, request.Pod, stop);
            }
            catch (Exception e) when (attempt < Attempts && (e is HttpRequestException or KubeException { IsBusy: true }))
            {
                await Task.Delay(backoff.Next(), time, stop);
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "{Pod}: captured in {Namespace}")]
    private static partial void Captured(ILogger log, string pod, string @namespace);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Pod}: not captured: {Reason}")]
    private static partial void Skipped(ILogger log, string pod, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Pod}: could not be captured; kubelet tries again: {Error}")]
    private static partial void Failed(ILogger log, string pod, string error);
}

using System.Globalization;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Pods that were made just now, as after a scale-up: they start, and nothing says that they fail.</summary>
internal static class StartingPods
{
    /// <summary>How long images, volumes and init containers usually take.</summary>
    private static readonly TimeSpan Usual = TimeSpan.FromSeconds(30);

    private static readonly HashSet<string> Preparing = ["ContainerCreating", "PodInitializing"];

    /// <param name="like">Who else is in the same state; empty when nobody is.</param>
    /// <param name="now">Null if the time is not known.</param>
    public static Problem? Of(ClusterObjects cluster, Pod pod, string like, DateTimeOffset? now)
    {
        var told = cluster.FailedCheck(pod) ?? "";
        if (now is not { } at || pod.Metadata.DeletionTimestamp is not null || (told.Length > 0 && !IsOfStart(told)) || HasFailed(pod)
            || (ServicePods.AwaitsProxy(pod) && ServicePods.WithoutDns(pod, []) is not null)) return null;
        return (Prepared(pod, at) ?? Checked(pod, at)) is not var (says, until) ? null
            : Faults.Of("ISM2047", $"Pod {pod.Key} in {cluster.Context}", "status",
                $"is not ready yet{like}: it is starting, and nothing {(told.Length > 0 ? "else " : "")}says that it fails; {says}"
                    + (told.Length > 0 ? $": {PodText.Message(told)}" : ""),
                $"wait, and try again; if it is not ready by {until.UtcDateTime:u}: {ServicePods.Look(pod, cluster.Context)}");
    }

    /// <summary>Its containers do not run yet.</summary>
    private static (string Says, DateTimeOffset Until)? Prepared(Pod pod, DateTimeOffset now)
    {
        if (pod.Metadata.CreationTimestamp is not { } made || now - made >= Usual
            || pod.Status.Conditions.Any(condition => condition is { Type: "PodScheduled", Status: "False" })) return null;
        var statuses = pod.Status.InitContainerStatuses.Concat(pod.Status.ContainerStatuses).ToList();
        return statuses.Exists(status => status.State.Waiting is { } waiting && !Preparing.Contains(waiting.Reason))
            || !(statuses.Count == 0 || statuses.Exists(status => status.State.Waiting is not null)) ? null
            : ($"it was created {Seconds(now - made)} ago, and {(pod.Spec.NodeName.Length == 0 && statuses.Count == 0 ? "is on no Node so far"
                : "its containers are being prepared")}", made + Usual);
    }

    /// <summary>A container runs, and its probe has not had the tries that it is given.</summary>
    private static (string Says, DateTimeOffset Until)? Checked(Pod pod, DateTimeOffset now)
    {
        if (pod.Status.ContainerStatuses.Concat(pod.Status.InitContainerStatuses).FirstOrDefault(one => !one.Ready && one.State.Running is not null) is not
            { State.Running.StartedAt: { } since } status) return null;
        var container = pod.Spec.Containers.Concat(pod.Spec.InitContainers).FirstOrDefault(one => one.Name == status.Name);
        var (kind, probe) = status.Started != true && container?.StartupProbe is { } startup ? ("startup", startup) : ("readiness", container?.ReadinessProbe);
        if (probe is null) return null;
        var limit = since.AddSeconds(probe.InitialDelaySeconds + (Math.Max(1, probe.PeriodSeconds) * Math.Max(1, probe.FailureThreshold)));
        return now >= limit || now < since ? null
            : ($"container {status.Name} runs for {Seconds(now - since)}, and its {kind} probe has not succeeded so far", limit);
    }

    /// <summary>A startup probe may fail as often as it is given tries.</summary>
    private static bool IsOfStart(string failed) => failed.StartsWith("Startup probe failed", StringComparison.Ordinal);

    private static bool HasFailed(Pod pod) => pod.Status.InitContainerStatuses.Concat(pod.Status.ContainerStatuses)
        .Any(status => status.RestartCount > 0 || status.State.Terminated is { ExitCode: not 0 } || status.LastState.Terminated is not null);

    private static string Seconds(TimeSpan span) => string.Create(CultureInfo.InvariantCulture, $"{Math.Max(0, Math.Floor(span.TotalSeconds))} s");
}

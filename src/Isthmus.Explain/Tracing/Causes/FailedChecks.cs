using System.Globalization;
using System.Text.RegularExpressions;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Readiness probes that ask the application for what it does not have.</summary>
internal static partial class FailedChecks
{
    /// <summary>A probe of a path that the application does not know, or of a port on which nothing listens; null for others.</summary>
    /// <param name="like">Who else is like the Pod; empty when nobody is.</param>
    /// <param name="listening">Where programs of the Pod listen; null when nobody knows.</param>
    public static Problem? Of(ClusterObjects cluster, Pod pod, string like, IReadOnlyList<int>? listening = null)
    {
        // Whoever else is asked may be anywhere.
        if (ReadinessCheck.Of(pod) is not { Host: "" } check) return null;
        var (kind, name) = ServicePods.OwnerOf(pod);
        var probe = $"{(kind == "Pod" ? "spec" : "spec.template.spec")}.containers[{check.Index}].readinessProbe";
        var field = $"{probe}.{check.Kind}";
        var owner = $"{kind} {pod.Metadata.Namespace}/{name} in {cluster.Context}";
        var edit = Edit(cluster, pod, kind, name);
        if (check.Number > 0 && listening is { Count: > 0 } && !listening.Contains(check.Number))
            return Faults.Of("ISM2047", owner, $"{field}.port",
                $"is {check.Port}, where nothing listens in Pod {pod.Metadata.Name}, so it is not ready{like}: "
                    + $"its programs listen on {string.Join(", ", listening)}",
                $"set it to the port of the application, {string.Join(" or ", listening)}: {edit}");
        var said = cluster.FailedCheck(pod) ?? "";
        if (Late().IsMatch(said))
            return Faults.Of("ISM2047", owner, $"{probe}.timeoutSeconds",
                $"is {pod.Spec.Containers.Find(one => one.Name == check.Container)?.ReadinessProbe?.TimeoutSeconds ?? 1}, and container {check.Container} of "
                    + $"Pod {pod.Metadata.Name} does not answer the probe ({check.Text}) within it, so the Pod is not ready{like}: {PodText.Message(said)}",
                $"allow more seconds, or let the application answer the probe faster: {edit}");
        return Status().Match(said) is { Success: true } answer && check.Kind == "httpGet"
            && int.Parse(answer.Groups[1].Value, CultureInfo.InvariantCulture) is var status and >= 400 and < 500
            ? Faults.Of("ISM2047", owner, $"{field}.path",
                $"is {check.Path}, and container {check.Container} of Pod {pod.Metadata.Name} answers {status} to it at port {check.Port}, "
                    + $"so the Pod is not ready{like}",
                $"set it to a path that the application answers with 200: {edit}")
            : null;
    }

    /// <summary>A probe that has not been made yet, because its author lets it begin late; null for others, and where something says that it failed.</summary>
    /// <param name="now">Null if the time is not known.</param>
    public static Problem? NotYet(ClusterObjects cluster, Pod pod, string like, DateTimeOffset? now)
    {
        if (now is not { } at || cluster.FailedCheck(pod) is { Length: > 0 }
            || pod.Status.ContainerStatuses.Find(one => !one.Ready) is not { Name: not "istio-proxy", State.Running.StartedAt: { } since } status) return null;
        var containers = pod.Spec.Containers.Where(container => container.Name != "istio-proxy").ToList();
        if (containers.FindIndex(container => container.Name == status.Name) is not (>= 0 and var index)) return null;
        // Until a startup probe has succeeded, no other is made.
        var (field, kind, probe) = status.Started != true && containers[index].StartupProbe is { } startup ? ("startupProbe", "startup", startup)
            : ("readinessProbe", "readiness", containers[index].ReadinessProbe);
        if (probe is null || at - since >= TimeSpan.FromSeconds(probe.InitialDelaySeconds)) return null;
        var (owner, name) = ServicePods.OwnerOf(pod);
        return Faults.Of("ISM2047", $"{owner} {pod.Metadata.Namespace}/{name} in {cluster.Context}",
            $"{(owner == "Pod" ? "spec" : "spec.template.spec")}.containers[{index}].{field}.initialDelaySeconds",
            $"is {probe.InitialDelaySeconds}, so the {kind} probe of container {status.Name} begins {probe.InitialDelaySeconds} s after the start of the "
                + $"container, at {since.AddSeconds(probe.InitialDelaySeconds).UtcDateTime:u}: Pod {pod.Metadata.Name} is not ready before{like}",
            $"set it to the few seconds that the start takes at least: {Edit(cluster, pod, owner, name)}");
    }

    private static string Edit(ClusterObjects cluster, Pod pod, string kind, string name) => kind == "Pod" ? "in its manifest, and create the Pod again"
        : $"kubectl --context={cluster.Context} -n {pod.Metadata.Namespace} edit {kind.ToLowerInvariant()} {name}";

    /// <summary>What came of the check, or keeps containers from starting, as the end of a sentence; empty when that is not known. Of a container that has
    /// ended, what was said before says nothing.</summary>
    public static string Describe(ClusterObjects cluster, Pod pod) => cluster.FailedCheck(pod) is { Length: > 0 } said
        && (!said.StartsWith("MountVolume", StringComparison.Ordinal) || !ServicePods.HasRun(pod))
        && pod.Status.InitContainerStatuses.Concat(pod.Status.ContainerStatuses).All(status => status.Ready || status.State.Terminated is null)
            ? $": {PodText.Message(said)}" : "";

    /// <summary>As kubelets, and agents of proxies, write that there was no answer in time.</summary>
    [GeneratedRegex("timed out after|deadline exceeded|Client.Timeout")]
    private static partial Regex Late();

    /// <summary>As kubelets write it.</summary>
    [GeneratedRegex(@"statuscode: (\d{3})\b")]
    private static partial Regex Status();
}

using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Explain.Tracing.Facts;

/// <summary>The check that keeps a Pod from being ready, as its author wrote it.</summary>
/// <param name="Container">The name of the container that is checked.</param>
/// <param name="Index">Its place among the containers of the Pod's template.</param>
/// <param name="Kind">The field of the probe: <c>httpGet</c>, <c>tcpSocket</c>, <c>grpc</c> or <c>exec</c>.</param>
/// <param name="Path">What is asked for; empty where there is no path.</param>
/// <param name="Port">Empty where there is none.</param>
internal sealed record ReadinessCheck(string Container, int Index, string Kind, string Path, string Port)
{
    /// <summary>Who is asked instead of the Pod; empty: the Pod.</summary>
    public string Host { get; private init; } = "";

    /// <summary>The command of <c>exec</c>; empty for others.</summary>
    public string Command { get; private init; } = "";

    /// <summary>What the kubelet, or the agent of the proxy for it, does.</summary>
    public string Text => Kind switch
    {
        "httpGet" => $"GET {Path} at {At}",
        "exec" => Command.Length > 0 ? $"command {Command}" : "a command",
        _ => $"{Kind} at {At}",
    };

    private string At => Host.Length > 0 ? $"{Host}, port {Port}" : $"port {Port}";

    /// <summary>The number of the port; 0 where there is none.</summary>
    public int Number => int.TryParse(Port, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0;

    /// <summary>The check of the container that runs and is not ready; null when another thing keeps the Pod from being ready, or nothing checks it.</summary>
    public static ReadinessCheck? Of(Pod pod)
    {
        if (pod.Status.ContainerStatuses.Find(status => !status.Ready) is not { Name: not "istio-proxy", State: { Waiting: null, Terminated: null } } unready)
            return null;
        var containers = pod.Spec.Containers.Where(container => container.Name != "istio-proxy").ToList();
        var index = containers.FindIndex(container => container.Name == unready.Name);
        return index < 0 || containers[index].ReadinessProbe is not { } probe ? null
            : Original(pod, unready.Name) is { } original ? Read(unready.Name, index, original)
            : Read(unready.Name, index, (JsonObject)JsonSerializer.SerializeToNode(probe, KubeJson.Of<Probe>())!, containers[index]);
    }

    /// <summary>Whether the program that is checked listens where it ever will: at a port that somebody expects, or it has run for longer than its probe
    /// allows. Before, one may be open that comes first, such as that of a debugger.</summary>
    /// <param name="listening">Where the programs of the Pod listen.</param>
    public static bool HasStarted(ClusterObjects cluster, Pod pod, IReadOnlyList<int> listening, DateTimeOffset now)
    {
        if (Of(pod) is not { } check) return true;
        var container = pod.Spec.Containers.First(one => one.Name == check.Container);
        if (container.Ports.Exists(port => listening.Contains(port.Number))
            || cluster.Services.Any(service => service.Metadata.Namespace == pod.Metadata.Namespace && service.Spec.Selector.Count > 0
                && LabelSelector.Selects(service.Spec.Selector, pod.Metadata.Labels)
                && service.Spec.Ports.Exists(port => listening.Contains(ServicePods.Target(port, pod))))) return true;
        var (status, probe) = (pod.Status.ContainerStatuses.First(one => one.Name == check.Container), container.ReadinessProbe!);
        return status.Started != false && status.State.Running?.StartedAt is { } since
            && now - since > TimeSpan.FromSeconds(probe.InitialDelaySeconds + (probe.PeriodSeconds * probe.FailureThreshold));
    }

    /// <summary>Injection leads checks to the agent, and tells it what they were; null for others.</summary>
    private static JsonObject? Original(Pod pod, string container)
    {
        var told = ClusterObjects.Sidecar(pod)?.Env.FirstOrDefault(env => env.Name == "ISTIO_KUBE_APP_PROBERS")?.Value ?? "{}";
        try { return (StrictJson.Parse(told) as JsonObject)?[$"/app-health/{container}/readyz"] as JsonObject; }
        catch (JsonException) { return null; }
    }

    private static ReadinessCheck? Read(string name, int index, JsonObject probe, Container? container = null)
    {
        foreach (var kind in (string[])["httpGet", "tcpSocket", "grpc", "exec"])
        {
            if (probe[kind] is not JsonObject handler) continue;
            var (path, port) = (handler["path"]?.ToString() ?? "", handler["port"]?.ToString() ?? "");
            var number = container?.Ports.Find(one => one.Name == port)?.Number.ToString(CultureInfo.InvariantCulture) ?? port;
            return new(name, index, kind, kind == "httpGet" ? $"/{path.TrimStart('/')}" : "", number)
            {
                Host = handler["host"]?.ToString() ?? "",
                Command = PodText.Command((handler["command"] as JsonArray ?? []).Select(part => part?.ToString() ?? "")),
            };
        }
        return null;
    }
}

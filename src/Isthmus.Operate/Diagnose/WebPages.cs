using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.Diagnose;

/// <summary>A port of a Pod that serves a web page.</summary>
/// <param name="Path">The path of the page.</param>
public sealed record WebPage(string Namespace, string Pod, int Port, string Path = "/");

/// <summary>Finds the web pages of the mesh and of what is installed beside it.</summary>
/// <param name="istioNamespace">Where the control plane is.</param>
public sealed class WebPages(KubeClient client, string istioNamespace)
{
    private const int ConsolePort = 8090;

    /// <summary>The console in the cluster.</summary>
    /// <exception cref="ProblemException">It is not installed, or not ready.</exception>
    public async Task<WebPage> ConsoleAsync(CancellationToken stop)
    {
        var pods = await client.ListAllAsync<Pod>(Kinds.Pod, istioNamespace, new ListOptions { LabelSelector = $"app={WellKnown.Console}" }, stop);
        return pods.FirstOrDefault(IsUsable) is { } pod ? new(istioNamespace, pod.Metadata.Name, ConsolePort)
            : throw new ProblemException($"Deployment {istioNamespace}/{WellKnown.Console} in {client.Access.Name}",
                pods.Count == 0 ? "does not exist" : "has no ready Pod",
                pods.Count == 0
                    ? "use 'isthmus console' on your machine, or install it with --set values.console.enabled=true"
                    : $"inspect it with 'kubectl -n {istioNamespace} describe pod -l app={WellKnown.Console}'");
    }

    /// <summary>The admin interface of a proxy.</summary>
    /// <param name="pod">As other commands take it: <c>NAME[.NAMESPACE]</c>, <c>deployment/NAME[.NAMESPACE]</c>.</param>
    /// <exception cref="ProblemException">The Pod does not exist, or has no proxy.</exception>
    public async Task<WebPage> ProxyAsync(string pod, string? ns, CancellationToken stop)
    {
        var (found, name) = await new MeshQuery(client, istioNamespace).ResolvePodAsync(pod, ns, stop);
        var spec = (await client.GetAsync<Pod>(Kinds.Pod, found, name, stop)).Spec;
        return spec.Containers.Concat(spec.InitContainers).Any(container => container.Name == "istio-proxy") ? new(found, name, Ports.ProxyAdmin)
            : throw new ProblemException($"Pod {found}/{name} in {client.Access.Name}", "has no proxy (no container istio-proxy)",
                "name a Pod of the mesh; 'isthmus proxy-status' lists them");
    }

    /// <summary>The log levels of a control plane.</summary>
    /// <param name="pod">Null: any that is ready.</param>
    public async Task<WebPage> ControlZAsync(string? pod, int port, CancellationToken stop) =>
        new(istioNamespace, await ControlPlaneAsync(pod, stop), port, "/scopej/");

    /// <summary>The debug pages of a control plane.</summary>
    /// <param name="pod">Null: any that is ready.</param>
    public async Task<WebPage> DebugAsync(string? pod, CancellationToken stop) =>
        new(istioNamespace, await ControlPlaneAsync(pod, stop), Ports.DiscoveryHttp, DebugPages.Prefix + "list");

    private async Task<string> ControlPlaneAsync(string? pod, CancellationToken stop) =>
        pod is not null ? pod.Split('.')[0] : (await new MeshQuery(client, istioNamespace).ControlPlanesAsync(stop))[0].Metadata.Name;

    /// <summary>A Pod behind the first of the Services that exists.</summary>
    /// <param name="instead">What to use where none exists.</param>
    /// <exception cref="ProblemException">None exists, or has a ready Pod.</exception>
    public async Task<WebPage> ServiceAsync(string ns, IReadOnlyList<string> names, int? port, string instead, CancellationToken stop)
    {
        foreach (var name in names)
        {
            if (await client.FindAsync<Service>(Kinds.Service, ns, name, stop) is not { } service) continue;
            if (service.Spec.Ports.FirstOrDefault(one => port is null || one.Port == port) is not { } chosen)
                throw new ProblemException($"Service {service.Key} in {client.Access.Name}", $"has no port {port}",
                    $"it has {string.Join(", ", service.Spec.Ports.Select(one => one.Port))}");
            var slices = await client.ListAllAsync<EndpointSlice>(Kinds.EndpointSlice, ns, new ListOptions { LabelSelector = $"{Labels.ServiceName}={name}" },
                stop);
            foreach (var slice in slices)
            {
                if (slice.Endpoints.FirstOrDefault(one => (one.Conditions.Ready ?? true) && one.TargetRef is { Kind: "Pod" })?.TargetRef is { } pod
                    && slice.Ports.FirstOrDefault(one => (one.Name ?? "") == (chosen.Name ?? ""))?.Port is { } target)
                    return new(ns, pod.Name, target);
            }
            throw new ProblemException($"Service {service.Key} in {client.Access.Name}", "has no ready Pod",
                $"inspect it with 'kubectl -n {ns} describe service {name}'");
        }
        throw new ProblemException($"Service {ns}/{names[0]} in {client.Access.Name}", "does not exist",
            $"name its namespace with --namespace; or use {instead}");
    }

    private static bool IsUsable(Pod pod) => pod.Status.IsReady && pod.Metadata.DeletionTimestamp is null;
}

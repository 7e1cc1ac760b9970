using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose;

/// <summary>Reads the east-west gateways of a cluster: its Services with the label of a network.</summary>
internal static class NetworkGatewayReader
{
    /// <summary>The networks whose endpoints a proxy gets; without it, all.</summary>
    internal const string NetworkView = "ISTIO_META_REQUESTED_NETWORK_VIEW";

    /// <param name="lists">Of the cluster.</param>
    /// <param name="services">The cluster's Services.</param>
    /// <param name="byNames">Whether clusters find each other by <c>.global</c> names: then gateways need no label.</param>
    /// <param name="passing">The cluster's Gateways of Istio.</param>
    /// <param name="stop">Ends the reading.</param>
    public static async Task<ValueList<GatewayFacts>> ReadAsync(ClusterLists lists, IReadOnlyList<Service> services, bool byNames,
        IReadOnlyList<Gateway> passing, CancellationToken stop)
    {
        var (client, gateways) = (lists.Client, new List<GatewayFacts>());
        foreach (var service in services)
        {
            if (!service.Metadata.Labels.TryGetValue(Labels.Network, out var network) && !(byNames && OpensToNames(service))) continue;
            var port = PortOf(service);
            var ready = await MeshFactsReader.ReadyAsync(lists, service, stop);
            var selector = string.Join(',', service.Spec.Selector.Select(pair => $"{pair.Key}={pair.Value}"));
            var pods = selector.Length > 0 ? await PodsAsync(client, service, selector, stop) : null;
            var selectsNothing = ready == 0 && pods is { Count: 0 };
            var deployment = selectsNothing ? await DeploymentAsync(client, service, stop) : null;
            // Where others are gateways, its Pods are not workloads altogether.
            var workload = pods?.Any(GatewayStrangers.IsGateway) == true ? ""
                : pods?.FirstOrDefault(pod => ProxyOf(pod)?.Args.Contains("sidecar") == true)?.Metadata.Name ?? "";
            var astray = workload.Length > 0 || pods is null ? null : await AstrayAsync(client, service, selector, pods, passing, stop);
            gateways.Add(new(service.Key, network ?? "global names", MeshFactsReader.AddressesOf(service), ready,
                service.Spec.Ports.Any(candidate => candidate.Port == port), service.Metadata.Annotations.ContainsKey(Annotations.NodeSelector))
            {
                Port = port,
                Given = service.Spec.ExternalIPs.Where(ip => service.Status.LoadBalancer.Ingress.All(ingress => ingress.Ip != ip)).ToValueList(),
                Type = service.Spec.Type,
                SelectsNothing = selectsNothing ? selector : "",
                ScaledToZero = deployment is { Spec.Replicas: 0 } ? deployment.Key : "",
                Refused = deployment is not null && PodRefusal.Why(deployment) is { Length: > 0 } why
                    ? new(deployment.Key, why, PodRefusal.Remedy(client.Access.Name, deployment)) : null,
                Workload = workload,
                Stranger = pods is null ? null : GatewayStrangers.Of(service, pods),
                Astray = astray,
                SeesAllNetworks = workload.Length > 0 || astray is not null ? ""
                    : pods?.FirstOrDefault(pod => pod.Status.IsReady && ProxyOf(pod) is { } proxy && !HasNetworkView(proxy))?.Metadata.Name ?? "",
            });
        }
        return gateways.ToValueList();
    }

    /// <summary>The port of mesh traffic at a gateway.</summary>
    internal static int PortOf(Service service) =>
        int.TryParse(service.Metadata.Labels.GetValueOrDefault(Labels.GatewayPort), out var own) ? own : Ports.EastWest;

    private static bool OpensToNames(Service service) => service.Spec.Ports.Any(entry => entry.Port == Ports.EastWest) && service.Spec.Type == "LoadBalancer";

    /// <summary>Null: the user may not see them.</summary>
    private static async Task<IReadOnlyList<Pod>?> PodsAsync(KubeClient client, Service service, string selector, CancellationToken stop)
    {
        try
        {
            return await client.ListAllAsync<Pod>(Kinds.Pod, service.Metadata.Namespace, new ListOptions { LabelSelector = selector }, stop);
        }
        catch (KubeException e) when (e.Code == 403)
        {
            return null;
        }
    }

    /// <summary>The Service leads to Pods that pass nothing on, while others in its namespace do; null for others.</summary>
    private static async Task<StraySelector?> AstrayAsync(KubeClient client, Service service, string selector, IReadOnlyList<Pod> pods,
        IReadOnlyList<Gateway> gateways, CancellationToken stop)
    {
        var passing = gateways.Where(gateway => gateway.PassesBySni && gateway.Selector.Count > 0).ToList();
        // Those of the Gateway API have Services of their own.
        if (pods.FirstOrDefault(pod => !pod.Metadata.Labels.ContainsKey(GatewayNaming.GatewayLabel)
            && !passing.Exists(gateway => LabelSelector.Selects(gateway.Selector.Items, pod.Metadata.Labels))) is not { } stray) return null;
        foreach (var gateway in passing)
        {
            var wanted = string.Join(',', gateway.Selector.Items.Select(pair => $"{pair.Key}={pair.Value}"));
            if ((await PodsAsync(client, service, wanted, stop))?.FirstOrDefault(pod => pod.Status.IsReady) is { } serving)
                return new(selector, stray.Metadata.Name, gateway.FullName, serving.Metadata.Name, gateway.Selector);
        }
        return null;
    }

    private static Container? ProxyOf(Pod pod) => pod.Spec.Containers.Find(container => container.Name == "istio-proxy");

    /// <summary>The view is a variable, or in the metadata of the proxy's configuration, which the agent makes a variable of.</summary>
    private static bool HasNetworkView(Container proxy) =>
        proxy.Env.Exists(variable => variable.Name == NetworkView
            || (variable.Name == "PROXY_CONFIG" && variable.Value?.Contains(NetworkView, StringComparison.Ordinal) == true));

    /// <summary>The Deployment whose Pods a Service selects; null where there is none, or nobody may see it: then the selector is told.</summary>
    private static async Task<Deployment?> DeploymentAsync(KubeClient client, Service service, CancellationToken stop)
    {
        try
        {
            var deployments = await client.ListAllAsync<Deployment>(Kinds.Deployment, service.Metadata.Namespace, new ListOptions(), stop);
            return deployments.FirstOrDefault(deployment => LabelSelector.Selects(service.Spec.Selector, deployment.Spec.TemplateLabels));
        }
        catch (KubeException e) when (e.Code == 403)
        {
            return null;
        }
    }
}

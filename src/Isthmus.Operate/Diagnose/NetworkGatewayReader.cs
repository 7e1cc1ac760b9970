using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose;

/// <summary>Reads the east-west gateways of a cluster: its Services with the label of a network.</summary>
/// <param name="lists">Of the cluster.</param>
/// <param name="withheld">Notes what the user may not read of them, by namespace: a right for one is none for another.</param>
internal sealed class NetworkGatewayReader(ClusterLists lists, WithheldParts withheld)
{
    /// <summary>The networks whose endpoints a proxy gets; without it, all.</summary>
    internal const string NetworkView = "ISTIO_META_REQUESTED_NETWORK_VIEW";

    /// <param name="services">The cluster's Services.</param>
    /// <param name="byNames">Whether clusters find each other by <c>.global</c> names: then gateways need no label.</param>
    /// <param name="passing">The cluster's Gateways of Istio.</param>
    /// <param name="stop">Ends the reading.</param>
    public async Task<ValueList<GatewayFacts>> ReadAsync(IReadOnlyList<Service> services, bool byNames, IReadOnlyList<Gateway> passing,
        CancellationToken stop)
    {
        var gateways = services.Where(service => service.Metadata.Labels.ContainsKey(Labels.Network) || (byNames && OpensToNames(service)));
        return (await Task.WhenAll(gateways.Select(service => ReadAsync(service, passing, stop)))).ToValueList();
    }

    private async Task<GatewayFacts> ReadAsync(Service service, IReadOnlyList<Gateway> passing, CancellationToken stop)
    {
        var (port, ns) = (PortOf(service), service.Metadata.Namespace);
        var (counting, listing) = (MeshFactsReader.ReadyAsync(lists, service, stop), service.Spec.Selector.Count > 0
            ? PodsAsync(ns, service.Spec.Selector, stop) : Task.FromResult<IReadOnlyList<Pod>?>(null));
        var (ready, pods) = (await counting, await listing);
        var selector = string.Join(',', service.Spec.Selector.Select(pair => $"{pair.Key}={pair.Value}"));
        var selectsNothing = ready == 0 && pods is { Count: 0 };
        var deployment = selectsNothing ? await DeploymentAsync(service, stop) : null;
        // Where others are gateways, its Pods are not workloads altogether.
        var workload = pods?.Any(GatewayStrangers.IsGateway) == true ? ""
            : pods?.FirstOrDefault(pod => ProxyOf(pod)?.Args.Contains("sidecar") == true)?.Metadata.Name ?? "";
        var astray = workload.Length > 0 || pods is null ? null : await AstrayAsync(ns, selector, pods, passing, stop);
        return new(service.Key, service.Metadata.Labels.GetValueOrDefault(Labels.Network) ?? "global names", MeshFactsReader.AddressesOf(service), ready,
            service.Spec.Ports.Any(candidate => candidate.Port == port), service.Metadata.Annotations.ContainsKey(Annotations.NodeSelector))
        {
            Port = port,
            Given = service.Spec.ExternalIPs.Where(ip => service.Status.LoadBalancer.Ingress.All(ingress => ingress.Ip != ip)).ToValueList(),
            Type = service.Spec.Type,
            SelectsNothing = selectsNothing ? selector : "",
            ScaledToZero = deployment is { Spec.Replicas: 0 } ? deployment.Key : "",
            Refused = deployment is not null && PodRefusal.Why(deployment) is { Length: > 0 } why
                ? new(deployment.Key, why, PodRefusal.Remedy(lists.Client.Access.Name, deployment)) : null,
            Workload = workload,
            Stranger = pods is null ? null : GatewayStrangers.Of(service, pods),
            Astray = astray,
            SeesAllNetworks = workload.Length > 0 || astray is not null ? ""
                : pods?.FirstOrDefault(pod => pod.Status.IsReady && ProxyOf(pod) is { } proxy && !HasNetworkView(proxy))?.Metadata.Name ?? "",
        };
    }

    /// <summary>The port of mesh traffic at a gateway.</summary>
    internal static int PortOf(Service service) =>
        int.TryParse(service.Metadata.Labels.GetValueOrDefault(Labels.GatewayPort), out var own) ? own : Ports.EastWest;

    private static bool OpensToNames(Service service) => service.Spec.Ports.Any(entry => entry.Port == Ports.EastWest) && service.Spec.Type == "LoadBalancer";

    /// <summary>Null: the user may not see them.</summary>
    private Task<IReadOnlyList<Pod>?> PodsAsync(string ns, IReadOnlyDictionary<string, string> labels, CancellationToken stop)
    {
        return withheld.UnlessRefusedAsync($"{WithheldFacts.GatewayPods} in {ns}", SelectAsync(), null);

        async Task<IReadOnlyList<Pod>?> SelectAsync() => await lists.SelectAsync<Pod>(MeshApi.Pod, ns, labels, stop);
    }

    /// <summary>The Service leads to Pods that pass nothing on, while others in its namespace do; null for others.</summary>
    private async Task<StraySelector?> AstrayAsync(string ns, string selector, IReadOnlyList<Pod> pods, IReadOnlyList<Gateway> gateways,
        CancellationToken stop)
    {
        var passing = gateways.Where(gateway => gateway.PassesBySni && gateway.Selector.Count > 0).ToList();
        // Those of the Gateway API have Services of their own.
        if (pods.FirstOrDefault(pod => !pod.Metadata.Labels.ContainsKey(GatewayNaming.GatewayLabel)
            && !passing.Exists(gateway => LabelSelector.Selects(gateway.Selector.Items, pod.Metadata.Labels))) is not { } stray) return null;
        foreach (var gateway in passing)
        {
            if ((await PodsAsync(ns, gateway.Selector.Items, stop))?.FirstOrDefault(pod => pod.Status.IsReady) is { } serving)
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
    private async Task<Deployment?> DeploymentAsync(Service service, CancellationToken stop)
    {
        var ns = service.Metadata.Namespace;
        var deployments = await withheld.UnlessRefusedAsync($"{WithheldFacts.GatewayDeployments} in {ns}",
            lists.ListAsync<Deployment>(MeshApi.Deployment, stop, ns), []);
        return deployments.FirstOrDefault(deployment => LabelSelector.Selects(service.Spec.Selector, deployment.Spec.TemplateLabels));
    }
}

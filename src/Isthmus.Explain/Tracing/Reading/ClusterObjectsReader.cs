using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Inventory;

namespace Isthmus.Explain.Tracing.Reading;

/// <summary>Reads <see cref="ClusterObjects"/> through an API server. It changes nothing.</summary>
internal static class ClusterObjectsReader
{
    /// <summary>What shows whether workloads get calls.</summary>
    internal static readonly IReadOnlyList<KindDescriptor> WorkloadKinds = [.. MeshApi.For(KindUse.Workloads)];

    /// <summary>The label <c>app</c> of the webhooks of injectors.</summary>
    internal const string Injector = "sidecar-injector";

    private static readonly IReadOnlyList<KindDescriptor> ApiRoutes =
        [.. MeshApi.All.Where(kind => kind.Group == MeshApi.HttpRoute.Group && kind.Kind.EndsWith("Route", StringComparison.Ordinal))];

    /// <param name="namespaces">Namespaces whose Pods are read at once.</param>
    public static async Task<ClusterObjects> ReadAsync(string context, KubeClient client, string istioNamespace, IEnumerable<string> namespaces,
        CancellationToken stop)
    {
        var (packets, gateways) = (NetworkPoliciesAsync(client, stop), IfAllowedAsync(client, MeshApi.ApiGateway, stop));
        var routes = ApiRoutes.Select(kind => IfAllowedAsync(client, kind, stop)).ToList();
        var lists = MeshApi.For(KindUse.Trace).Select(kind => ListAsync(client, kind, null, new(), stop))
            .Concat(namespaces.Distinct().Select(ns => PodsAsync(client, ns, stop)))
            .Append(ListAsync(client, MeshApi.ConfigMap, null, new() { LabelSelector = Labels.Revision }, stop)).Append(WebhooksAsync(client, stop)).ToList();
        var objects = await ReadAsync(context, istioNamespace, lists, namespaces);
        var (policies, error) = await packets;
        objects.AddNetworkPolicies(policies, error);
        objects.AddApiGateways(await gateways);
        for (var i = 0; i < routes.Count; i++) objects.AddApiRoutes(ApiRoutes[i], await routes[i]);
        return objects;
    }

    /// <summary>Objects that explain some failures; whoever may not read them can trace all the same.</summary>
    private static async Task<IReadOnlyList<JsonObject>> IfAllowedAsync(KubeClient client, KindDescriptor kind, CancellationToken stop)
    {
        try
        {
            return await ListAsync(client, kind, null, new(), stop);
        }
        catch (Exception e) when (e is KubeException or HttpRequestException)
        {
            return [];
        }
    }

    /// <summary>They explain some failures; whoever may not read them can trace all the same.</summary>
    private static async Task<(IReadOnlyList<JsonObject> Policies, string Error)> NetworkPoliciesAsync(KubeClient client, CancellationToken stop)
    {
        try
        {
            return (await ListAsync(client, MeshApi.NetworkPolicy, null, new(), stop), "");
        }
        catch (Exception e) when (e is KubeException or HttpRequestException)
        {
            return ([], e.Message);
        }
    }

    /// <summary>Only Services, what runs behind them, and how clusters are joined.</summary>
    public static Task<ClusterObjects> WorkloadsAsync(string context, KubeClient client, string istioNamespace, CancellationToken stop) =>
        ReadAsync(context, istioNamespace, WorkloadKinds.Select(kind => ListAsync(client, kind, null, new(), stop)).Append(WebhooksAsync(client, stop)), []);

    private static async Task<ClusterObjects> ReadAsync(string context, string istioNamespace, IEnumerable<Task<IReadOnlyList<JsonObject>>> lists,
        IEnumerable<string> namespaces)
    {
        try
        {
            return ClusterObjects.From(context, (await Task.WhenAll(lists)).SelectMany(list => list), istioNamespace, namespaces);
        }
        catch (HttpRequestException e)
        {
            return ClusterObjects.Unreadable(context, Unreachable.Describe(e));
        }
        catch (KubeException e)
        {
            return ClusterObjects.Unreadable(context, e.Message);
        }
    }

    private static Task<IReadOnlyList<JsonObject>> WebhooksAsync(KubeClient client, CancellationToken stop) =>
        ListAsync(client, MeshApi.MutatingWebhookConfiguration, null, new() { LabelSelector = $"app={Injector}" }, stop);

    public static Task<IReadOnlyList<JsonObject>> PodsAsync(KubeClient client, string ns,
        CancellationToken stop) => ListAsync(client, MeshApi.Pod, ns, new(), stop);

    private static async Task<IReadOnlyList<JsonObject>> ListAsync(KubeClient client, KindDescriptor kind, string? ns, ListOptions options,
        CancellationToken stop)
    {
        try
        {
            return await ServedLists.ListAsync<JsonObject>(client, kind, ns, options, stop);
        }
        catch (KubeException e) when (e.IsNotFound)
        {
            return []; // Istio's kinds are not defined here.
        }
    }
}

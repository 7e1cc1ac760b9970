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
    public static async Task<ClusterObjects> ReadAsync(string context, ClusterLists lists, string istioNamespace, IEnumerable<string> namespaces,
        CancellationToken stop)
    {
        var (packets, gateways) = (NetworkPoliciesAsync(lists, stop), IfAllowedAsync(lists, MeshApi.ApiGateway, stop));
        var routes = ApiRoutes.Select(kind => IfAllowedAsync(lists, kind, stop)).ToList();
        var asked = MeshApi.For(KindUse.Trace).Select(kind => ListAsync(lists.ListAsync(kind, stop)))
            .Concat(namespaces.Distinct().Select(ns => PodsAsync(lists, ns, stop)))
            .Append(ListAsync(lists.SelectAsync(MeshApi.ConfigMap, null, Labels.Revision, null, stop))).Append(WebhooksAsync(lists, stop)).ToList();
        var objects = await ReadAsync(context, istioNamespace, asked, namespaces);
        var (policies, error) = await packets;
        objects.AddNetworkPolicies(policies, error);
        objects.AddApiGateways(await gateways);
        for (var i = 0; i < routes.Count; i++) objects.AddApiRoutes(ApiRoutes[i], await routes[i]);
        return objects;
    }

    /// <summary>Objects that explain some failures; whoever may not read them can trace all the same.</summary>
    private static async Task<IReadOnlyList<JsonObject>> IfAllowedAsync(ClusterLists lists, KindDescriptor kind, CancellationToken stop)
    {
        try
        {
            return await ListAsync(lists.ListAsync(kind, stop));
        }
        catch (Exception e) when (e is KubeException or HttpRequestException)
        {
            return [];
        }
    }

    /// <summary>They explain some failures; whoever may not read them can trace all the same.</summary>
    private static async Task<(IReadOnlyList<JsonObject> Policies, string Error)> NetworkPoliciesAsync(ClusterLists lists, CancellationToken stop)
    {
        try
        {
            return (await ListAsync(lists.ListAsync(MeshApi.NetworkPolicy, stop)), "");
        }
        catch (Exception e) when (e is KubeException or HttpRequestException)
        {
            return ([], e.Message);
        }
    }

    /// <summary>Only Services, what runs behind them, and how clusters are joined.</summary>
    public static Task<ClusterObjects> WorkloadsAsync(string context, ClusterLists lists, string istioNamespace, CancellationToken stop) =>
        ReadAsync(context, istioNamespace, WorkloadKinds.Select(kind => ListAsync(lists.ListAsync(kind, stop))).Append(WebhooksAsync(lists, stop)), []);

    private static async Task<ClusterObjects> ReadAsync(string context, string istioNamespace, IEnumerable<Task<IReadOnlyList<JsonObject>>> asked,
        IEnumerable<string> namespaces)
    {
        try
        {
            return ClusterObjects.From(context, (await Task.WhenAll(asked)).SelectMany(list => list), istioNamespace, namespaces);
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

    private static Task<IReadOnlyList<JsonObject>> WebhooksAsync(ClusterLists lists, CancellationToken stop) =>
        ListAsync(lists.SelectAsync(MeshApi.MutatingWebhookConfiguration, null, "app", Injector, stop));

    public static Task<IReadOnlyList<JsonObject>> PodsAsync(ClusterLists lists, string ns, CancellationToken stop) =>
        ListAsync(lists.ListAsync(MeshApi.Pod, stop, ns));

    private static async Task<IReadOnlyList<JsonObject>> ListAsync(Task<IReadOnlyList<JsonObject>> listing)
    {
        try
        {
            return await listing;
        }
        catch (KubeException e) when (e.IsNotFound)
        {
            return []; // Istio's kinds are not defined here.
        }
    }
}

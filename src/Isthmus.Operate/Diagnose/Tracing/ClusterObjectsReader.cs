using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;

namespace Isthmus.Operate.Diagnose.Tracing;

/// <summary>Reads <see cref="ClusterObjects"/> through an API server. It changes nothing.</summary>
internal static class ClusterObjectsReader
{
    private static readonly ResourceKind[] Kinds =
    [
        Kubernetes.Objects.Kinds.Namespace, Kubernetes.Objects.Kinds.Service, Kubernetes.Objects.Kinds.EndpointSlice, Kubernetes.Objects.Kinds.Deployment,
        .. ((IstioKind[])[IstioKind.VirtualService, IstioKind.DestinationRule, IstioKind.ServiceEntry, IstioKind.Sidecar, IstioKind.Gateway, IstioKind.PeerAuthentication])
            .Select(kind => new ResourceKind(kind.Group, "v1beta1", kind.Kind, kind.Plural, true)),
    ];

    /// <param name="namespaces">Namespaces whose Pods are read at once.</param>
    public static async Task<ClusterObjects> ReadAsync(string context, KubeClient client, string istioNamespace, IEnumerable<string> namespaces, CancellationToken stop)
    {
        try
        {
            var lists = Kinds.Select(kind => ListAsync(client, kind, null, new(), stop)).Concat(namespaces.Distinct().Select(ns => PodsAsync(client, ns, stop)))
                .Append(ListAsync(client, Kubernetes.Objects.Kinds.ConfigMap, null, new() { LabelSelector = Labels.Revision }, stop))
                .Append(ListAsync(client, Kubernetes.Objects.Kinds.MutatingWebhookConfiguration, null, new() { LabelSelector = "app=sidecar-injector" }, stop));
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

    public static Task<IReadOnlyList<JsonObject>> PodsAsync(KubeClient client, string ns, CancellationToken stop) => ListAsync(client, Kubernetes.Objects.Kinds.Pod, ns, new(), stop);

    private static async Task<IReadOnlyList<JsonObject>> ListAsync(KubeClient client, ResourceKind kind, string? ns, ListOptions options, CancellationToken stop)
    {
        try
        {
            var items = await client.ListAllAsync<JsonObject>(kind, ns, options, stop);
            // API servers omit the type of list items.
            foreach (var item in items) (item["kind"], item["apiVersion"]) = (kind.Kind, kind.ApiVersion);
            return items;
        }
        catch (KubeException e) when (e.IsNotFound)
        {
            return []; // Istio's kinds are not defined here.
        }
    }
}

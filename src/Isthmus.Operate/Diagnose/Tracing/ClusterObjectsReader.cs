using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;

namespace Isthmus.Operate.Diagnose.Tracing;

/// <summary>Reads <see cref="ClusterObjects"/> through an API server; changes nothing.</summary>
internal static class ClusterObjectsReader
{
    private static readonly ResourceKind[] Kinds =
    [
        Kubernetes.Objects.Kinds.Service, Kubernetes.Objects.Kinds.EndpointSlice, Kubernetes.Objects.Kinds.Deployment,
        .. ((IstioKind[])[IstioKind.VirtualService, IstioKind.DestinationRule, IstioKind.ServiceEntry, IstioKind.Sidecar, IstioKind.Gateway, IstioKind.PeerAuthentication])
            .Select(kind => new ResourceKind(kind.Group, "v1beta1", kind.Kind, kind.Plural, true)),
    ];

    /// <param name="namespaces">Of which the Pods are read at once.</param>
    public static async Task<ClusterObjects> ReadAsync(string context, KubeClient client, string istioNamespace, IEnumerable<string> namespaces, CancellationToken stop)
    {
        try
        {
            var lists = Kinds.Select(kind => ListAsync(client, kind, null, stop)).Concat(namespaces.Distinct().Select(ns => PodsAsync(client, ns, stop)));
            var single = Task.WhenAll(client.FindAsync(Kubernetes.Objects.Kinds.Namespace, null, istioNamespace, stop), client.FindAsync(Kubernetes.Objects.Kinds.ConfigMap, istioNamespace, "istio", stop));
            var found = (await Task.WhenAll(lists)).SelectMany(list => list);
            return ClusterObjects.From(context, found.Concat((await single).OfType<JsonObject>()), istioNamespace, namespaces);
        }
        catch (Exception e) when (e is HttpRequestException or KubeException)
        {
            return ClusterObjects.Unreadable(context, e.Message);
        }
    }

    public static Task<IReadOnlyList<JsonObject>> PodsAsync(KubeClient client, string ns, CancellationToken stop) => ListAsync(client, Kubernetes.Objects.Kinds.Pod, ns, stop);

    private static async Task<IReadOnlyList<JsonObject>> ListAsync(KubeClient client, ResourceKind kind, string? ns, CancellationToken stop)
    {
        try
        {
            var items = await client.ListAllAsync<JsonObject>(kind, ns, new ListOptions(), stop);
            // API servers leave the type out of the items of a list.
            foreach (var item in items) (item["kind"], item["apiVersion"]) = (kind.Kind, kind.ApiVersion);
            return items;
        }
        catch (KubeException e) when (e.IsNotFound)
        {
            return []; // Istio's kinds are not defined here
        }
    }
}

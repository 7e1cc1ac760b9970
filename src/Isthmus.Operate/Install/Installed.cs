using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;

namespace Isthmus.Operate.Install;

/// <summary>Finds installed objects by their labels.</summary>
internal static class Installed
{
    /// <summary>Every kind that an installation makes; workloads first, so that nothing makes new objects while others go.</summary>
    internal static readonly IReadOnlyList<ResourceKind> KindsInOrder =
    [
        Kinds.MutatingWebhookConfiguration, Kinds.ValidatingWebhookConfiguration, Kinds.Deployment, Kinds.Service, Kinds.Endpoints, Kinds.ConfigMap,
        Manifests.ResourceOf(IstioKind.Gateway), Manifests.ResourceOf(IstioKind.DestinationRule), Manifests.ResourceOf(IstioKind.EnvoyFilter),
        Kinds.RoleBinding, Kinds.Role, Kinds.ClusterRoleBinding, Kinds.ClusterRole, Kinds.ServiceAccount, Kinds.Secret, Kinds.CustomResourceDefinition,
    ];

    /// <summary>Everything with these labels, in <see cref="KindsInOrder"/>.</summary>
    internal static async Task<IReadOnlyList<(ResourceKind Kind, JsonObject Item)>> ListAsync(KubeClient client, string selector, CancellationToken stop)
    {
        var lists = await Task.WhenAll(KindsInOrder.Select(async kind => (await ListAsync(client, kind, selector, stop)).Select(item => (kind, item))));
        return [.. lists.SelectMany(list => list)];
    }

    /// <summary>Where a definition is missing there are no objects of its kind.</summary>
    private static async Task<IReadOnlyList<JsonObject>> ListAsync(KubeClient client, ResourceKind kind, string selector, CancellationToken stop)
    {
        try
        {
            return await client.ListAllAsync<JsonObject>(kind, null, new ListOptions { LabelSelector = selector }, stop);
        }
        catch (KubeException e) when (e.Code == 404)
        {
            return [];
        }
    }
}

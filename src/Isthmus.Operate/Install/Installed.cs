using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Remote;
using Isthmus.Mesh.Config;

namespace Isthmus.Operate.Install;

/// <summary>Finds installed objects by their labels.</summary>
internal static class Installed
{
    /// <summary>Every kind that an installation creates; workloads first, so that they create no objects during the removal.</summary>
    internal static readonly IReadOnlyList<ResourceKind> KindsInOrder =
    [
        Kinds.MutatingWebhookConfiguration, Kinds.ValidatingWebhookConfiguration, Kinds.HorizontalPodAutoscaler, Kinds.PodDisruptionBudget, Kinds.NetworkPolicy,
        Kinds.Deployment, Kinds.DaemonSet, Kinds.Service, Kinds.Endpoints, Kinds.EndpointSlice, Kinds.ConfigMap,
        Manifests.ResourceOf(MeshApi.Gateway), Manifests.ResourceOf(MeshApi.DestinationRule), Manifests.ResourceOf(MeshApi.EnvoyFilter),
        Kinds.RoleBinding, Kinds.Role, Kinds.ClusterRoleBinding, Kinds.ClusterRole, Kinds.ServiceAccount, Kinds.Secret,
        Kinds.ValidatingAdmissionPolicyBinding, Kinds.ValidatingAdmissionPolicy, Kinds.CustomResourceDefinition,
    ];

    /// <summary>Everything with these labels, in <see cref="KindsInOrder"/>.</summary>
    internal static async Task<IReadOnlyList<(ResourceKind Kind, JsonObject Item)>> ListAsync(KubeClient client, string selector, CancellationToken stop)
    {
        var lists = await Task.WhenAll(KindsInOrder.Select(async kind => (await ListAsync(client, kind, selector, stop)).Select(item => (kind, item))));
        return [.. lists.SelectMany(list => list)];
    }

    /// <summary>Without its CustomResourceDefinition, a kind has no objects.</summary>
    private static async Task<IReadOnlyList<JsonObject>> ListAsync(KubeClient client, ResourceKind kind, string selector, CancellationToken stop)
    {
        try
        {
            // Controllers copy the labels of a Service to the EndpointSlices that they write for it.
            var own = kind == Kinds.EndpointSlice ? $"{selector},{Labels.SliceManager}={ControlPlaneSlices.Manager}" : selector;
            return await client.ListAllAsync<JsonObject>(kind, null, new ListOptions { LabelSelector = own }, stop);
        }
        catch (KubeException e) when (e.Code == 404)
        {
            return [];
        }
    }
}

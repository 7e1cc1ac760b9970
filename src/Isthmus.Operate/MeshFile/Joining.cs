using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Install;

namespace Isthmus.Operate.MeshFile;

/// <summary>What a cluster brings along that is not in the mesh yet, or left it for a while: Pods that nobody injected, and policies that it lacks.</summary>
internal sealed class Joining(ClusterLink link, MeshLinks links)
{
    private const int MostNames = 5;

    private static IEnumerable<KindDescriptor> Policies => MeshApi.Istio.Where(kind => kind.Group == MeshApi.AuthorizationPolicy.Group);

    public async Task<IReadOnlyList<string>> NotesAsync(CancellationToken stop)
    {
        if (await IsInjectedAsync(link, stop)) return [];
        var namespaces = await link.Client.ListAllAsync<Namespace>(Kinds.Namespace, null, new ListOptions(), stop);
        var notes = new List<string>();
        var bare = await BarePodsAsync(namespaces, stop);
        var (has, it) = bare.Count == 1 ? ("has", "it") : ("have", "them");
        if (bare.Count > 0) notes.Add($"{link.Name}: {Several(bare, "Pod")} of namespaces with injection {has} no sidecar; restart {it} when the mesh is up");
        if (!link.Cluster.IsPrimary) return notes;
        foreach (var other in links.All.Where(other => other != link && other.Cluster.IsPrimary))
        {
            if (!await IsInjectedAsync(other, stop)) continue;
            var own = (await PoliciesAsync(link, stop)).ToHashSet(StringComparer.Ordinal);
            var places = namespaces.Select(ns => ns.Metadata.Name).Append(WellKnown.SystemNamespace).ToHashSet(StringComparer.Ordinal);
            var theirs = await PoliciesAsync(other, stop);
            var lacking = theirs.Where(policy => !own.Contains(policy) && places.Contains(policy.Split(' ', '/')[1])).ToList();
            if (lacking.Count == 0) continue;
            notes.Add($"{link.Name}: lacks {Several(lacking, "policy", "policies")} of {other.Name}, and each control plane enforces those of its own cluster; "
                + $"apply {(lacking.Count == 1 ? "it" : "them")} there, too");
        }
        return notes;
    }

    private static async Task<bool> IsInjectedAsync(ClusterLink link, CancellationToken stop)
    {
        var options = new ListOptions { LabelSelector = "app=sidecar-injector" };
        return (await link.Client.ListAllAsync<JsonObject>(Kinds.MutatingWebhookConfiguration, null, options, stop)).Count > 0;
    }

    private async Task<IReadOnlyList<string>> BarePodsAsync(IReadOnlyList<Namespace> namespaces, CancellationToken stop)
    {
        var injected = namespaces
            .Where(ns => ns.Metadata.Labels.GetValueOrDefault(Labels.Injection) == "enabled" || ns.Metadata.Labels.ContainsKey(Labels.Revision))
            .Select(ns => ns.Metadata.Name).ToHashSet(StringComparer.Ordinal);
        if (injected.Count == 0) return [];
        var pods = await link.Client.ListAllAsync<Pod>(Kinds.Pod, null, new ListOptions(), stop);
        return [.. pods.Where(pod => injected.Contains(pod.Metadata.Namespace) && IsBare(pod)).Select(pod => pod.Key)];
    }

    private static bool IsBare(Pod pod) => pod.Metadata.Labels.GetValueOrDefault(Labels.Inject) != "false" && !pod.Spec.HostNetwork
        && pod.Status.Phase is not ("Succeeded" or "Failed")
        && pod.Spec.Containers.Concat(pod.Spec.InitContainers).All(container => container.Name != "istio-proxy");

    private static async Task<IEnumerable<string>> PoliciesAsync(ClusterLink cluster, CancellationToken stop)
    {
        var lists = await Task.WhenAll(Policies.Select(kind => NamesAsync(cluster, kind, stop)));
        return lists.SelectMany(list => list).Order(StringComparer.Ordinal);
    }

    private static async Task<IReadOnlyList<string>> NamesAsync(ClusterLink cluster, KindDescriptor kind, CancellationToken stop)
    {
        try
        {
            var all = await cluster.Client.ListAllAsync<JsonObject>(Manifests.ResourceOf(kind), null, new ListOptions(), stop);
            return [.. all.Select(value => $"{kind.Kind} {value["metadata"]!["namespace"]}/{value["metadata"]!["name"]}")];
        }
        catch (KubeException e) when (e.Code == 404)
        {
            // Without its definition, a kind has no objects.
            return [];
        }
    }

    private static string Several(IReadOnlyList<string> names, string one, string? many = null)
    {
        var more = names.Count > MostNames ? $" and {names.Count - MostNames} more" : "";
        return $"{Counted.Of(names.Count, one, many)} ({string.Join(", ", names.Take(MostNames))}{more})";
    }
}

using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Inventory;

namespace Isthmus.Explain.Tracing.Reading;

/// <summary>Reads <see cref="ClusterObjects"/> through an API server. It changes nothing.</summary>
internal static class ClusterObjectsReader
{
    /// <summary>What shows whether workloads get calls.</summary>
    internal static readonly IReadOnlyList<KindDescriptor> WorkloadKinds = [.. MeshApi.For(KindUse.Workloads)];

    /// <summary>They explain some failures; whoever may not read them can trace all the same.</summary>
    private static readonly IReadOnlyList<KindDescriptor> Explaining = [.. MeshApi.For(KindUse.TraceIfAllowed)];

    /// <summary>Without the right to list these in a cluster, nothing of it can be traced.</summary>
    internal static string Needed => string.Join(", ", MeshApi.For(KindUse.Trace)
        .Append(MeshApi.ConfigMap).Append(MeshApi.MutatingWebhookConfiguration).Select(kind => kind.ToString()).Distinct().Order(StringComparer.Ordinal));

    /// <param name="namespaces">Namespaces whose Pods are read at once.</param>
    public static async Task<ClusterObjects> ReadAsync(string context, ClusterLists lists, string istioNamespace, IEnumerable<string> namespaces,
        CancellationToken stop)
    {
        var explaining = Explaining.Select(kind => IfReadableAsync(lists, kind, stop)).ToList();
        var pods = namespaces.Distinct(StringComparer.Ordinal).Select(async ns => (ns, await PodsAsync(lists, ns, stop))).ToList();
        var settings = lists.SelectAsync(MeshApi.ConfigMap, null, Labels.Revision, null, stop);
        var root = RootAsync(lists, istioNamespace, stop);
        return await ReadAsync(context, async () =>
        {
            var objects = (await ListAsync(lists, MeshApi.For(KindUse.Trace), stop)).Concat(await settings).Concat(await root);
            var more = await Task.WhenAll(explaining);
            var unread = Explaining.Zip(more).Where(one => one.Second is null).Select(one => one.First.Name).ToHashSet(StringComparer.Ordinal);
            var read = ClusterInventory.From(context, objects.Concat(more.SelectMany(list => list ?? [])), unread: unread);
            return ClusterObjects.Of(read, istioNamespace, await Task.WhenAll(pods));
        });
    }

    /// <summary>Only Services, what runs behind them, and how clusters are joined.</summary>
    public static Task<ClusterObjects> WorkloadsAsync(string context, ClusterLists lists, string istioNamespace, CancellationToken stop) =>
        ReadAsync(context, async () => ClusterObjects.From(context, await ListAsync(lists, WorkloadKinds, stop), istioNamespace));

    /// <summary>The Pods of a namespace.</summary>
    public static Task<IReadOnlyList<Pod>> PodsAsync(ClusterLists lists, string ns, CancellationToken stop) => lists.ListAsync<Pod>(MeshApi.Pod, stop, ns);

    private static async Task<ClusterObjects> ReadAsync(string context, Func<Task<ClusterObjects>> read)
    {
        try
        {
            return await read();
        }
        catch (HttpRequestException e)
        {
            return ClusterObjects.Unreadable(context, Unreachable.Describe(e));
        }
        catch (KubeException e)
        {
            return ClusterObjects.Unreadable(context, e.Message, e.Code);
        }
    }

    /// <summary>The ConfigMap with the root; nothing when there is none, or it may not be read.</summary>
    private static async Task<IEnumerable<JsonObject>> RootAsync(ClusterLists lists, string istioNamespace, CancellationToken stop)
    {
        try
        {
            if (await lists.Client.FindAsync(Kinds.ConfigMap, istioNamespace, WellKnown.RootCertConfigMap, stop) is not { } map) return [];
            (map["apiVersion"], map["kind"]) = (Kinds.ConfigMap.ApiVersion, Kinds.ConfigMap.Kind);
            return [map];
        }
        catch (Exception e) when (e is KubeException or HttpRequestException)
        {
            return [];
        }
    }

    /// <summary>All objects of some kinds, and the webhooks of injectors.</summary>
    private static async Task<IEnumerable<JsonObject>> ListAsync(ClusterLists lists, IEnumerable<KindDescriptor> kinds, CancellationToken stop) =>
        (await Task.WhenAll(kinds.Select(kind => lists.ListIfDefinedAsync(kind, stop))
            .Append(lists.SelectAsync(MeshApi.MutatingWebhookConfiguration, null, "app", InjectorWebhook.App, stop)))).SelectMany(list => list);

    /// <summary>Null: they could not be read.</summary>
    private static async Task<IReadOnlyList<JsonObject>?> IfReadableAsync(ClusterLists lists, KindDescriptor kind, CancellationToken stop)
    {
        try
        {
            return await lists.ListIfDefinedAsync(kind, stop);
        }
        catch (Exception e) when (e is KubeException or HttpRequestException)
        {
            return null;
        }
    }
}

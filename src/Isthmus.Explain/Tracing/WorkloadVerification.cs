using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Inventory;

namespace Isthmus.Explain.Tracing;

/// <summary>Checks whether all workloads of the mesh's Services get calls. Reads only.</summary>
public static class WorkloadVerification
{
    private const string What = "workloads";

    /// <summary>How many Pods of a cluster are asked for their events.</summary>
    private const int MostAsked = 20;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(8);
    private static readonly string[] Needed = [.. ClusterObjectsReader.WorkloadKinds.Append(MeshApi.MutatingWebhookConfiguration).Select(kind => kind.Name)];

    /// <summary>Checks objects that were read for an analysis. Where some of them were not, it asks for those that are needed here.</summary>
    /// <param name="clusters">Each with what was read of it.</param>
    public static async Task<IReadOnlyList<Check>> RunAsync(IEnumerable<(ClusterLists Lists, ClusterInventory Inventory)> clusters, string istioNamespace,
        DateTimeOffset now, CancellationToken stop) =>
        [.. Run(await Task.WhenAll(clusters.Select(async cluster =>
        {
            var lists = cluster.Lists.Again(Patience);
            var objects = Of(cluster.Inventory) ?? await ClusterObjectsReader.WorkloadsAsync(cluster.Inventory.Context, lists, istioNamespace, stop);
            await Task.WhenAll(Unstarted(objects).Select(async pod =>
                objects.AddCheck(pod.Key, await KubeletWords.OfAsync(lists.Client, pod.Metadata.Namespace, pod.Metadata.Name, stop))).ToList());
            return objects;
        })), now)];

    /// <summary>Pods whose containers are not started, of which only their events may tell why. The oldest of each workload are enough.</summary>
    private static IEnumerable<Pod> Unstarted(ClusterObjects cluster) => cluster.Pods
        .Where(pod => pod.Status is { Phase: "Pending", IsReady: false } && pod.Spec.NodeName.Length > 0 && pod.Metadata.DeletionTimestamp is null
            && !ServicePods.HasRun(pod) && pod.Status.InitContainerStatuses.Concat(pod.Status.ContainerStatuses)
                .Any(status => status.State.Waiting is { Message: "", Reason: "ContainerCreating" or "PodInitializing" }))
        .OrderBy(pod => pod.Metadata.CreationTimestamp ?? DateTimeOffset.MinValue).DistinctBy(pod => (pod.Metadata.Namespace, ServicePods.OwnerOf(pod)))
        .Take(MostAsked).ToList();

    /// <summary>The same, which asks for nothing. Nothing is said where some objects were not read.</summary>
    public static IReadOnlyList<Check> Run(IEnumerable<ClusterInventory> clusters, DateTimeOffset? now = null) =>
        [.. Run([.. clusters.Select(Of).OfType<ClusterObjects>()], now)];

    /// <summary>The view of an inventory that is needed here; null when something of it was not read.</summary>
    private static ClusterObjects? Of(ClusterInventory cluster) => cluster.Error.Length == 0 && Needed.All(cluster.Knows)
        ? ClusterObjects.Of(cluster, cluster.SystemNamespace)
        : null;

    internal static IEnumerable<Check> Run(IReadOnlyList<ClusterObjects> clusters, DateTimeOffset? now = null)
    {
        foreach (var cluster in clusters.Where(cluster => cluster.Error.Length > 0))
            yield return new(cluster.Context, What, "not known",
                Faults.Of("ISM1035", $"cluster {cluster.Context}", "", $"its workloads cannot be read: {cluster.Error}",
                    cluster.AccessRemedy ?? "verify again once its API server answers") with { Severity = Severity.Warning });
        var readable = clusters.Where(cluster => cluster.Error.Length == 0).ToList();
        var hosts = readable.SelectMany(cluster => cluster.Services.Select(service => new ServiceInCluster(cluster, service)))
            .Where(service => !service.Service.Metadata.Labels.ContainsKey(Labels.Network)).GroupBy(service => service.Service.Key, StringComparer.Ordinal)
            .Select(host => host.ToList()).Where(host => host.Exists(IsOfMesh)).ToList();
        foreach (var cluster in readable)
        {
            var problems = hosts.SelectMany(host => host.Where(service => service.Cluster == cluster).SelectMany(service => Lost(service, host, readable, now)))
                .Distinct().Concat(Alone(cluster)).Concat(Misnamed(cluster)).ToList();
            problems.AddRange(UninjectedPods.In(cluster, problems.Select(problem => problem.Object).ToHashSet(StringComparer.Ordinal)));
            foreach (var problem in problems) yield return new(cluster.Context, What, problem.Object, problem);
            if (problems.Count == 0)
                yield return new(cluster.Context, What,
                    $"all Pods of {Counted.Of(hosts.Count(host => host.Exists(service => service.Cluster == cluster)), "Service")} are ready", null);
        }
    }

    private static IEnumerable<Problem> Lost(ServiceInCluster service, List<ServiceInCluster> host, List<ClusterObjects> clusters,
        DateTimeOffset? now)
    {
        foreach (var problem in LostParts.In(service, static _ => true, now: now)) yield return problem;
        if (!service.Cluster.IsJoinedByNames && LostParts.WithoutSidecar(service, host, clusters) is { } bare) yield return bare;
    }

    /// <summary>Pods that no Service selects, such as those of jobs, whose proxies do not work.</summary>
    private static IEnumerable<Problem> Alone(ClusterObjects cluster)
    {
        var selected = cluster.Services.SelectMany(cluster.Behind).ToHashSet();
        return cluster.Pods.Where(pod => pod.Status.Phase == "Running" && pod.Metadata.DeletionTimestamp is null && ServicePods.AwaitsProxy(pod)
            && !selected.Contains(pod)).Select(pod => UnreadyPods.Of(cluster, pod) with { Severity = Severity.Warning });
    }

    /// <summary>Pods whose proxies call their cluster by another name than its control plane, as after an installation with another one.</summary>
    private static IEnumerable<Problem> Misnamed(ClusterObjects cluster) =>
        cluster.Pods.Where(pod => pod.Metadata.DeletionTimestamp is null && pod.Status.Phase is "Running" or "Pending")
            .GroupBy(pod => AvailabilityCauses.OtherName(cluster, pod), StringComparer.Ordinal).Where(named => named.Key.Length > 0)
            .Select(named => AvailabilityCauses.Misnamed(cluster, named.First(), named.Count()));

    private static bool IsOfMesh(ServiceInCluster service) =>
        service.Cluster.Injects(service.Service.Metadata.Namespace) || service.Pods.Any(pod => ClusterObjects.Sidecar(pod) is not null);
}

using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Something that labels select: a Pod, a WorkloadEntry, or a Deployment and the like that has no Pods.</summary>
/// <param name="Pod">Null if it is not a Pod.</param>
public sealed record Workload(ClusterInventory Cluster, string Name, string Namespace, IReadOnlyDictionary<string, string> Labels, string ServiceAccount,
    Pod? Pod)
{
    private const string Proxy = "istio-proxy";

    /// <summary>Whether a proxy handles its traffic; a template would get one.</summary>
    public bool HasProxy => Pod is null || ProxyOf(Pod.Spec) is not null;

    /// <summary>Whether its proxy is a gateway of its own, and not that of an application.</summary>
    public bool IsGateway => Pod is not null && ProxyOf(Pod.Spec)?.Args.Contains("router") == true;

    /// <summary>The proxy of a Pod: a sidecar, a native sidecar, or the gateway itself; null when it has none.</summary>
    public static Container? ProxyOf(PodSpec spec) => spec.Containers.Concat(spec.InitContainers).FirstOrDefault(container => container.Name == Proxy);
}

/// <summary>The workloads of one cluster, without Pods that are completed or being deleted.</summary>
public sealed class ClusterWorkloads
{
    private readonly ILookup<string, Workload> _byNamespace;
    private readonly Lazy<ILookup<string, Service>> _services;

    internal ClusterWorkloads(ClusterInventory cluster)
    {
        Cluster = cluster;
        var pods = cluster.Pods.Where(IsThere).Select(pod => new Workload(cluster, $"Pod {pod.Key}", pod.Metadata.Namespace, pod.Metadata.Labels,
            pod.Spec.ServiceAccountName is { Length: > 0 } account ? account : "default", pod));
        var entries = cluster.Istio<WorkloadEntry>()
            .Select(entry => new Workload(cluster, $"WorkloadEntry {entry.Namespace}/{entry.Name}", entry.Namespace, entry.Endpoint.Labels,
                entry.Endpoint.ServiceAccount, null));
        var templates = cluster.Templates.Select(template => new Workload(cluster, template.FullName, template.Namespace, template.Labels,
            template.Spec.ServiceAccountName is { Length: > 0 } account ? account : "default", null));
        All = [.. pods, .. entries, .. templates];
        _byNamespace = All.ToLookup(workload => workload.Namespace, StringComparer.Ordinal);
        _services = new(() => cluster.Services.Where(service => service.Spec.Selector.Count > 0)
            .ToLookup(service => service.Metadata.Namespace, StringComparer.Ordinal));
    }

    public ClusterInventory Cluster { get; }

    public IReadOnlyList<Workload> All { get; }

    public IEnumerable<Workload> In(string ns) => _byNamespace[ns];

    /// <summary>The Services that select a workload.</summary>
    public IEnumerable<Service> ServicesOf(Workload workload) =>
        _services.Value[workload.Namespace].Where(service => LabelSelector.Selects(service.Spec.Selector, workload.Labels));

    /// <summary>The Pods that a Service selects.</summary>
    public IEnumerable<Workload> Behind(Service service) => Behind(service, In(service.Metadata.Namespace).Where(workload => workload.Pod is not null));

    /// <summary>Everything that the Service selects, also templates without Pods.</summary>
    public IEnumerable<Workload> Selected(Service service) => Behind(service, In(service.Metadata.Namespace));

    private static IEnumerable<Workload> Behind(Service service, IEnumerable<Workload> workloads) =>
        service.Spec.Selector.Count == 0 ? [] : workloads.Where(workload => LabelSelector.Selects(service.Spec.Selector, workload.Labels));

    private static bool IsThere(Pod pod) => pod.Metadata.DeletionTimestamp is null && pod.Status.Phase is not ("Succeeded" or "Failed");
}

using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>The objects of all clusters, and what follows from them between clusters. It never changes; an index is built when an analyzer first asks for
/// it.</summary>
public sealed class MeshSnapshot
{
    private readonly Lazy<HostTable> _hosts;
    private readonly Lazy<RoutedHosts> _routed;
    private readonly Lazy<JudgedGatewayApi[]> _gatewayApis;
    private readonly Lazy<string[]> _leftOut;

    public MeshSnapshot(IReadOnlyList<ClusterInventory> clusters)
    {
        Inventories = clusters;
        Readable = [.. clusters.Where(cluster => cluster.Error.Length == 0)];
        var areas = Readable.ToDictionary(cluster => cluster, cluster => new ClusterWorkloads(cluster));
        var primaries = Readable.Where(HasControlPlane).ToHashSet();
        Clusters = [.. Readable.Select(cluster => new ConfigCluster(cluster,
            [.. Readable.Where(other => other == cluster || (primaries.Count > 0 && !primaries.Contains(other))).Select(other => areas[other])]))];
        Workloads = [.. areas.Values];
        _hosts = new(() => new(Readable));
        _routed = new(() => new(Readable));
        _gatewayApis = new(() => [.. JudgedGatewayApi.Of(Readable, ReadsAll)]);
        // One that does not answer may be any of them.
        _leftOut = new(() => Inventories.Count > Readable.Count ? [] : [.. RemoteSecrets.LeftOut(Readable)]);
    }

    /// <summary>All clusters, also those that could not be read.</summary>
    public IReadOnlyList<ClusterInventory> Inventories { get; }

    public IReadOnlyList<ClusterInventory> Readable { get; }

    /// <summary>The readable clusters, each with the workloads that its Istio objects apply to.</summary>
    public IReadOnlyList<ConfigCluster> Clusters { get; }

    /// <summary>The workloads of each readable cluster.</summary>
    public IReadOnlyList<ClusterWorkloads> Workloads { get; }

    /// <summary>The hosts that proxies know.</summary>
    public HostTable Hosts => _hosts.Value;

    /// <summary>The hosts that have routes for sidecars.</summary>
    public RoutedHosts Routed => _routed.Value;

    /// <summary>The readable clusters with objects of the Gateway API.</summary>
    public IReadOnlyList<JudgedGatewayApi> GatewayApis => _gatewayApis.Value;

    /// <summary>The Gateways of a cluster that pass connections of other networks on to the service that their SNI names, also those of the Gateway
    /// API.</summary>
    internal IEnumerable<Gateway> Passing(ConfigCluster config) => config.Cluster.Istio<Gateway>()
        .Concat(GatewayApis.Where(api => api.Cluster == config.Cluster).SelectMany(api => api.Verdicts.Servers))
        .Where(gateway => gateway.Servers.Any(server => server.Tls is { Mode: ServerTlsMode.AutoPassthrough }));

    /// <summary>Clusters that control planes of the mesh read, and that nobody was asked to read here.</summary>
    public IReadOnlyList<string> LeftOut => _leftOut.Value;

    /// <summary>Whether every cluster of the mesh was read: what no other has may be in one that was not.</summary>
    public bool ReadsAll =>
        Inventories.Count == Readable.Count && LeftOut.Count == 0 && Readable.All(cluster => !cluster.HidesRemoteSecrets);

    /// <summary>Trust domains of all control planes, with aliases; empty when no MeshConfig was read.</summary>
    public IEnumerable<string> TrustDomains =>
        Readable.Select(cluster => cluster.Mesh).OfType<Mesh.Model.MeshConfig>().SelectMany(mesh => mesh.TrustDomains).Distinct();

    /// <summary>Whether every cluster knows the objects of these kinds.</summary>
    public bool Knows(IEnumerable<string> kinds) => kinds.All(kind => Readable.All(cluster => cluster.Knows(kind)));

    /// <summary>Whether a Service of one name is one host in both: clusters that are joined by other names have each their own.</summary>
    public static bool ShareHosts(ClusterInventory one, ClusterInventory other) => !(one.IsJoinedByNames && other.IsJoinedByNames);

    /// <summary>Namespaces that are not for applications, in which nothing of the mesh is missing: also those of the storage and the load balancer
    /// that local clusters come with.</summary>
    public static bool IsSystem(ClusterInventory cluster, string ns) =>
        ns == cluster.SystemNamespace || ns == cluster.RootNamespace || ns is WellKnown.SystemNamespace or "local-path-storage" or "metallb-system"
            || ns.StartsWith("kube-", StringComparison.Ordinal);

    /// <summary>Also one that has no Pods at the moment.</summary>
    public static bool HasControlPlane(ClusterInventory cluster) =>
        cluster.Pods.Select(pod => (IReadOnlyDictionary<string, string>)pod.Metadata.Labels).Concat(cluster.Templates.Select(template => template.Labels))
            .Any(labels => labels.GetValueOrDefault("app") == WellKnown.Istiod);
}

/// <summary>A cluster whose Istio objects a control plane reads.</summary>
/// <param name="Reach">The workloads that these objects apply to: those of the cluster, and of clusters without a control plane of their own.</param>
public sealed record ConfigCluster(ClusterInventory Cluster, IReadOnlyList<ClusterWorkloads> Reach)
{
    /// <summary>The namespace in which the selector of an object selects; null: the whole mesh, as of objects in the root namespace. Gateways are those of
    /// the namespace only.</summary>
    public string? Scope(string ns, WorkloadSelector selector) => ns == Cluster.RootNamespace && !selector.IsOfGateways ? null : ns;

    /// <summary>What the selector of an object selects; everything in its scope if the selector is empty.</summary>
    public IEnumerable<Workload> Selected(string ns, WorkloadSelector selector) =>
        Reach.SelectMany(area => Scope(ns, selector) is { } only ? area.In(only) : area.All).Where(workload => selector.Selects(workload.Labels));
}

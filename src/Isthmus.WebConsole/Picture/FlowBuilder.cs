using Isthmus.Kubernetes.Objects;
using Isthmus.WebConsole.Reading;
using Isthmus.WebConsole.Traffic;

namespace Isthmus.WebConsole.Picture;

/// <summary>Joins what callers' and callees' proxies counted to arrows between nodes. It is made for one reading of the clusters, and
/// pure.</summary>
internal sealed class FlowBuilder
{
    private readonly MeshState _mesh;
    private readonly Func<Party, Party, IReadOnlyList<string>?> _endpoints;
    private readonly HashSet<string> _services = new(StringComparer.Ordinal);
    private readonly Dictionary<Party, string> _workloads = [];
    private readonly HashSet<Party> _gateways = [];

    /// <param name="endpoints">The addresses that a caller's proxy has for a service; null when they are not known.</param>
    public FlowBuilder(MeshState mesh, Topology topology, Func<Party, Party, IReadOnlyList<string>?> endpoints)
    {
        (_mesh, _endpoints) = (mesh, endpoints);
        _services.UnionWith(topology.Services.Select(service => service.Id));
        foreach (var cluster in mesh.Clusters)
        {
            var eastWest = cluster.Facts.Gateways.Select(gateway => gateway.Name).ToHashSet(StringComparer.Ordinal);
            foreach (var service in cluster.Services.Where(service => service.Spec.Selector.Count > 0).OrderBy(service => service.Key, StringComparer.Ordinal))
                foreach (var pod in TopologyBuilder.Behind(cluster, service)) Note(cluster, service, pod, eastWest.Contains(service.Key));
        }
    }

    private void Note(ClusterState cluster, Service service, Pod pod, bool isEastWest)
    {
        var workload = new Party(ClusterState.WorkloadOf(pod), pod.Metadata.Namespace, cluster.Name);
        if (isEastWest) _gateways.Add(workload);
        var id = TopologyBuilder.IdOf(cluster.Context, service.Metadata.Namespace, service.Metadata.Name);
        if (_services.Contains(id)) _workloads.TryAdd(workload, id);
    }

    /// <summary>The arrows, and the nodes that are not Services.</summary>
    public (IReadOnlyList<Flow> Flows, IReadOnlyList<ServiceNode> Callers) Build(IReadOnlyList<CallRate> rates)
    {
        var callers = new Dictionary<string, ServiceNode>(StringComparer.Ordinal);
        var flows = rates.Where(rate => !_gateways.Contains(rate.Call.Source) && !IsItself(rate.Call) && !IsOver(rate))
            .Select(rate => (From: Source(rate, callers), To: Destination(rate.Call, callers), Rate: rate))
            .GroupBy(item => (item.From, item.To, Protocol: item.Rate.Call.Protocol))
            .Select(group => Join(group.Key.From, group.Key.To, group.Key.Protocol, [.. group.Select(item => item.Rate)]))
            .OrderBy(flow => flow.From, StringComparer.Ordinal).ThenBy(flow => flow.To, StringComparer.Ordinal)
            .ThenBy(flow => flow.Protocol, StringComparer.Ordinal);
        return ([.. flows], [.. callers.Values.OrderBy(node => node.Id, StringComparer.Ordinal)]);
    }

    /// <summary>A proxy of each workload that calls other clusters.</summary>
    public IReadOnlyDictionary<Party, ProxyPlace> CallersAcross(IReadOnlyList<CallRate> rates)
    {
        var found = new Dictionary<Party, ProxyPlace>();
        foreach (var source in rates.Select(rate => rate.Call).Where(call => call.BySource && IsAcross(call) && !_gateways.Contains(call.Source))
            .Select(call => call.Source).Distinct())
        {
            var cluster = _mesh.Named(source.Cluster)!;
            if (cluster.Proxies.FirstOrDefault(pod => pod.Metadata.Namespace == source.Namespace && ClusterState.WorkloadOf(pod) == source.Name) is { } pod)
                found[source] = new(cluster.Access, pod.Metadata.Namespace, pod.Metadata.Name);
        }
        return found;
    }

    private bool IsAcross(Call call) => _mesh.Named(call.Source.Cluster) is { } from && _mesh.Named(call.Destination.Cluster) is { } to && from != to;

    /// <summary>Probes of the kubelet, and connections of a proxy to its own application, are not calls of the mesh.</summary>
    private static bool IsItself(Call call) =>
        call.Destination.Name is "InboundPassthroughCluster" or "BlackHoleCluster"
            || call.Destination.Name.StartsWith("InboundPassthrough", StringComparison.Ordinal);

    /// <summary>Proxies remember calls of Pods that have ended, and calls of Services that are gone, until they end themselves.</summary>
    private bool IsOver(CallRate rate)
    {
        if (rate.Rate > 0 || rate.Bytes > 0) return false;
        var (source, to) = (rate.Call.Source, Named(rate.Call));
        if (source.Name.Length > 0 && _mesh.Named(source.Cluster)?.HasEnded(source.Namespace, source.Name) == true) return true;
        // The name of a host that is no Service has a dot.
        return !to.Name.Contains('.', StringComparison.Ordinal)
            && !_mesh.Clusters.Any(cluster => _services.Contains(TopologyBuilder.IdOf(cluster.Context, to.Namespace, to.Name)));
    }

    private string Source(CallRate rate, Dictionary<string, ServiceNode> callers)
    {
        var (call, source) = (rate.Call, rate.Call.Source);
        if (_workloads.TryGetValue(source, out var id)) return id;
        // A certificate of the mesh, and no workload that sends with it: proxies send spans and logs that do not name a workload.
        if (source.Name.Length == 0 && rate.IsMutualTls == true) return Extra(callers, Context(call.Destination.Cluster), "", "proxies", "proxies");
        // A caller without a proxy: the callee's proxy knows no more than its own cluster.
        var isKnown = source.Name.Length > 0;
        var context = Context(isKnown ? source.Cluster : call.Destination.Cluster);
        return Extra(callers, context, source.Namespace, isKnown ? source.Name : "outside", isKnown ? "workload" : "outside");
    }

    private string Destination(Call call, Dictionary<string, ServiceNode> callers)
    {
        var (name, ns, cluster) = Named(call);
        var context = Context(cluster.Length > 0 ? cluster : call.Source.Cluster);
        var id = TopologyBuilder.IdOf(context, ns, name);
        if (_services.Contains(id)) return id;
        // A call that found no endpoint names no cluster: the service may be defined only elsewhere.
        var elsewhere = cluster.Length > 0
            ? null
            : _mesh.Clusters.Select(other => TopologyBuilder.IdOf(other.Context, ns, name)).FirstOrDefault(_services.Contains);
        return elsewhere ?? Extra(callers, context, ns, name, "outside");
    }

    /// <summary>Envoy names the host of a request that has no cluster: a short name means the namespace of the caller.</summary>
    private Party Named(Call call)
    {
        if (call.Destination is not { Namespace.Length: 0 } to) return call.Destination;
        var parts = to.Name.Split(':')[0].Split('.');
        if (parts.Length > 2 && parts[2] != "svc") return to;
        var (name, ns) = (parts[0], parts.Length > 1 ? parts[1] : call.Source.Namespace);
        return _mesh.Clusters.Any(cluster => _services.Contains(TopologyBuilder.IdOf(cluster.Context, ns, name)))
            ? to with { Name = name, Namespace = ns }
            : to;
    }

    private string Extra(Dictionary<string, ServiceNode> callers, string context, string ns, string name, string kind)
    {
        var id = TopologyBuilder.IdOf(context, ns, name, kind);
        var pod = kind != "workload" ? null
            : _mesh.Find(context)?.Proxies.FirstOrDefault(pod => pod.Metadata.Namespace == ns && ClusterState.WorkloadOf(pod) == name);
        callers.TryAdd(id, new(id, context, ns, name, kind, 0, 0, 0, "none") { Caller = pod is null ? "" : ClusterState.CallerOf(pod) });
        return id;
    }

    private string Context(string cluster) => _mesh.Named(cluster)?.Context ?? cluster;

    private Flow Join(string from, string to, string protocol, IReadOnlyList<CallRate> rates)
    {
        // Both ends count each call. The caller's proxy also counts those that never arrive.
        var counted = rates.Where(rate => rate.Call.BySource).ToList();
        if (counted.Count == 0) counted = [.. rates];
        var total = counted.Sum(rate => rate.Rate);
        var isMutual = rates.Select(rate => rate.IsMutualTls).Where(value => value is not null).ToList();
        return new(from, to, protocol, total, total > 0 ? counted.Sum(rate => rate.Rate * rate.Errors) / total : 0,
            counted.Max(rate => rate.P50), counted.Max(rate => rate.P95), counted.Sum(rate => rate.Bytes), Way(counted[0].Call),
            isMutual.Count == 0 ? "unknown" : isMutual.All(value => value == true) ? "mtls" : "plain")
        {
            Denied = total > 0 ? counted.Sum(rate => rate.Rate * rate.Denied) / total : 0,
            Identity = rates.Select(rate => rate.Identity).FirstOrDefault(identity => identity.Length > 0) ?? "",
            Flags = [.. counted.SelectMany(rate => rate.Flags).Distinct().Order(StringComparer.Ordinal)],
        };
    }

    /// <summary>Where the caller's proxy sends the calls. Network labels only say what it should do.</summary>
    private string Way(Call call)
    {
        if (!IsAcross(call)) return "direct";
        var to = _mesh.Named(call.Destination.Cluster)!;
        var addresses = _endpoints(call.Source, call.Destination) ?? [];
        var gateways = _mesh.Clusters.SelectMany(cluster => cluster.Facts.Gateways.Where(gateway => (cluster == to || gateway.Network == to.Facts.NetworkLabel)
            && gateway.Addresses.Any(addresses.Contains))
            .Select(gateway => $"{gateway.Name} in {cluster.Context}")).ToList();
        if (gateways.Count > 0) return string.Join(", ", gateways);
        // Pod addresses of networks may overlap: one that the caller's cluster has as well is meant there.
        var near = _mesh.Named(call.Source.Cluster)!.Pods.Select(pod => pod.Status.PodIP).ToHashSet();
        if (to.Pods.Any(pod => addresses.Contains(pod.Status.PodIP) && !near.Contains(pod.Status.PodIP))) return "direct";
        // A load balancer that is known by its name only.
        var others = addresses.Except(_mesh.Clusters.SelectMany(cluster => cluster.Pods.Select(pod => pod.Status.PodIP)
            .Concat(cluster.Facts.Gateways.SelectMany(gateway => gateway.Addresses))))
            .ToList();
        return others.Count > 0 ? $"a gateway at {string.Join(", ", others)}" : "unknown";
    }
}

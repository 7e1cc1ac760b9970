using Isthmus.Core.Json;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Patches of EnvoyFilters that match nothing in the configuration of any proxy that they are for. Pure.</summary>
public static class IdlePatches
{
    /// <summary>Filters that control planes write. Others come from EnvoyFilters.</summary>
    private static readonly HashSet<string> HttpFilters = Names("envoy.filters.http.", "cors", "dynamic_forward_proxy", "ext_authz", "fault", "grpc_stats",
        "grpc_web", "grpc_http1_bridge",
        "jwt_authn", "lua", "peer_metadata", "ratelimit", "local_ratelimit", "rbac", "router", "wasm", "set_filter_state", "compressor", "buffer",
        "health_check");

    private static readonly HashSet<string> OtherHttpFilters = new(["istio.alpn", "istio.metadata_exchange", "istio.stats", "istio_authn"],
        StringComparer.Ordinal);

    private static readonly HashSet<string> NetworkFilters =
    [
        .. Names("envoy.filters.network.", "http_connection_manager", "tcp_proxy", "rbac", "ext_authz", "sni_cluster", "tcp_cluster_rewrite",
            "mongo_proxy", "redis_proxy", "mysql_proxy", "metadata_exchange", "set_filter_state"),
        "istio.metadata_exchange", "istio.stats",
    ];

    public static Analyzer Analyzer { get; } = new("envoyfilter.MatchAnalyzer", "Checks that the patches of EnvoyFilters match something", [OwnCodes.PatchIdle],
        ["EnvoyFilter", "Pod", "Service", "Gateway"], mesh => mesh.Clusters.SelectMany(config => Check(mesh, config)));

    private static IEnumerable<Finding> Check(MeshSnapshot mesh, ConfigCluster config)
    {
        var filters = config.Cluster.Istio<EnvoyFilter>().ToList();
        var inserted = filters.SelectMany(filter => filter.Patches)
            .Where(patch => patch is { IsMerge: false, Value: not null, Target: not PatchTarget.ExtensionConfig })
            .Select(patch => StrictJson.Parse(patch.Value!.Json)?["name"]?.ToString()).OfType<string>()
            .Concat(config.Cluster.Istio<WasmPlugin>().Select(plugin => plugin.ResourceName)).ToHashSet(StringComparer.Ordinal);
        return
            from filter in filters
            let proxies = config.Selected(filter.Namespace, filter.Selector)
                .Select(workload => workload.Pod is { } pod ? Workload.ProxyOf(pod.Spec) : null).OfType<Kubernetes.Objects.Container>().ToList()
            from patch in filter.Patches.Index()
            let why = OfPlace(patch.Item, proxies) ?? OfPort(mesh, patch.Item) ?? OfHost(mesh, patch.Item) ?? OfGateway(config, patch.Item)
                ?? OfFilter(patch.Item, inserted)
            where why is not null
            select OwnCodes.PatchIdle.At(config.Cluster, $"EnvoyFilter {filter.Namespace}/{filter.Name}",
                $"spec.configPatches[{patch.Index}].match.{why.Value.Field}", $"{why.Value.Message}, so the patch changes nothing");
    }

    /// <summary>The proxies that it is for have no such part.</summary>
    private static (string Field, string Message)? OfPlace(EnvoyPatch patch, List<Kubernetes.Objects.Container> proxies)
    {
        if (proxies.Count == 0 || patch.Context == PatchContext.Any) return null;
        var isForGateways = patch.Context == PatchContext.Gateway;
        return proxies.Exists(proxy => proxy.Args.Contains("router") == isForGateways) ? null
            : ("context",
                isForGateways
                    ? "is GATEWAY, and the workloads that it selects are no gateways"
                    : "is for sidecars, and the workloads that it selects are gateways");
    }

    private static (string Field, string Message)? OfPort(MeshSnapshot mesh, EnvoyPatch patch)
    {
        if (patch.Listener is not { Port: > 0 and var port } || !mesh.ReadsAll) return null;
        return patch.Context switch
        {
            PatchContext.SidecarOutbound when port is not Core.Names.Ports.Outbound && !mesh.Hosts.HasPort(port) => ("listener.portNumber",
                $"no Service or ServiceEntry has port {port}"),
            PatchContext.Gateway when !Served(mesh).Contains(port) => ("listener.portNumber", $"no Gateway has a server with port {port}"),
            _ => null,
        };
    }

    /// <summary>The ports of servers, and those of Pods to which Services of gateways lead.</summary>
    private static HashSet<int> Served(MeshSnapshot mesh)
    {
        var numbers = mesh.Readable.SelectMany(cluster => cluster.Istio<Gateway>()).SelectMany(gateway => gateway.Servers)
            .SelectMany(server => (int[])[server.Port, server.TargetPort]).ToHashSet();
        foreach (var port in mesh.Readable.SelectMany(cluster => cluster.Services).SelectMany(service => service.Spec.Ports)
            .Where(port => numbers.Contains(port.Port)).ToList())
        {
            if (port.TargetPort?.ToString() is not { Length: > 0 } target) continue;
            if (int.TryParse(target, out var number)) numbers.Add(number);
            else numbers.UnionWith(Named(mesh, target));
        }
        // Of Ingress objects, control planes make Gateways.
        if (mesh.Readable.Any(cluster => !cluster.Knows("Ingress") || cluster.Objects("Ingress").Any())) return [.. numbers, 80, 443, 8080, 8443];
        // Listeners of the Gateway API and of agents have ports of their own.
        if (mesh.GatewayApis.Count > 0)
            numbers.UnionWith(mesh.Readable.SelectMany(cluster => cluster.Services).SelectMany(service => service.Spec.Ports).Select(port => port.Port));
        return numbers;
    }

    /// <summary>The numbers that a name of a port has in containers.</summary>
    private static IEnumerable<int> Named(MeshSnapshot mesh, string name) =>
        from cluster in mesh.Readable
        from pod in cluster.Pods
        from container in pod.Spec.Containers
        from port in container.Ports
        where port.Name == name
        select port.Number;

    private static (string Field, string Message)? OfHost(MeshSnapshot mesh, EnvoyPatch patch) =>
        patch.Cluster is { Service: { Length: > 0 } service } && mesh.Hosts.Find(service).Count == 0 && mesh.ReadsAll
            ? ("cluster.service", $"no cluster has {service} as a Service or ServiceEntry")
            : null;

    private static (string Field, string Message)? OfGateway(ConfigCluster config, EnvoyPatch patch) =>
        patch.RouteTable is { Gateway: { Length: > 0 } name } && !name.Contains("-istio-autogenerated-k8s-", StringComparison.Ordinal)
            && !config.Cluster.Istio<Gateway>().Any(gateway => gateway.FullName == name)
            && config.Cluster.Find($"Gateway {name}") is null
            ? ("routeConfiguration.gateway", $"there is no Gateway {name}") : null;

    private static (string Field, string Message)? OfFilter(EnvoyPatch patch, HashSet<string> inserted)
    {
        if (patch.Listener is not { } listener) return null;
        if (listener.Filter.Length > 0 && !NetworkFilters.Contains(listener.Filter) && !inserted.Contains(listener.Filter))
            return ("listener.filterChain.filter.name", $"no filter chain has the filter {listener.Filter}{Renamed(listener.Filter, NetworkFilters)}");
        return listener.SubFilter.Length > 0 && !HttpFilters.Contains(listener.SubFilter) && !OtherHttpFilters.Contains(listener.SubFilter)
            && !inserted.Contains(listener.SubFilter)
            ? ("listener.filterChain.filter.subFilter.name", $"no proxy has the HTTP filter {listener.SubFilter}{Renamed(listener.SubFilter, HttpFilters)}")
            : null;
    }

    /// <summary>Names of before Envoy 1.14 have no <c>filters</c> in them.</summary>
    private static string Renamed(string old, HashSet<string> known) =>
        known.FirstOrDefault(name => name.EndsWith($".{old.Split('.')[^1]}", StringComparison.Ordinal)) is { } now ? $", which is called {now}" : "";

    private static HashSet<string> Names(string prefix, params string[] names) => names.Select(name => prefix + name).ToHashSet(StringComparer.Ordinal);
}

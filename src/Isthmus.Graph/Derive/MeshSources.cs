using Isthmus.Core.Collections;
using Isthmus.Core.Live;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Graph.Derive;

/// <summary>The inputs of the graph. The key of everything that belongs to a cluster includes the cluster.</summary>
public sealed class MeshSources(LiveGraph graph)
{
    public Source<ObjectKey, ClusterService> Services { get; } = new(graph, "services");
    public Source<ObjectKey, SliceFacts> Slices { get; } = new(graph, "slices");
    /// <summary>Pods and WorkloadEntries, each under its object.</summary>
    public Source<ObjectRef, Workload> Workloads { get; } = new(graph, "workloads");
    /// <summary>Keyed with an empty namespace, as Namespaces are.</summary>
    public Source<ObjectKey, NodeFacts> Nodes { get; } = new(graph, "nodes");
    public Source<ObjectKey, NamespaceFacts> Namespaces { get; } = new(graph, "namespaces");

    /// <summary>Certificates, for the gateways of their namespaces.</summary>
    public Source<ObjectKey, TlsCredential> Credentials { get; } = new(graph, "credentials");

    /// <summary>CAs in ConfigMaps.</summary>
    public Source<ObjectKey, TlsCredential> CaBundles { get; } = new(graph, "CA bundles");

    /// <summary>Whether gateways may read them, as <see cref="Resolve.SecretReaders"/> finds out.</summary>
    public Source<AccountKey, SecretAccess> SecretAccess { get; } = new(graph, "access to secrets");

    /// <summary>One item, under the empty key.</summary>
    public Source<string, MeshSettings> Settings { get; } = new(graph, "settings");

    /// <summary>Of the config cluster.</summary>
    public Source<ObjectKey, Ingress> Ingresses { get; } = new(graph, "ingresses");
    public Source<ObjectKey, IngressClass> IngressClasses { get; } = new(graph, "ingress classes");

    // The Gateway API, of the config cluster.
    public Source<ObjectKey, GatewayClass> GatewayClasses { get; } = new(graph, "gateway classes");
    public Source<ObjectKey, ApiGateway> ApiGateways { get; } = new(graph, "gateways of the Gateway API");
    public Source<ObjectKey, ListenerSet> ListenerSets { get; } = new(graph, "listener sets");
    public Source<ObjectKey, ApiRoute> HttpRoutes { get; } = new(graph, "HTTP routes");
    public Source<ObjectKey, ApiRoute> GrpcRoutes { get; } = new(graph, "gRPC routes");
    public Source<ObjectKey, ApiRoute> TlsRoutes { get; } = new(graph, "TLS routes");
    public Source<ObjectKey, ApiRoute> TcpRoutes { get; } = new(graph, "TCP routes");
    public Source<ObjectKey, ApiRoute> UdpRoutes { get; } = new(graph, "UDP routes");
    public Source<ObjectKey, BackendTrafficPolicy> BackendTrafficPolicies { get; } = new(graph, "backend traffic policies");
    public Source<ObjectKey, BackendTlsPolicy> BackendTlsPolicies { get; } = new(graph, "backend TLS policies");
    public Source<ObjectKey, ApiMesh> ApiMeshes { get; } = new(graph, "meshes of the Gateway API");
    public Source<ObjectKey, ReferenceGrant> ReferenceGrants { get; } = new(graph, "reference grants");

    /// <summary>What keeps Gateways from being deployed, as their deployment finds out.</summary>
    public Source<ObjectKey, GatewayTrouble> GatewayTroubles { get; } = new(graph, "troubles of gateways");

    // Istio resources of the config cluster.
    public Source<ObjectKey, Gateway> Gateways { get; } = new(graph, "gateways");
    public Source<ObjectKey, VirtualService> VirtualServices { get; } = new(graph, "virtual services");
    public Source<ObjectKey, DestinationRule> DestinationRules { get; } = new(graph, "destination rules");
    public Source<ObjectKey, ServiceEntry> ServiceEntries { get; } = new(graph, "service entries");
    public Source<ObjectKey, Sidecar> Sidecars { get; } = new(graph, "sidecars");
    public Source<ObjectKey, EnvoyFilter> EnvoyFilters { get; } = new(graph, "envoy filters");
    public Source<ObjectKey, ProxyConfig> ProxyConfigs { get; } = new(graph, "proxy configs");
    public Source<ObjectKey, PeerAuthentication> PeerAuthentications { get; } = new(graph, "peer authentications");
    public Source<ObjectKey, AuthorizationPolicy> AuthorizationPolicies { get; } = new(graph, "authorization policies");
    public Source<ObjectKey, Telemetry> Telemetries { get; } = new(graph, "telemetries");
    public Source<ObjectKey, WasmPlugin> WasmPlugins { get; } = new(graph, "wasm plugins");
    public Source<ObjectKey, RequestAuthentication> RequestAuthentications { get; } = new(graph, "request authentications");

    // Kubernetes' multi-cluster services API, of every cluster.
    public Source<ObjectKey, ServiceExport> Exports { get; } = new(graph, "service exports");
    public Source<ObjectKey, ServiceImport> Imports { get; } = new(graph, "service imports");

    /// <summary>Errors and warnings of objects.</summary>
    public Source<ObjectRef, ObjectProblems> Problems { get; } = new(graph, "problems");

    /// <summary>By cluster ID. An unreachable cluster stays, with its last contact.</summary>
    public Source<string, ClusterContact> Clusters { get; } = new(graph, "clusters");

    /// <summary>Host name → addresses; the resolver writes them.</summary>
    public Source<string, HostAddresses> ResolvedHosts { get; } = new(graph, "resolved hosts");

    /// <summary>The keys of issuers, as <see cref="Resolve.IssuerKeys"/> fetches them.</summary>
    public Source<KeyPlace, KeySet> IssuerKeys { get; } = new(graph, "keys of issuers");

    /// <summary>Host → the address that the allocator gave it.</summary>
    public Source<string, AllocatedAddress> Allocated { get; } = new(graph, "allocated addresses");
}

/// <summary>What calls and is called, by how it is looked up.</summary>
internal sealed class WorkloadIndex
{
    private readonly MeshSources _sources;
    private readonly Live<LabelKey, ValueList<Workload>> _entriesByLabel;

    public WorkloadIndex(MeshSources sources)
    {
        _sources = sources;
        All = sources.Workloads.Reduce(
            workload => workload.Health == EndpointHealth.Ready ? workload : workload with { Health = EndpointHealth.Ready }, "workloads, ready or not");
        _entriesByLabel = All.GroupByMany(workload => workload.IsPod
            ? []
            : workload.Labels.Select(label => new LabelKey(workload.Cluster, workload.Namespace, label.Key, label.Value)),
            "workload entries by label");
        ByNamespace = All.GroupBy(workload => workload.Namespace, "workloads by namespace");
        Machines = All.GroupByMany(workload => workload is { IsPod: false, ServiceAccount.Length: > 0 } ? [workload.Account] : (IEnumerable<AccountKey>)[],
            "machines by account");
    }

    /// <summary>The WorkloadEntries that a Service selects. All Services ask for theirs, so none depends on a Pod, nor on an entry that lacks its first label.
    /// </summary>
    public IEnumerable<Workload> EntriesOf(Reader read, ClusterService service)
    {
        if (service.Selector.Count == 0) return [];
        var (name, value) = service.Selector.Items.First();
        return read.Get(_entriesByLabel, new LabelKey(service.Cluster, service.Namespace, name, value))
            .Where(workload => Selectors.Matches(service.Selector, workload.Labels));
    }

    /// <summary>All of them, as if they were ready: health changes most often, and concerns only who asks for it (<see cref="WithHealth"/>).</summary>
    public Live<ObjectRef, Workload> All { get; }

    /// <summary>A workload with its health.</summary>
    public Workload WithHealth(Reader read, Workload workload) => read.Get(_sources.Workloads, workload.Source) ?? workload;

    public Live<string, ValueList<Workload>> ByNamespace { get; }

    /// <summary>Those outside of Kubernetes, by the account that they run as.</summary>
    public Live<AccountKey, ValueList<Workload>> Machines { get; }

    private readonly record struct LabelKey(string Cluster, string Namespace, string Name, string Value);
}

/// <summary>Indexes of Istio resources, by how they are looked up.</summary>
internal sealed class PolicyIndex(MeshSources sources)
{
    public Live<string, ValueList<PeerAuthentication>> PeersByNamespace { get; } =
        sources.PeerAuthentications.GroupBy(policy => policy.Namespace, "peer authentications by namespace");
}

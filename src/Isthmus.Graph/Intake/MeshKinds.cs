using Isthmus.Graph.Derive;
using Isthmus.Graph.Settings;
using Isthmus.Core.Live;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Config.GatewayApi;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Microsoft.Extensions.Logging;

namespace Isthmus.Graph.Intake;

/// <summary>The table of kinds: all that a control plane reads of clusters.</summary>
/// <param name="settingsMap">The name of the ConfigMap with the settings of the mesh.</param>
/// <param name="revision">The control plane's revision: it ignores Istio objects of others.</param>
public sealed class MeshKinds(MultiClusterSettings multiCluster, string settingsMap, string revision, ILogger<MeshKinds> log)
{
    public ServiceKind Services { get; } = new();
    public EndpointSliceKind Slices { get; } = new();
    public PodKind Pods { get; } = new();
    public NodeKind Nodes { get; } = new();
    public NamespaceKind Namespaces { get; } = new();

    /// <summary>One for each namespace whose Secrets are read, or one for all.</summary>
    public IReadOnlyList<CredentialKind> Credentials =>
        field ??= Secrets.Namespaces.IsEmpty ? [new()] : [.. Secrets.Namespaces.Select(ns => new CredentialKind(ns))];
    public SettingsKind Settings { get; } = new(settingsMap, log);
    public CaBundleKind CaBundles { get; } = new();
    public TrustBundleKind TrustBundles { get; } = new();
    public IngressKind Ingresses { get; } = new();
    public IngressClassKind IngressClasses { get; } = new();
    public ServiceExportKind Exports { get; } = new(multiCluster);
    public ServiceImportKind Imports { get; } = new(multiCluster);

    public WorkloadEntryKind WorkloadEntries { get; } = new() { Revision = revision };

    /// <summary>Istio kinds that affect proxies.</summary>
    public IReadOnlyList<MeshKind> Istio => field ??=
    [
        WorkloadEntries,
        new GatewayKind { Revision = revision },
        new VirtualServiceKind { Revision = revision },
        new DestinationRuleKind { Revision = revision },
        new ServiceEntryKind { Revision = revision },
        new SidecarKind { Revision = revision },
        new EnvoyFilterKind { Revision = revision },
        new ProxyConfigKind { Revision = revision },
        new PeerAuthenticationKind { Revision = revision },
        new AuthorizationPolicyKind { Revision = revision },
        new RequestAuthenticationKind { Revision = revision },
        new TelemetryKind { Revision = revision },
        new WasmPluginKind { Revision = revision },
    ];

    /// <summary>Kinds of the Gateway API, which come and go with their definitions.</summary>
    public IReadOnlyList<MeshKind> GatewayApi => field ??=
    [
        new GatewayApiKind<GatewayClass>(MeshApi.GatewayClass, GatewayClassReader.Read, item => item.Source,
            sources => sources.GatewayClasses) { Revision = revision },
        new GatewayApiKind<ApiGateway>(MeshApi.ApiGateway, ApiGatewayReader.Read, item => item.Source, sources => sources.ApiGateways) { Revision = revision },
        new GatewayApiKind<ListenerSet>(MeshApi.ListenerSet, ApiGatewayReader.ReadSet, item => item.Source,
            sources => sources.ListenerSets) { Revision = revision },
        Routes(MeshApi.HttpRoute, sources => sources.HttpRoutes),
        Routes(MeshApi.GrpcRoute, sources => sources.GrpcRoutes),
        Routes(MeshApi.TlsRoute, sources => sources.TlsRoutes),
        Routes(MeshApi.TcpRoute, sources => sources.TcpRoutes),
        Routes(MeshApi.UdpRoute, sources => sources.UdpRoutes),
        new GatewayApiKind<BackendTlsPolicy>(MeshApi.BackendTlsPolicy, BackendTlsPolicyReader.Read, item => item.Source,
            sources => sources.BackendTlsPolicies) { Revision = revision },
        new GatewayApiKind<BackendTrafficPolicy>(MeshApi.BackendTrafficPolicy, BackendTrafficPolicyReader.Read, item => item.Source,
            sources => sources.BackendTrafficPolicies) { Revision = revision },
        new GatewayApiKind<ApiMesh>(MeshApi.ApiMesh, ApiMeshReader.Read, item => item.Source, sources => sources.ApiMeshes) { Revision = revision },
        new GatewayApiKind<ReferenceGrant>(MeshApi.ReferenceGrant, ReferenceGrantReader.Read, item => item.Source,
            sources => sources.ReferenceGrants) { Revision = revision },
    ];

    /// <summary>Istio kinds of which only the problems are read.</summary>
    public IReadOnlyList<MeshKind> Refused => field ??= [.. MeshApi.Refused.Select(kind => new RefusedKind(kind) { Revision = revision })];

    /// <summary>What is not read, although it has a row here.</summary>
    public IgnoredResources Ignored { get; init; } = IgnoredResources.None;

    /// <summary>Whose Secrets are read.</summary>
    public SecretScope Secrets { get; init; } = SecretScope.Everywhere;

    public IReadOnlyList<MeshKind> All => field ??=
    [
        Services, Slices, Pods, Nodes, Namespaces,
        .. ((MeshKind[])[Ingresses, IngressClasses, Exports, Imports, .. Istio, .. GatewayApi, .. Refused]).Where(kind => !Ignored.Has(kind.Resource)),
        Settings, CaBundles, TrustBundles, .. Credentials,
    ];

    private GatewayApiKind<ApiRoute> Routes(KindDescriptor kind, Func<MeshSources, Source<ObjectKey, ApiRoute>> sourceIn) =>
        new(kind, (cluster, item) => ApiRouteReader.Read(kind, cluster, item), item => item.Source, sourceIn) { Revision = revision };
}

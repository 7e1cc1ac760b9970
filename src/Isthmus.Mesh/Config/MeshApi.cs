using static Isthmus.Mesh.Config.KindUse;

namespace Isthmus.Mesh.Config;

/// <summary>The table of kinds: all that Isthmus reads of clusters.</summary>
public static class MeshApi
{
    private const string Read = KindRights.Read;
    private const CallPart OfPods = CallPart.Workloads | CallPart.Tls | CallPart.Applications;
    private static readonly string[] NetworkingVersions = ["v1alpha3", "v1beta1", "v1"], SecurityVersions = ["v1beta1", "v1"];
    private static readonly (string, string, string) Age = ("Age", ".metadata.creationTimestamp", "When the object was created.");

    /// <summary>Groups that API servers have themselves.</summary>
    internal static readonly string[] BuiltInGroups =
    [
        "", "apps", "discovery.k8s.io", "networking.k8s.io", "admissionregistration.k8s.io", "apiextensions.k8s.io",
        "certificates.k8s.io", "apiregistration.k8s.io",
    ];

    public static readonly KindDescriptor Namespace = new("", "Namespace", "namespaces", "v1")
    {
        IsNamespaced = false, Place = KindPlace.EveryCluster, Uses = Analysis | Trace | Workloads | BugReport | LastKnown, Rights = KindRights.ReadByAll,
        Decides = CallPart.Hosts | CallPart.Workloads,
    };
    public static readonly KindDescriptor Node = new("", "Node", "nodes", "v1")
    {
        IsNamespaced = false, Place = KindPlace.EveryCluster, Uses = Analysis | BugReport | LastKnown, Rights = KindRights.ReadByAll,
    };
    public static readonly KindDescriptor Pod = new("", "Pod", "pods", "v1")
    {
        Place = KindPlace.EveryCluster, Uses = Analysis | Workloads | BugReport | LastKnown, Rights = KindRights.ReadByAll,
    };
    public static readonly KindDescriptor Service = new("", "Service", "services", "v1")
    {
        Place = KindPlace.EveryCluster, Uses = Analysis | Trace | Workloads | BugReport | LastKnown, Rights = KindRights.ReadByAll,
        Decides = CallPart.Hosts | CallPart.Workloads | CallPart.Applications,
    };
    public static readonly KindDescriptor Endpoints = new("", "Endpoints", "endpoints", "v1")
    {
        Uses = BugReport, Rights = KindRights.ReadByAll, Decides = CallPart.Workloads | CallPart.Tls | CallPart.Applications,
    };
    public static readonly KindDescriptor EndpointSlice = new("discovery.k8s.io", "EndpointSlice", "endpointslices", "v1")
    {
        Place = KindPlace.EveryCluster, Uses = Trace | BugReport | LastKnown,
        // Those of ServiceImports are written.
        Rights = new($"{Read} create patch delete", Reader: Read),
    };

    // Who has only a certificate gets another one while its account exists.
    public static readonly KindDescriptor ServiceAccount = new("", "ServiceAccount", "serviceaccounts", "v1")
    {
        Uses = AnalysisIfAllowed | BugReport, Rights = new("get", Reader: "get"),
    };
    public static readonly KindDescriptor Deployment = new("apps", "Deployment", "deployments", "v1")
    {
        Uses = AnalysisIfAllowed | Trace | Workloads | BugReport, Rights = new(Read), IsWorkload = true,
        Decides = OfPods,
    };
    public static readonly KindDescriptor ReplicaSet = new("apps", "ReplicaSet", "replicasets", "v1") { Rights = KindRights.ReadByAll };
    public static readonly KindDescriptor StatefulSet = new("apps", "StatefulSet", "statefulsets", "v1")
    {
        Uses = AnalysisIfAllowed | TraceIfAllowed | BugReport, IsWorkload = true,
        Decides = OfPods,
    };
    public static readonly KindDescriptor DaemonSet = new("apps", "DaemonSet", "daemonsets", "v1")
    {
        Uses = AnalysisIfAllowed | TraceIfAllowed | BugReport, IsWorkload = true,
        Decides = OfPods,
    };

    // Their rights depend on the installation: see SecretRights, and on what the control plane writes.
    public static readonly KindDescriptor Secret = new("", "Secret", "secrets", "v1")
    {
        Place = KindPlace.CredentialClusters, Need = KindNeed.Nowhere, Decides = CallPart.Tls,
    };
    public static readonly KindDescriptor ConfigMap = new("", "ConfigMap", "configmaps", "v1")
    {
        Place = KindPlace.HomeNamespace, Uses = AnalysisOfSome | BugReport,
        Decides = CallPart.Hosts | CallPart.Workloads | CallPart.Tls | CallPart.Policies,
    };
    public static readonly KindDescriptor Event = new("", "Event", "events", "v1") { Uses = BugReport };

    // Roles of an earlier installation do not include them.
    public static readonly KindDescriptor Ingress = new("networking.k8s.io", "Ingress", "ingresses", "v1", "v1beta1")
    {
        Place = KindPlace.ConfigCluster, Need = KindNeed.Nowhere, Uses = AnalysisIfAllowed | TraceIfAllowed | BugReport,
        Rights = new(Read, Status: "update patch"),
        Decides = CallPart.Routes | CallPart.Gateways,
    };
    public static readonly KindDescriptor IngressClass = new("networking.k8s.io", "IngressClass", "ingressclasses", "v1", "v1beta1")
    {
        IsNamespaced = false, Place = KindPlace.ConfigCluster, Need = KindNeed.Nowhere, Uses = AnalysisIfAllowed | TraceIfAllowed | BugReport,
        Rights = new(Read),
        Decides = CallPart.Routes | CallPart.Gateways,
    };
    public static readonly KindDescriptor NetworkPolicy = new("networking.k8s.io", "NetworkPolicy", "networkpolicies", "v1")
    {
        Uses = AnalysisIfAllowed | TraceIfAllowed | BugReport,
    };
    public static readonly KindDescriptor AdminNetworkPolicy = new("policy.networking.k8s.io", "AdminNetworkPolicy", "adminnetworkpolicies", "v1alpha1")
    {
        IsNamespaced = false, Need = KindNeed.Nowhere, Uses = AnalysisIfAllowed | BugReport,
    };
    public static readonly KindDescriptor CustomResourceDefinition = new("apiextensions.k8s.io", "CustomResourceDefinition", "customresourcedefinitions", "v1")
    {
        IsNamespaced = false, Uses = AnalysisOfSome, Rights = KindRights.ReadByAll,
    };
    public static readonly KindDescriptor MutatingWebhookConfiguration = new(
        "admissionregistration.k8s.io", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", "v1")
    {
        IsNamespaced = false, Uses = AnalysisIfAllowed | BugReport,
    };
    public static readonly KindDescriptor ValidatingWebhookConfiguration = new(
        "admissionregistration.k8s.io", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", "v1")
    {
        IsNamespaced = false, Uses = AnalysisIfAllowed | BugReport,
    };

    public static readonly KindDescriptor ApiService = new("apiregistration.k8s.io", "APIService", "apiservices", "v1")
    {
        IsNamespaced = false, IsDiscovered = true, Need = KindNeed.Nowhere, Uses = AnalysisIfAllowed | BugReport,
    };

    // Every account may read them where they are served.
    public static readonly KindDescriptor ClusterTrustBundle = new(
        "certificates.k8s.io", "ClusterTrustBundle", "clustertrustbundles", "v1", "v1beta1", "v1alpha1")
    {
        IsNamespaced = false, IsDiscovered = true, Place = KindPlace.ConfigCluster, Need = KindNeed.Nowhere, Uses = AnalysisIfAllowed | BugReport,
        Rights = new(Read),
        Decides = CallPart.Tls,
    };

    // The group is a setting (MultiClusterSettings). A control plane writes both in its own cluster, and exports in others.
    public static readonly KindDescriptor ServiceExport = new("multicluster.x-k8s.io", "ServiceExport", "serviceexports", "v1beta1", "v1alpha1")
    {
        Place = KindPlace.EveryCluster, Need = KindNeed.Nowhere, Uses = AnalysisIfAllowed | TraceIfAllowed | BugReport | LastKnown,
        Rights = new($"{Read} create update patch delete", $"{Read} create update patch delete", $"{Read} create delete"),
        Decides = CallPart.Hosts,
    };
    public static readonly KindDescriptor ServiceImport = new("multicluster.x-k8s.io", "ServiceImport", "serviceimports", "v1beta1", "v1alpha1")
    {
        Place = KindPlace.EveryCluster, Need = KindNeed.Nowhere, Uses = BugReport,
        Rights = new($"{Read} create update patch delete", $"{Read} create update patch delete", Read),
        Decides = CallPart.Hosts,
    };

    public static readonly KindDescriptor Gateway = Networking("Gateway", "gateways", NetworkingVersions) with
    {
        ShortNames = ["gw"], Spec = NetworkingSchemas.Gateway, Reader = of => GatewayReader.Read(of.Source, of.Spec, of.CreatedAt),
        Uses = Analysis | Trace | Workloads | BugReport,
        Decides = CallPart.Gateways,
    };
    public static readonly KindDescriptor VirtualService = Networking("VirtualService", "virtualservices", NetworkingVersions) with
    {
        ShortNames = ["vs"], Spec = NetworkingSchemas.VirtualService, Reader = of => VirtualServiceReader.Read(of.Source, of.Spec, of.CreatedAt),
        Columns =
        [
            ("Gateways", ".spec.gateways", "The gateways and sidecars that apply these routes."), ("Hosts", ".spec.hosts", "The hosts that are routed."), Age,
        ],
        Uses = Analysis | Trace | ConsoleRules | BugReport, ClaimsHosts = true,
        Decides = CallPart.Routes | CallPart.Workloads,
    };
    public static readonly KindDescriptor DestinationRule = Networking("DestinationRule", "destinationrules", NetworkingVersions) with
    {
        ShortNames = ["dr"], Spec = NetworkingSchemas.DestinationRule, Reader = of => DestinationRuleReader.Read(of.Source, of.Spec, of.CreatedAt),
        Columns = [("Host", ".spec.host", "The host that the rule is for."), Age], Uses = Analysis | Trace | ConsoleRules | BugReport, ClaimsHosts = true,
        Decides = CallPart.Routes | CallPart.Workloads | CallPart.Tls,
    };
    public static readonly KindDescriptor ServiceEntry = Networking("ServiceEntry", "serviceentries", NetworkingVersions) with
    {
        ShortNames = ["se"], Spec = NetworkingSchemas.ServiceEntry, Reader = ServiceEntryReader.Read, NeedsSpec = true,
        Columns =
        [
            ("Hosts", ".spec.hosts", "The hosts of the entry."), ("Location", ".spec.location", "Inside or outside the mesh."),
            ("Resolution", ".spec.resolution", "How endpoints are found."), Age,
        ],
        Uses = Analysis | Trace | BugReport, ClaimsHosts = true,
        Decides = CallPart.Hosts | CallPart.Workloads,
    };

    // As Pods, they belong to the cluster that has them. Only a cluster that holds configuration must have Istio's definitions.
    public static readonly KindDescriptor WorkloadEntry = Networking("WorkloadEntry", "workloadentries", NetworkingVersions) with
    {
        ShortNames = ["we"], Spec = NetworkingSchemas.WorkloadEntry, NeedsSpec = true,
        Reader = ServiceEntryReader.ReadWorkload,
        Columns = [Age, ("Address", ".spec.address", "The address of the workload.")],
        Place = KindPlace.EveryCluster, Need = KindNeed.ConfigCluster, Uses = Analysis | BugReport | LastKnown | Trace,
        Decides = CallPart.Workloads,
    };
    public static readonly KindDescriptor WorkloadGroup = Networking("WorkloadGroup", "workloadgroups", NetworkingVersions) with
    {
        ShortNames = ["wg"], Spec = NetworkingSchemas.WorkloadGroup, Reader = ServiceEntryReader.CheckGroup, NeedsSpec = true, Columns = [Age],
        Place = KindPlace.Nowhere,
    };
    public static readonly KindDescriptor Sidecar = Networking("Sidecar", "sidecars", NetworkingVersions) with
    {
        Spec = NetworkingSchemas.Sidecar, Reader = of => SidecarReader.Read(of.Source, of.Spec, of.CreatedAt), Uses = Analysis | Trace | BugReport,
        Decides = CallPart.Hosts | CallPart.Workloads | CallPart.Tls | CallPart.Policies | CallPart.Applications,
    };
    public static readonly KindDescriptor EnvoyFilter = Networking("EnvoyFilter", "envoyfilters", "v1alpha3") with
    {
        Spec = NetworkingSchemas.EnvoyFilter, Reader = of => EnvoyFilterReader.Read(of.Source, of.Spec, of.CreatedAt),
        Uses = Analysis | TraceIfAllowed | BugReport,
        Decides = CallPart.Routes | CallPart.Tls | CallPart.Policies | CallPart.Gateways | CallPart.Applications,
    };
    public static readonly KindDescriptor ProxyConfig = Networking("ProxyConfig", "proxyconfigs", "v1beta1") with
    {
        Spec = MeshSchemas.ProxyConfig, Reader = of => ProxyConfigReader.Read(of.Source, of.Spec, of.CreatedAt),
        Uses = Analysis | TraceIfAllowed | BugReport,
    };
    public static readonly KindDescriptor PeerAuthentication = Policy("PeerAuthentication", "peerauthentications") with
    {
        ShortNames = ["pa"], Spec = SecuritySchemas.PeerAuthentication, Reader = of => PeerAuthenticationReader.Read(of.Source, of.Spec, of.CreatedAt),
        Columns = [("Mode", ".spec.mtls.mode", "The mode of mutual TLS."), Age],
        Decides = CallPart.Tls | CallPart.Policies,
    };
    public static readonly KindDescriptor AuthorizationPolicy = Policy("AuthorizationPolicy", "authorizationpolicies") with
    {
        ShortNames = ["ap"], Spec = SecuritySchemas.AuthorizationPolicy, Reader = AuthorizationPolicyReader.Read,
        Columns = [("Action", ".spec.action", "What happens to requests that match."), Age],
        Decides = CallPart.Policies,
    };
    public static readonly KindDescriptor RequestAuthentication = Policy("RequestAuthentication", "requestauthentications") with
    {
        ShortNames = ["ra"], Spec = SecuritySchemas.RequestAuthentication, Reader = of => RequestAuthenticationReader.Read(of.Source, of.Spec, of.CreatedAt),
        Decides = CallPart.Policies,
    };

    // It has a v1, too, which Istio does not store.
    public static readonly KindDescriptor Telemetry = OfIstio("telemetry", "Telemetry", "telemetries", "v1alpha1", "v1") with
    {
        ShortNames = ["telemetry"], StoredVersion = "v1alpha1", Spec = TelemetrySchemas.Telemetry, Columns = [Age],
        Reader = of => TelemetryReader.Read(of.Source, of.Spec, of.CreatedAt),
    };

    public static readonly KindDescriptor WasmPlugin = OfIstio("extensions", "WasmPlugin", "wasmplugins", "v1alpha1") with
    {
        Spec = ExtensionSchemas.WasmPlugin, NeedsSpec = true, Columns = [Age], Need = KindNeed.Nowhere,
        Reader = WasmPluginReader.Read, NeedsEnvoy = true,
        Decides = CallPart.Policies,
    };

    // A filter may decide who may call, and what the answer is.
    public static readonly KindDescriptor TrafficExtension = OfIstio("extensions", "TrafficExtension", "trafficextensions", "v1alpha1") with
    {
        Spec = ExtensionSchemas.TrafficExtension, NeedsSpec = true, Columns = [Age], Need = KindNeed.Nowhere,
        Refusal = ("TrafficExtensions are not supported: proxies of Isthmus run neither Wasm nor Lua", InsteadOfFilters),
    };

    /// <summary>The command line reads them. They have no effect in a cluster, and nobody expects one.</summary>
    public static readonly KindDescriptor IstioOperator = OfIstio("install", "IstioOperator", "istiooperators", "v1alpha1") with
    {
        ShortNames = ["iop", "io"], Place = KindPlace.Nowhere, Uses = AnalysisOfSome | BugReport,
        Columns = [("Revision", ".spec.revision", "The control plane's revision."), ("Status", ".status.status", "The state of the installation."), Age],
    };

    // The definitions are the user's. Objects of older versions are read alike: fields that these lack are absent.
    public static readonly KindDescriptor GatewayClass = OfGatewayApi("GatewayClass", "gatewayclasses", "v1", "v1beta1") with { IsNamespaced = false };
    public static readonly KindDescriptor ApiGateway = OfGatewayApi("Gateway", "gateways", "v1", "v1beta1");
    public static readonly KindDescriptor HttpRoute = RouteOfGatewayApi("HTTPRoute", "httproutes", "v1", "v1beta1");
    public static readonly KindDescriptor GrpcRoute = RouteOfGatewayApi("GRPCRoute", "grpcroutes", "v1", "v1alpha2");
    public static readonly KindDescriptor TlsRoute = RouteOfGatewayApi("TLSRoute", "tlsroutes", "v1", "v1alpha3", "v1alpha2");
    public static readonly KindDescriptor TcpRoute = RouteOfGatewayApi("TCPRoute", "tcproutes", "v1", "v1alpha2");
    public static readonly KindDescriptor UdpRoute = RouteOfGatewayApi("UDPRoute", "udproutes", "v1", "v1alpha2");
    public static readonly KindDescriptor ListenerSet = OfGatewayApi("ListenerSet", "listenersets", "v1");
    public static readonly KindDescriptor BackendTlsPolicy = OfGatewayApi("BackendTLSPolicy", "backendtlspolicies", "v1", "v1alpha3") with
    {
        Decides = CallPart.Routes | CallPart.Gateways | CallPart.Tls,
    };
    public static readonly KindDescriptor ReferenceGrant = OfGatewayApi("ReferenceGrant", "referencegrants", "v1", "v1beta1") with { Rights = new(Read) };
    public static readonly KindDescriptor BackendTrafficPolicy = OfGatewayApi("XBackendTrafficPolicy", "xbackendtrafficpolicies", "v1alpha1") with
    {
        Group = "gateway.networking.x-k8s.io", Uses = AnalysisIfAllowed | BugReport,
    };
    public static readonly KindDescriptor ApiMesh = OfGatewayApi("XMesh", "xmeshes", "v1alpha1") with
    {
        Group = BackendTrafficPolicy.Group, IsNamespaced = false, Uses = AnalysisIfAllowed | BugReport,
    };

    /// <summary>Every kind, in the order of the rules of roles.</summary>
    public static readonly IReadOnlyList<KindDescriptor> All =
    [
        Namespace, Node, Pod, Service, Endpoints, EndpointSlice, ServiceAccount, Deployment, ReplicaSet, StatefulSet, DaemonSet, Secret, ConfigMap, Event,
        Gateway, VirtualService, DestinationRule, ServiceEntry, WorkloadEntry, WorkloadGroup, Sidecar, EnvoyFilter, ProxyConfig,
        PeerAuthentication, AuthorizationPolicy, RequestAuthentication, Telemetry, WasmPlugin, TrafficExtension, IstioOperator,
        Ingress, IngressClass, NetworkPolicy, AdminNetworkPolicy, CustomResourceDefinition, MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
        ApiService, ServiceExport, ServiceImport,
        GatewayClass, ApiGateway, HttpRoute, GrpcRoute, TlsRoute, TcpRoute, UdpRoute, ListenerSet, BackendTlsPolicy, ReferenceGrant,
        BackendTrafficPolicy, ApiMesh, ClusterTrustBundle,
    ];

    /// <summary>Every kind that Istio's base chart installs.</summary>
    public static readonly IReadOnlyList<KindDescriptor> Istio = [.. All.Where(kind => kind.IsIstio)];

    /// <summary>Istio's kinds that affect proxies.</summary>
    public static readonly IReadOnlyList<KindDescriptor> Effective = [.. Istio.Where(kind => kind.IsEffective)];

    /// <summary>Istio's kinds that admission refuses.</summary>
    public static readonly IReadOnlyList<KindDescriptor> Refused = [.. Istio.Where(kind => kind.IsRefused)];

    /// <summary>The groups of Istio's kinds that control planes read. Nobody else has kinds in them: roles name them whole, so that those of
    /// an installation fit the next version, too.</summary>
    public static readonly IReadOnlyList<string> IstioGroups = [.. Istio.Where(kind => kind.Place != KindPlace.Nowhere).Select(kind => kind.Group).Distinct()];

    /// <summary>The names of the kinds that decide some of these parts of a call.</summary>
    public static IEnumerable<string> Deciding(CallPart parts) => All.Where(kind => (kind.Decides & parts) != 0).Select(kind => kind.Name);

    /// <summary>Whether objects of a kind make Pods from a template.</summary>
    public static bool IsWorkload(string kind) => All.Any(known => known.IsWorkload && known.Kind == kind);

    /// <summary>The kinds that a command reads.</summary>
    public static IEnumerable<KindDescriptor> For(KindUse use) => All.Where(kind => kind.Has(use));

    /// <summary>The kind of an object's apiVersion and kind; null when it is not in the table or the version is unknown.</summary>
    public static KindDescriptor? Find(string apiVersion, string kind)
    {
        foreach (var known in All)
            if (known.Is(apiVersion, kind)) return known;
        return null;
    }

    /// <summary>The same for Istio's kinds.</summary>
    public static KindDescriptor? FindIstio(string apiVersion, string kind) => Find(apiVersion, kind) is { IsIstio: true } known ? known : null;

    private const string InsteadOfFilters =
        "decide in an external authorizer (AuthorizationPolicy with action CUSTOM), or change headers by the routes of a VirtualService";

    private static KindDescriptor Networking(string kind, string plural, params string[] versions) => OfIstio("networking", kind, plural, versions);

    private static KindDescriptor OfGatewayApi(string kind, string plural, params string[] versions) => new("gateway.networking.k8s.io", kind, plural, versions)
    {
        Place = KindPlace.ConfigCluster, Need = KindNeed.Nowhere, Uses = AnalysisIfAllowed | TraceIfAllowed | BugReport,
        Rights = new(Read, Status: "update patch"), Decides = CallPart.Routes | CallPart.Gateways,
    };

    private static KindDescriptor RouteOfGatewayApi(string kind, string plural, params string[] versions) =>
        OfGatewayApi(kind, plural, versions) with { Uses = AnalysisIfAllowed | TraceIfAllowed | ConsoleRules | BugReport };

    private static KindDescriptor Policy(string kind, string plural) =>
        OfIstio("security", kind, plural, SecurityVersions) with { IsPolicy = true, Uses = Analysis | Trace | ConsoleRules | BugReport };

    private static KindDescriptor OfIstio(string group, string kind, string plural, params string[] versions) =>
        new($"{group}.istio.io", kind, plural, versions)
        {
            StoredVersion = versions[^1], Place = KindPlace.ConfigCluster, Need = KindNeed.ConfigCluster, Uses = Analysis | BugReport,
        };
}

namespace Isthmus.Mesh.Config;

/// <summary>A kind of Istio's API groups, as its CustomResourceDefinition declares it.</summary>
/// <param name="Versions">Served versions; every Istio serves the first.</param>
/// <param name="StoredVersion">The version in which API servers store objects.</param>
/// <param name="Columns">Printer columns: name, JSON path, description.</param>
public sealed record IstioKind(string Group, string Kind, string Plural, string[] ShortNames, string[] Versions, string StoredVersion,
    (string Name, string Path, string Text)[] Columns)
{
    private static readonly string[] Networking = ["v1alpha3", "v1beta1", "v1"];
    private static readonly string[] Security = ["v1beta1", "v1"];
    private static readonly (string, string, string) Age = ("Age", ".metadata.creationTimestamp", "When the object was created.");

    public static readonly IstioKind Gateway = New("networking", "Gateway", "gateways", ["gw"], Networking);
    public static readonly IstioKind VirtualService = New("networking", "VirtualService", "virtualservices", ["vs"], Networking,
        ("Gateways", ".spec.gateways", "The gateways and sidecars that apply these routes."), ("Hosts", ".spec.hosts", "The hosts that are routed."), Age);
    public static readonly IstioKind DestinationRule = New("networking", "DestinationRule", "destinationrules", ["dr"], Networking,
        ("Host", ".spec.host", "The host that the rule is for."), Age);
    public static readonly IstioKind ServiceEntry = New("networking", "ServiceEntry", "serviceentries", ["se"], Networking,
        ("Hosts", ".spec.hosts", "The hosts of the entry."), ("Location", ".spec.location", "Inside or outside the mesh."),
        ("Resolution", ".spec.resolution", "How endpoints are found."), Age);
    public static readonly IstioKind WorkloadEntry = New("networking", "WorkloadEntry", "workloadentries", ["we"], Networking,
        Age, ("Address", ".spec.address", "The address of the workload."));
    public static readonly IstioKind WorkloadGroup = New("networking", "WorkloadGroup", "workloadgroups", ["wg"], Networking, Age);
    public static readonly IstioKind Sidecar = New("networking", "Sidecar", "sidecars", [], Networking);
    public static readonly IstioKind EnvoyFilter = New("networking", "EnvoyFilter", "envoyfilters", [], ["v1alpha3"]);
    public static readonly IstioKind ProxyConfig = New("networking", "ProxyConfig", "proxyconfigs", [], ["v1beta1"]);
    public static readonly IstioKind PeerAuthentication = New("security", "PeerAuthentication", "peerauthentications", ["pa"], Security,
        ("Mode", ".spec.mtls.mode", "The mode of mutual TLS."), Age);
    public static readonly IstioKind AuthorizationPolicy = New("security", "AuthorizationPolicy", "authorizationpolicies", ["ap"], Security,
        ("Action", ".spec.action", "What happens to requests that match."), Age);
    public static readonly IstioKind RequestAuthentication = New("security", "RequestAuthentication", "requestauthentications", ["ra"], Security);
    public static readonly IstioKind Telemetry = New("telemetry", "Telemetry", "telemetries", ["telemetry"], ["v1alpha1", "v1"], Age);
    public static readonly IstioKind WasmPlugin = New("extensions", "WasmPlugin", "wasmplugins", [], ["v1alpha1"], Age);
    public static readonly IstioKind TrafficExtension = New("extensions", "TrafficExtension", "trafficextensions", [], ["v1alpha1"], Age);
    public static readonly IstioKind IstioOperator = New("install", "IstioOperator", "istiooperators", ["iop", "io"], ["v1alpha1"],
        ("Revision", ".spec.revision", "The control plane's revision."), ("Status", ".status.status", "The state of the installation."), Age);

    /// <summary>Every kind that Istio's base chart installs.</summary>
    public static readonly IReadOnlyList<IstioKind> All =
    [
        Gateway, VirtualService, DestinationRule, ServiceEntry, WorkloadEntry, WorkloadGroup, Sidecar, EnvoyFilter, ProxyConfig,
        PeerAuthentication, AuthorizationPolicy, RequestAuthentication, Telemetry, WasmPlugin, TrafficExtension, IstioOperator,
    ];

    /// <summary>The kinds that affect proxies today: the control plane watches them in the config cluster.</summary>
    public static readonly IReadOnlyList<IstioKind> Effective =
        [Gateway, VirtualService, DestinationRule, ServiceEntry, WorkloadEntry, Sidecar, EnvoyFilter, ProxyConfig, PeerAuthentication, AuthorizationPolicy, RequestAuthentication, Telemetry];

    /// <summary>The kinds that admission refuses. The control plane watches them as well: a stored object says that it has no effect.</summary>
    public static readonly IReadOnlyList<IstioKind> Refused = [WasmPlugin, TrafficExtension];

    /// <summary>The version that a control plane reads and writes: also servers with the definitions of an older Istio have it.</summary>
    public string ReadVersion => Versions[0];

    public string CrdName => $"{Plural}.{Group}";

    /// <summary>The kind for an object's apiVersion and kind; null when it is not an Istio kind or the version is unknown.</summary>
    public static IstioKind? Find(string apiVersion, string kind)
    {
        foreach (var known in All)
        {
            if (known.Kind != kind || !apiVersion.StartsWith(known.Group, StringComparison.Ordinal)) continue;
            var slash = apiVersion.IndexOf('/', StringComparison.Ordinal);
            if (slash == known.Group.Length && known.Versions.Contains(apiVersion[(slash + 1)..])) return known;
        }
        return null;
    }

    /// <summary>Whether objects with errors still apply, with the strictest meaning of the fields that have them: without a policy, more
    /// would be allowed than with it.</summary>
    internal bool IsPolicy => this == PeerAuthentication || this == AuthorizationPolicy || this == RequestAuthentication;

    /// <summary>Whether API servers demand a spec.</summary>
    internal bool NeedsSpec => this == ServiceEntry || this == WorkloadEntry || this == WorkloadGroup || this == WasmPlugin || this == TrafficExtension;

    internal ObjectSchema? Spec => Kind switch
    {
        "Gateway" => NetworkingSchemas.Gateway,
        "VirtualService" => NetworkingSchemas.VirtualService,
        "DestinationRule" => NetworkingSchemas.DestinationRule,
        "ServiceEntry" => NetworkingSchemas.ServiceEntry,
        "WorkloadEntry" => NetworkingSchemas.WorkloadEntry,
        "WorkloadGroup" => NetworkingSchemas.WorkloadGroup,
        "Sidecar" => NetworkingSchemas.Sidecar,
        "EnvoyFilter" => NetworkingSchemas.EnvoyFilter,
        "ProxyConfig" => MeshSchemas.ProxyConfig,
        "PeerAuthentication" => SecuritySchemas.PeerAuthentication,
        "AuthorizationPolicy" => SecuritySchemas.AuthorizationPolicy,
        "RequestAuthentication" => SecuritySchemas.RequestAuthentication,
        "Telemetry" => TelemetrySchemas.Telemetry,
        "WasmPlugin" => ExtensionSchemas.WasmPlugin,
        "TrafficExtension" => ExtensionSchemas.TrafficExtension,
        _ => null,
    };

    private static IstioKind New(string group, string kind, string plural, string[] shortNames, string[] versions, params (string, string, string)[] columns) =>
        // Telemetry has a v1, too, which Istio does not store.
        new($"{group}.istio.io", kind, plural, shortNames, versions, group is "telemetry" ? versions[0] : versions[^1], columns);
}

using Isthmus.Core.Problems;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Problems that Istio's analysis knows, with its codes and names.</summary>
public static class IstioCodes
{
    public static readonly AnalysisCode Deprecated = new("IST0002", "Deprecated", Severity.Warning,
        "An object uses a field that has an effect, and that Istio has replaced by another one.", "Use the newer field.");

    public static readonly AnalysisCode ReferencedResourceNotFound = new("IST0101", "ReferencedResourceNotFound", Severity.Error,
        "An object refers to something that does not exist, so that what it says has no effect, or calls fail.",
        "Create what is missing, or correct the name.");

    public static readonly AnalysisCode NamespaceNotInjected = new("IST0102", "NamespaceNotInjected", Severity.Info,
        "A namespace has no injection label, so that its Pods have no sidecars.",
            "Set the label istio-injection to enabled, or to disabled if that is intended.");

    public static readonly AnalysisCode InjectedByDefault = new("IST0148", "NamespaceInjectionEnabledByDefault", Severity.Info,
        "A namespace has no injection label, and its Pods get sidecars, because the mesh is installed with enableNamespacesByDefault.",
            "Set the label istio-injection to disabled, if the Pods are to have none.");

    public static readonly AnalysisCode PodMissingProxy = new("IST0103", "PodMissingProxy", Severity.Warning,
        "A Pod is to have a sidecar, and has none: it was created before the label was set, or while no injector answered.",
        "Delete the Pod, or restart its workload.");

    public static readonly AnalysisCode SchemaValidationError = new("IST0106", "SchemaValidationError", Severity.Error,
        "An object is not valid. It has no effect, except where ignoring it would allow more than it was meant to.",
        "Correct the field that the message names.");

    public static readonly AnalysisCode MisplacedAnnotation = new("IST0107", "MisplacedAnnotation", Severity.Warning,
        "An annotation is on an object of a kind that nothing reads it from.", "Move it to the right object.");

    public static readonly AnalysisCode UnknownAnnotation = new("IST0108", "UnknownAnnotation", Severity.Warning,
        "An annotation has a domain of Istio, but a name that the mesh does not know.", "Remove it, or correct its spelling.");

    public static readonly AnalysisCode ConflictingMeshHosts = new("IST0109", "ConflictingMeshGatewayVirtualServiceHosts", Severity.Error,
        "Several VirtualServices route the same host for sidecars. Only the oldest has an effect.",
        "Merge them into one VirtualService, or restrict them with exportTo.");

    public static readonly AnalysisCode ConflictingSidecars = new("IST0110", "ConflictingSidecarWorkloadSelectors", Severity.Error,
        "Several Sidecars select one workload. Only the oldest has an effect there.", "Make the selectors disjoint.");

    public static readonly AnalysisCode MultipleDefaultSidecars = new("IST0111", "MultipleSidecarsWithoutWorkloadSelectors", Severity.Error,
        "A namespace has several Sidecars without a selector. Only the oldest has an effect.", "Merge them into one.");

    public static readonly AnalysisCode DestinationPortRequired = new("IST0112", "VirtualServiceDestinationPortSelectorRequired", Severity.Error,
        "A route names no port of a host that has several, and requests arrive at a port that the host does not have.", "Set destination.port.number.");

    public static readonly AnalysisCode MtlsConflict = new("IST0113", "MTLSPolicyConflict", Severity.Error,
        "A DestinationRule and the PeerAuthentications of the host's workloads do not agree about TLS, so that calls fail.",
        "Change one of them; without tls settings in the DestinationRule, proxies choose what fits.");

    public static readonly AnalysisCode ServicesDisagree = new("IST0116", "DeploymentAssociatedToMultipleServices", Severity.Warning,
        "Several Services with the same port select one workload and declare different protocols.", "Declare the same protocol in all Services.");

    public static readonly AnalysisCode PortNameConvention = new("IST0118", "PortNameIsNotUnderNamingConvention", Severity.Info,
        "A port of a Service does not declare its protocol. Proxies detect it, which fails for protocols in which the server speaks first.",
        "Name the port after its protocol, for example http-web or tcp-db, or set appProtocol.");

    public static readonly AnalysisCode JwtPortNotHttp = new("IST0119", "JwtFailureDueToInvalidServicePortPrefix", Severity.Warning,
        "A RequestAuthentication selects workloads whose Service declares no HTTP port. Proxies read tokens only from HTTP.",
        "Name the port http, or set appProtocol.");

    public static readonly AnalysisCode MultipleInjectionLabels = new("IST0123", "NamespaceMultipleInjectionLabels", Severity.Warning,
        "A namespace has several of istio-injection, istio.io/rev and istio.io/dataplane-mode. The first of them decides.", "Remove one of the labels.");

    public static readonly AnalysisCode InvalidAnnotation = new("IST0125", "InvalidAnnotation", Severity.Warning,
        "The value of an annotation is not valid.", "Correct the value.");

    public static readonly AnalysisCode UnknownRegistry = new("IST0126", "UnknownMeshNetworksServiceRegistry", Severity.Warning,
        "The setting meshNetworks names a cluster that is not among those analyzed. Its endpoints then get no network.",
        "Correct the name, or analyze that cluster too.");

    public static readonly AnalysisCode NoMatchingWorkloads = new("IST0127", "NoMatchingWorkloadsFound", Severity.Warning,
        "No workload that an object can apply to has the labels that it selects. Objects apply to the clusters of their own control plane.",
        "Correct the selector, or apply the object in the cluster that has the workloads.");

    public static readonly AnalysisCode NoCaOfHost = new("IST0128", "NoServerCertificateVerificationDestinationLevel", Severity.Info,
        "A DestinationRule demands TLS, and names no CA for the host. Proxies verify the server with the roots of their system.",
        "Set caCertificates if the CA of the server is private.");

    public static readonly AnalysisCode NoCaOfPort = new("IST0129", "NoServerCertificateVerificationPortLevel", Severity.Info,
        "As IST0128, for one port of the host.", "Set caCertificates if the CA of the server is private.");

    public static readonly AnalysisCode UnreachableRule = new("IST0130", "VirtualServiceUnreachableRule", Severity.Warning,
        "A route of a VirtualService is never used, because an earlier one has no match, or the same matches.",
            "Change the order of the routes, or remove one.");

    public static readonly AnalysisCode IneffectiveMatch = new("IST0131", "VirtualServiceIneffectiveMatch", Severity.Warning,
        "A match of a route has no effect, because an earlier route, or match of the route, takes all that it matches. If other matches of the route have an "
            + "effect, that is only information.", "Remove the match, or change the order of the routes.");

    public static readonly AnalysisCode VirtualServiceHostNotFoundInGateway = new("IST0132", "VirtualServiceHostNotFoundInGateway", Severity.Warning,
        "A VirtualService is bound to a Gateway that has no server for one of its hosts. The gateway answers such requests with 404.",
        "Add the host to the Gateway, or correct it.");

    public static readonly AnalysisCode SchemaWarning = new("IST0133", "SchemaWarning", Severity.Warning,
        "An object is valid, but a field has no effect, or not the effect that its author may expect.", "Follow the advice of the message.");

    public static readonly AnalysisCode AddressesRequired = new("IST0134", "ServiceEntryAddressesRequired", Severity.Warning,
        "A ServiceEntry has a TCP port and no addresses. It is for every connection to the port, unless proxies know an address that a control plane "
            + "allocated: this takes DNS capture, which installations of Isthmus switch on, and neither wildcard hosts nor resolution NONE.",
                "Set spec.addresses.");

    public static readonly AnalysisCode DeprecatedAnnotation = new("IST0135", "DeprecatedAnnotation", Severity.Warning,
        "An annotation has no effect in this mesh, or is refused.", "Remove it.");

    public static readonly AnalysisCode ConflictingTargetPorts = new("IST0137", "DeploymentConflictingPorts", Severity.Warning,
        "Services with different ports lead to one port of a workload, and declare different protocols for it.", "Declare the same protocol in all Services.");

    public static readonly AnalysisCode DuplicateCertificate = new("IST0138", "GatewayDuplicateCertificate", Severity.Warning,
        "Several Gateways of the same Pods use one certificate. Clients that reuse an HTTP/2 connection for another host of the certificate get 404.",
        "Give each Gateway its own certificate, or put the hosts into one server.");

    public static readonly AnalysisCode InvalidWebhook = new("IST0139", "InvalidWebhook", Severity.Error,
        "An injection webhook calls a Service that does not exist, or overlaps with another one.", "Install the control plane, or delete the webhook.");

    public static readonly AnalysisCode MeshRoutesSkipped = new("IST0140", "IngressRouteRulesNotAffected", Severity.Info,
        "A gateway routes to a host without a subset, and the host has a VirtualService that chooses subsets for callers in the mesh. Requests from the "
            + "gateway go to all workloads.",
        "Name the subset in the VirtualService of the gateway as well, if that is meant.");

    public static readonly AnalysisCode ReservedUser = new("IST0144", "InvalidApplicationUID", Severity.Warning,
        "An application runs as user 1337. What this user sends is not captured, because it is the proxy's.", "Use another user.");

    public static readonly AnalysisCode ConflictingGateways = new("IST0145", "ConflictingGateways", Severity.Error,
        "Several Gateways have the same port and host, and all Pods of one serve the other. With TLS, only one of them has an effect; plain HTTP shares the "
            + "routes, which is only information.",
        "Merge the servers into one Gateway.");

    public static readonly AnalysisCode ImageAutoOfTemplate = new("IST0146", "ImageAutoWithoutInjectionWarning", Severity.Warning,
        "A Deployment, StatefulSet or DaemonSet has image: auto, and no injector matches its Pods, which cannot start.",
        "Label the namespace or the Pod template for injection.");

    public static readonly AnalysisCode ImageAutoOfPod = new("IST0147", "ImageAutoWithoutInjectionError", Severity.Error,
        "A Pod has image: auto, which an injector should have changed. It cannot start.",
        "Label the namespace or the Pod for injection, and create the Pod again.");

    public static readonly AnalysisCode ClaimsWithoutTokens = new("IST0149", "JwtClaimBasedRoutingWithoutRequestAuthN", Severity.Error,
        "A route is for requests with certain claims, and the gateway checks no token, so that the route is never used.",
        "Add a RequestAuthentication that selects the gateway.");

    public static readonly AnalysisCode RelativePatch = new("IST0151", "EnvoyFilterUsesRelativeOperation", Severity.Warning,
        "A patch of an EnvoyFilter refers to a filter that another EnvoyFilter inserts only later. It changes nothing. Without a priority, the order is that "
            + "of their creation: where nothing is wrong yet, that is only information.",
        "Set spec.priority, so that the patches apply in the right order.");

    public static readonly AnalysisCode RelativePatchOfVersion = new("IST0155", "EnvoyFilterUsesRelativeOperationWithProxyVersion", Severity.Warning,
        "As IST0151, for a patch that is for some versions of the proxy only, or for a filter of such a patch.",
        "Set spec.priority, so that the patches apply in the right order.");

    public static readonly AnalysisCode ReplaceWithoutEffect = new("IST0152", "EnvoyFilterUsesReplaceOperationIncorrectly", Severity.Error,
        "A patch of an EnvoyFilter replaces what cannot be replaced. It changes nothing; admission refuses it (IST0106).",
        "Use REPLACE with NETWORK_FILTER, HTTP_FILTER or VIRTUAL_HOST only, or another operation.");

    public static readonly AnalysisCode AddWithoutEffect = new("IST0153", "EnvoyFilterUsesAddOperationIncorrectly", Severity.Error,
        "A patch of an EnvoyFilter adds to what nothing can be added to, or adds no valid route. It changes nothing; admission refuses it (IST0106).",
            "Use MERGE.");

    public static readonly AnalysisCode RemoveWithoutEffect = new("IST0154", "EnvoyFilterUsesRemoveOperationIncorrectly", Severity.Error,
        "A patch of an EnvoyFilter removes what cannot be removed, or does not say which route. It changes nothing; admission refuses it (IST0106).",
            "Remove the patch.");

    public static readonly AnalysisCode NoTelemetryProvider = new("IST0157", "InvalidTelemetryProvider", Severity.Warning,
        "A Telemetry names no provider, and MeshConfig has no default one. Nothing is reported.", "Name a provider, or set defaultProviders in MeshConfig.");

    public static readonly AnalysisCode ProxyImagesDiffer = new("IST0158", "PodsIstioProxyImageMismatchInNamespace", Severity.Warning,
        "Pods have another image of the proxy than their injector gives new Pods: they were created before the control plane was upgraded.",
        "Restart the workloads.");

    public static readonly AnalysisCode ConflictingTelemetries = new("IST0159", "ConflictingTelemetryWorkloadSelectors", Severity.Error,
        "Several Telemetries select one workload. Only the oldest has an effect there.", "Make the selectors disjoint.");

    public static readonly AnalysisCode MultipleDefaultTelemetries = new("IST0160", "MultipleTelemetriesWithoutWorkloadSelectors", Severity.Error,
        "A namespace has several Telemetries without a selector. Only the oldest has an effect.", "Merge them into one.");

    public static readonly AnalysisCode InvalidGatewayCredential = new("IST0161", "InvalidGatewayCredential", Severity.Error,
        "The Secret that a Gateway names cannot be used. Gateways keep the last good certificate as long as they run; without one, they refuse TLS handshakes.",
        "Correct the Secret.");

    public static readonly AnalysisCode GatewayPortNotOnService = new("IST0162", "GatewayPortNotDefinedOnService", Severity.Warning,
        "The Pods of a Gateway listen on a port that their Service does not have, so that clients of the Service cannot reach it.",
        "Add the port to the Service, or remove the server from the Gateway.");

    public static readonly AnalysisCode NoControlPlaneAddress = new("IST0163", "InvalidExternalControlPlaneConfig", Severity.Warning,
        "A webhook of the control plane has no address, so that the API server cannot call it.",
        "Set clientConfig.service, or clientConfig.url for a control plane outside of the cluster.");

    public static readonly AnalysisCode NumericControlPlaneAddress = new("IST0164", "ExternalControlPlaneAddressIsNotAHostname", Severity.Info,
        "A webhook calls a control plane outside of the cluster by an IP address.", "Use a host name, so that the control plane can move.");

    public static readonly AnalysisCode ReferencedInternalGateway = new("IST0165", "ReferencedInternalGateway", Severity.Warning,
        "A VirtualService refers to a Gateway that a control plane generated from a Gateway of the Kubernetes Gateway API.",
        "Use routes of the Kubernetes Gateway API, or refer to a Gateway of Istio.");

    public static readonly AnalysisCode SelectedGateway = new("IST0166", "IneffectiveSelector", Severity.Info,
        "A policy selects the Pods of a Gateway of the Kubernetes Gateway API by their labels. It applies to them; a control plane of Istio can be set to "
            + "ignore it there.", "Name the Gateway in spec.targetRefs.");

    public static readonly AnalysisCode IneffectivePolicy = new("IST0167", "IneffectivePolicy", Severity.Warning,
        "A Sidecar selects workloads that are labelled for ambient mode. It has no effect: such workloads have no sidecar proxy. Isthmus has no ambient mode, "
            + "so they are not part of the mesh.",
        "Label the namespace for injection, or delete the Sidecar.");

    public static readonly AnalysisCode InconsistentService = new("IST0170", "MultiClusterInconsistentService", Severity.Warning,
        "Services with the same name differ between clusters: in their ports or protocols, or in whether they are headless. The mesh treats them as one host "
            + "all the same.",
        "Make the Services the same in all clusters.");

    public static readonly AnalysisCode NegativeCondition = new("IST0171", "NegativeConditionStatus", Severity.Warning,
        "A control plane says in a condition that an object does not apply as it is written: one of the Gateway API, by a verdict that follows from "
            + "the objects, "
        + "or any with such a condition in its status. What has a code of its own is reported with that one.",
        "Correct what the condition is about: the finding says which field or object.");

    public static readonly AnalysisCode SubsetSelectsNothing = new("IST0173", "DestinationRuleSubsetNotSelectPods", Severity.Error,
        "No workload of the host has the labels of a subset, in any cluster. Requests that are routed to it get 503; a subset that no route uses is only "
            + "information.",
        "Correct the labels, or deploy the workload.");

    public static readonly AnalysisCode UnknownRuleHost = new("IST0174", "UnknownDestinationRuleHost", Severity.Warning,
        "The host of a DestinationRule is neither a Service nor in a ServiceEntry, so that the rule has no effect.",
        "Create the Service, or correct the host.");

    public static readonly AnalysisCode KeysFromAnywhere = new("IST0175", "JwksUriFetchUnrestricted", Severity.Info,
        "Whoever may create RequestAuthentications chooses addresses that the control plane fetches keys from. Its own loopback interface and link-local "
            + "addresses are out of reach; others, as those of Services, are not.",
        "Set BLOCKED_CIDRS_IN_JWKS_URIS of the control plane (values.pilot.env) to the ranges that hold no issuers.");

    public static readonly AnalysisCode OlderDefinition = new("IST0176", "GatewayAPICRDVersionBelowMinimum", Severity.Info,
        "A definition of the Gateway API is from before its kind had version v1, so that objects of v1 cannot be created. Control planes of Isthmus read "
            + "those of older versions; control planes of Istio do not.",
        "Install the definitions of a newer release of the Gateway API.");

    public static readonly AnalysisCode EntriesDisagree = new("IST0177", "ConflictingServiceEntryProtocol", Severity.Warning,
        "Several ServiceEntries that a namespace can see declare different protocols for one port of a host. Proxies use one of them.",
        "Declare the same protocol, or restrict the entries with exportTo.");

    /// <summary>Codes that Istio reports in other cases, or elsewhere.</summary>
    public static IReadOnlyList<AbsentCode> Differing { get; } =
    [
        new("IST0002", "Deprecated", "a field of a kind or version that is not served is IST0106 alone"),
        new("IST0101", "ReferencedResourceNotFound",
            "VirtualServices cannot be bound to Gateways of the Kubernetes Gateway API, which have routes of their own; that no cluster has a host of "
                + "a VirtualService is reported, too; a route without a destination is IST0106"),
        new("IST0102", "NamespaceNotInjected", "not for namespaces of the system, of MetalLB and of local storage, nor for `default` as long as it is "
            + "empty, nor where all Pods say themselves what they want"),
        new("IST0107", "MisplacedAnnotation", "only annotations that the mesh knows are reported so; others are IST0108"),
        new("IST0128", "NoServerCertificateVerificationDestinationLevel",
            "Info: without caCertificates, proxies verify servers with the roots of the system, so no certificate goes unverified; insecureSkipVerify is "
            + "reported as IST0133"),
        new("IST0129", "NoServerCertificateVerificationPortLevel", "as IST0128"),
        new("IST0109", "ConflictingMeshGatewayVirtualServiceHosts", "hosts with wildcards that overlap do not conflict: proxies use the more exact one"),
        new("IST0112", "VirtualServiceDestinationPortSelectorRequired",
            "only where requests arrive at a port that the destination lacks, or where nothing says at which port they arrive (Info); otherwise they go to the "
                + "port of their arrival"),
        new("IST0116", "DeploymentAssociatedToMultipleServices", "the Pods of a Deployment are looked at, not its template: files alone need Pods, too"),
        new("IST0126", "UnknownMeshNetworksServiceRegistry",
            "the object is the ConfigMap that holds meshNetworks; meshNetworks that are not valid are IST0106 alone"),
        new("IST0127", "NoMatchingWorkloadsFound", "a policy without a selector in an empty namespace is not reported: it is there for Pods to come"),
        new("IST0131", "VirtualServiceIneffectiveMatch", "a Warning where the whole route is never used; a match that overlaps another one in part is not "
            + "reported"),
        new("IST0134", "ServiceEntryAddressesRequired", "a port without a protocol has that of its name; with DNS capture, which the values of "
            + "Isthmus switch on, nothing is missing, because control planes allocate addresses by default; without, allocated addresses do not help, and "
                + "are not "
            + "looked for in the status"),
        new("IST0137", "DeploymentConflictingPorts", "as IST0116"),
        new("IST0138", "GatewayDuplicateCertificate", "only certificates in Secrets are compared"),
        new("IST0161", "InvalidGatewayCredential",
            "reported in more cases: a key that does not fit its certificate, as in Istio's own sample Secret, an account that may not list Secrets, a "
                + "namespace that no control plane reads"),
        new("IST0132", "VirtualServiceHostNotFoundInGateway", "a Gateway that does not exist, or is one of the Kubernetes Gateway API, is IST0101 alone"),
        new("IST0153", "EnvoyFilterUsesAddOperationIncorrectly", "for HTTP_ROUTE, only if the patch is not valid: otherwise ADD and REMOVE have an effect"),
        new("IST0154", "EnvoyFilterUsesRemoveOperationIncorrectly", "as IST0153"),
        new("IST0166", "IneffectiveSelector", "Info: a selector selects the Pods of Gateways of the Gateway API like all others"),
        new("IST0176", "GatewayAPICRDVersionBelowMinimum", "Info, and only where the definition does not serve v1: no minimum is needed to read the kind"),
        new("IST0157", "InvalidTelemetryProvider",
            "only where a MeshConfig was read, and no Telemetry that applies names a provider: rules without one are about those of the others"),
    ];

    /// <summary>Codes of Istio that do not make sense here.</summary>
    public static IReadOnlyList<AbsentCode> Absent { get; } =
    [
        new("IST0001", "InternalError", "an error of the program ends the command with a message"),
        new("IST0104", "GatewayPortNotOnWorkload", "retired in Istio; IST0162 has taken its place"),
        new("IST0105", "IstioProxyImageMismatch", "retired in Istio; IST0158 has taken its place"),
        new("IST0122", "InvalidRegexp", "admission refuses invalid regular expressions, and this analysis reports them as IST0106"),
        new("IST0136", "AlphaAnnotation", "every annotation that works is supported; others are reported as IST0108 or IST0135"),
        new("IST0141", "InsufficientPermissions", "`install` reports it"),
        new("IST0142", "UnsupportedKubernetesVersion", "`install` reports it"),
        new("IST0143", "LocalhostListener", "only a call shows where an application listens: `trace` reports it"),
        new("IST0150", "ExternalNameServiceTypeInvalidPortName", "Services of type ExternalName are aliases, for every protocol"),
        new("IST0156", "UnsupportedGatewayAPIVersion",
            "every version of the kinds of the Gateway API that a cluster serves is read, also by older definitions"),
        new("IST0168", "UnknownUpgradeCompatibility", "there are no compatibility versions"),
        new("IST0169", "UpdateIncompatibility", "there are no compatibility versions"),
        new("IST0172", "FutureUnsupportedGatewayAPIVersion", "as IST0156"),
    ];
}

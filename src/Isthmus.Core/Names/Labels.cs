namespace Isthmus.Core.Names;

/// <summary>Labels of Kubernetes and Istio that carry meaning for a mesh (Istio "Resource Labels").</summary>
public static class Labels
{
    public const string Network = "topology.istio.io/network";
    public const string Cluster = "topology.istio.io/cluster";
    public const string Subzone = "topology.istio.io/subzone";
    public const string Region = "topology.kubernetes.io/region";
    public const string Zone = "topology.kubernetes.io/zone";
    /// <summary>Of a Node: its name.</summary>
    public const string Hostname = "kubernetes.io/hostname";
    public const string GatewayPort = "networking.istio.io/gatewayPort";
    /// <summary>Of a Pod or WorkloadEntry: <c>region.zone.subzone</c>.</summary>
    public const string Locality = "topology.istio.io/locality";
    /// <summary>As <see cref="Locality"/>, which wins over it.</summary>
    public const string OldLocality = "istio-locality";
    public const string Injection = "istio-injection";
    public const string Revision = "istio.io/rev";
    public const string Inject = "sidecar.istio.io/inject";
    public const string TlsMode = "security.istio.io/tlsMode";
    /// <summary>Of a workload: the kinds of tunnels that it accepts, with commas between them (<see cref="HttpTunnel"/>).</summary>
    public const string Tunnel = "networking.istio.io/tunnel";
    /// <summary>HBONE, as a value of <see cref="Tunnel"/>.</summary>
    public const string HttpTunnel = "http";
    public const string CanonicalName = "service.istio.io/canonical-name";
    public const string CanonicalRevision = "service.istio.io/canonical-revision";
    /// <summary>What a Pod calls its workload, instead of the name of what made it.</summary>
    public const string WorkloadName = "service.istio.io/workload-name";
    /// <summary>Marks a Secret as a remote secret when its value is <c>true</c>.</summary>
    public const string MultiCluster = "istio/multiCluster";
    public const string IstioConfig = "istio.io/config";
    public const string ServiceName = "kubernetes.io/service-name";

    /// <summary>On ServiceImports that a control plane has written, so that it never touches others.</summary>
    public const string ManagedImport = "multicluster." + WellKnown.OwnDomain + "/managed";

    /// <summary>On an EndpointSlice of the multi-cluster services API (KEP-1645): the ServiceImport whose endpoints it has.</summary>
    public const string ImportName = "multicluster.kubernetes.io/service-name";
    /// <summary>As <see cref="ImportName"/>: the cluster that its endpoints are in.</summary>
    public const string SourceCluster = "multicluster.kubernetes.io/source-cluster";

    /// <summary>Who writes an EndpointSlice.</summary>
    public const string SliceManager = "endpointslice.kubernetes.io/managed-by";
    /// <summary>On objects that a running control plane creates, with the value <see cref="Discovery"/>, so that an
    /// uninstall finds them.</summary>
    public const string MadeBy = WellKnown.OwnDomain + "/made-by";
    public const string Discovery = "discovery";
}

/// <summary>Annotations of Istio that carry meaning for a mesh (Istio "Resource Annotations").</summary>
public static class Annotations
{
    public const string ControlPlaneClusters = "topology.istio.io/controlPlaneClusters";
    /// <summary>On the Service by which a remote cluster finds its control plane: the host name that its addresses follow.</summary>
    public const string ControlPlaneHost = WellKnown.OwnDomain + "/control-plane-host";
    public const string NodeSelector = "traffic.istio.io/nodeSelector";
    public const string ExportTo = "networking.istio.io/exportTo";
    /// <summary>On a Service: as its field <c>trafficDistribution</c>, which older API servers do not have.</summary>
    public const string TrafficDistribution = "networking.istio.io/traffic-distribution";

    /// <summary>Of ServiceEntries with names that are resolved: how callers choose among the addresses of a name.</summary>
    public const string ConnectStrategy = "istio.io/connect-strategy";

    /// <summary>Of WorkloadEntries: whether they count as ready only while their status has the condition <c>Healthy</c>.</summary>
    public const string HealthChecks = "proxy.istio.io/health-checks-enabled";

    public const string ClusterName = "networking.istio.io/cluster";
    public const string InjectTemplates = "inject.istio.io/templates";
    public const string ProxyConfig = "proxy.istio.io/config";
    public const string InterceptionMode = "sidecar.istio.io/interceptionMode";
    /// <summary>Volumes that injection adds to a Pod, as JSON.</summary>
    public const string UserVolume = "sidecar.istio.io/userVolume";
    public const string InjectionStatus = "sidecar.istio.io/status";
    /// <summary>On a gateway Service: its share among the gateways of its network, 1 when absent; 0 removes it from the rotation.</summary>
    public const string GatewayWeight = "networking." + WellKnown.OwnDomain + "/gateway-weight";
    /// <summary>On a Service, or on a Namespace for all of its hosts: the namespaces that may configure the host as if it were theirs, separated by commas;
    /// <c>*</c>: all.</summary>
    public const string HostGrants = "networking." + WellKnown.OwnDomain + "/host-grants";
    /// <summary>On a Pod with a proxy whose image is <c>auto</c>: when to pull that image. The container's own policy does not tell, because API servers set
    /// one.</summary>
    public const string PullPolicy = WellKnown.OwnDomain + "/image-pull-policy";
    /// <summary>The mesh whose file created the object, which is removed when the file no longer requires it.</summary>
    public const string Mesh = WellKnown.OwnDomain + "/mesh";
    /// <summary>Of a Node: which of its labels the file of the mesh gave it.</summary>
    public const string MeshPlaces = WellKnown.OwnDomain + "/mesh-places";
}

/// <summary>Environment variables of proxies, by which configuration refers to what only the proxy knows.</summary>
public static class ProxyVariables
{
    public const string CanonicalService = "CANONICAL_SERVICE";
    public const string CanonicalRevision = "CANONICAL_REVISION";
    public const string ClusterId = "ISTIO_META_CLUSTER_ID";
    public const string MeshId = "ISTIO_META_MESH_ID";
    public const string Namespace = "POD_NAMESPACE";
}

/// <summary>Names of objects that other people's scripts rely on.</summary>
public static class WellKnown
{
    /// <summary>In the metadata of a proxy's node: what a control plane may ask of a proxy of this project that earlier versions cannot do.</summary>
    public const string FeaturesOfProxy = "ISTHMUS_FEATURES";

    /// <summary>Introduces itself before the first byte of a TCP connection with mesh TLS; also the ALPN protocol.</summary>
    public const string PeerExchange = "istio-peer-exchange";

    public const string SystemNamespace = "istio-system";

    /// <summary>Variable of a control plane: the namespaces whose Secrets it reads for gateways, with commas between them; unset: all.</summary>
    public const string SecretNamespaces = "ISTHMUS_SECRET_NAMESPACES";

    /// <summary>Variable of a control plane: whether it reads the Secrets of clusters with a remote secret, too (Istio's).</summary>
    public const string RemoteCredentials = "PILOT_ENABLE_REMOTE_CREDENTIALS_CONTROLLER";

    /// <summary>The release of Istio whose API and behavior proxies claim, to control planes, in dumps and in <c>version</c>.</summary>
    public const string CompatibleRelease = "1.31.1";

    /// <summary>How the container runtime of Nodes begins that Isthmus runs itself.</summary>
    public const string OwnRuntime = "isthmus://";

    public const string Istiod = "istiod";

    /// <summary>Before the name of a revision tag: the Service that leads to the control plane of its revision.</summary>
    public const string TagServicePrefix = "istiod-revision-tag-";

    /// <summary>The console in a cluster: Deployment, Service, account, and the label <c>app</c>.</summary>
    public const string Console = "isthmus-console";
    public const string RootCertConfigMap = "istio-ca-root-cert";
    public const string RootCertKey = "root-cert.pem";

    /// <summary>What signs for the workloads of the cluster at present, beside the roots: proxies renew their certificates when it changes.</summary>
    public const string IssuerCertKey = "issuer-cert.pem";
    public const string CaCerts = "cacerts";
    public const string SelfSignedCa = "istio-ca-secret";

    /// <summary>The Lease of the control planes that maintain the webhooks of a revision.</summary>
    public static string WebhooksLease(string revision) => $"isthmus-webhooks-{(revision.Length == 0 ? "default" : revision)}";

    /// <summary>The ConfigMap in which the control planes of a revision keep what changed, and the Lease of the one that writes it.</summary>
    public static string History(string revision) => $"isthmus-history-{(revision.Length == 0 ? "default" : revision)}";

    /// <summary>The webhook that is told who deletes and scales; the name of the one for remote secrets ends so.</summary>
    public const string HistoryWebhook = "history.isthmus.io";

    public const string ReaderServiceAccount = "istio-reader-service-account";

    /// <summary>The account of a remote secret for a control plane of Istio, which reads more than ours.</summary>
    public const string IstioReaderServiceAccount = "istio-reader-for-istiod";
    public const string RemoteSecretPrefix = "istio-remote-secret-";
    /// <summary>Holds the kubeconfig of the cluster whose control plane runs elsewhere, beside that control plane.</summary>
    public const string ConfigSecret = "istio-kubeconfig";
    public const string TokenAudience = "istio-ca";
    public const string DefaultTrustDomain = "cluster.local";
    public const string DefaultDomainSuffix = "cluster.local";
    /// <summary>The suffix of Isthmus' own API groups, images and domains.</summary>
    public const string OwnDomain = "isthmus.internal";
    /// <summary>The image of every role of this program; its tag is the version.</summary>
    public const string OwnImage = OwnDomain + "/isthmus";
}

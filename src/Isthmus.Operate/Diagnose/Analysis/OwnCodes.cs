using Isthmus.Core.Problems;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Problems that Istio's analysis does not know.</summary>
public static class OwnCodes
{
    public static readonly AnalysisCode ClusterNotReadable = new("ISM1400", "ClusterNotReadable", Severity.Error,
        "The API server of a cluster does not answer, or refuses to show its objects. Nothing is known about the cluster.",
        "Check that the cluster is running, and its entry in the kubeconfig; if it refuses the user, use one who may read it.");

    public static readonly AnalysisCode RemoteSecretTwice = new("ISM1024", "RemoteSecretTwice", Severity.Error,
        "Two remote secrets of a cluster name one other cluster, or two clusters have one name. Each hides the other.",
            "Delete one of the secrets, or install one of the clusters with another name.");

    public static readonly AnalysisCode RemoteSecretUnusable = new("ISM1025", "RemoteSecretUnusable", Severity.Error,
        "A remote secret holds no kubeconfig that a control plane can use, so that it does not know the services of the cluster.",
            "Create it again with isthmus create-remote-secret.");

    public static readonly AnalysisCode RemoteSecretMisnamed = new("ISM1026", "RemoteSecretMisnamed", Severity.Error,
        "A remote secret calls a cluster by another name than the cluster calls itself.", "Create it again with --name as the message says.");

    public static readonly AnalysisCode RemoteSecretOfPod = new("ISM1027", "RemoteSecretOfPod", Severity.Error,
        "The kubeconfig in a remote secret points to the control plane's own Pod, such as 127.0.0.1.",
            "Create it with --server and an address that Pods of the other cluster reach.");

    public static readonly AnalysisCode GatewayRefusesHost = new("ISM1401", "GatewayRefusesHost", Severity.Error,
        "A ServiceEntry leads to another cluster's gateway, which takes no calls for its host. Callers get 503.",
        "Add the host to the Gateway's AUTO_PASSTHROUGH server.");

    public static readonly AnalysisCode HostUnknownAtGateway = new("ISM1402", "HostUnknownAtGateway", Severity.Error,
        "A ServiceEntry leads to another cluster's gateway, where the host does not exist. Callers get 503.",
        "Check the host's name, or create the Service or ServiceEntry for it in that cluster.");

    public static readonly AnalysisCode PortUnknownAtGateway = new("ISM1403", "PortUnknownAtGateway", Severity.Error,
        "A ServiceEntry has a port that the called Service does not have in the other cluster. The SNI carries the port of the ServiceEntry, so callers get "
            + "503.",
        "Use the port number of the called Service in the ServiceEntry.");

    public static readonly AnalysisCode NameNotRewritten = new("ISM1404", "NameNotRewritten", Severity.Error,
        "A gateway gets calls for a name of the global zone, does not rewrite it, and its cluster has no ServiceEntry of that name. Callers get 503.",
        "Apply the ServiceEntry in the called cluster, or let the gateway rewrite such names.");

    public static readonly AnalysisCode WrongGatewayPort = new("ISM1405", "WrongGatewayPort", Severity.Error,
        "The endpoint of a ServiceEntry has the address of another cluster's gateway, but not the port at which the gateway takes calls from other clusters.",
        "Give the endpoint the gateway's port.");

    public static readonly AnalysisCode PlainTextToGateway = new("ISM1406", "PlainTextToGateway", Severity.Error,
        "A ServiceEntry calls another cluster's gateway in plain text, which the gateway cannot route.",
        "Apply a DestinationRule with tls.mode ISTIO_MUTUAL for the host.");

    public static readonly AnalysisCode SharedAddress = new("ISM1407", "SharedAddress", Severity.Warning,
        "Several hosts have the same address. Calls by address, and TCP calls, go to whichever host comes first.", "Give each host its own address.");

    public static readonly AnalysisCode ZoneNotForwarded = new("ISM1408", "ZoneNotForwarded", Severity.Warning,
        "The cluster's DNS does not forward the global zone to the server that resolves it, so that its names do not resolve.",
        "Add a server block for the zone to the Corefile.");

    public static readonly AnalysisCode SidecarsRefused = new("ISM1409", "SidecarsRefused", Severity.Error,
        "A namespace has injection, and a PodSecurity level that refuses every Pod with a sidecar.",
        "Install the CNI node agent, or set the label to privileged, or remove the injection label.");

    public static readonly AnalysisCode HiddenDestinationRule = new("ISM1410", "HiddenDestinationRule", Severity.Warning,
        "Part of a DestinationRule has no effect, because an older rule for the same host has its own.", "Keep the settings of a host in one rule.");

    public static readonly AnalysisCode ClientAffinityIneffective = new("ISM1411", "ClientAffinityIneffective", Severity.Warning,
        "A Service has sessionAffinity, which nodes follow and proxies do not.",
        "Set loadBalancer.consistentHash.useSourceIp in a DestinationRule of the host.");

    public static readonly AnalysisCode IngressIneffective = new("ISM1412", "IngressIneffective", Severity.Warning,
        "An Ingress is meant for gateways of the mesh, and no gateway serves it.",
        "Create its IngressClass, set ingressControllerMode of MeshConfig to STRICT, or apply it in the cluster of a control plane: the finding says which.");

    public static readonly AnalysisCode RoutesDiffer = new("ISM1413", "RoutesDiffer", Severity.Warning,
        "The VirtualServices of one host differ between clusters with control planes of their own. Where a call goes depends on the cluster of the caller.",
        "Apply the same VirtualService in all of these clusters.");

    public static readonly AnalysisCode NetworkUnknown = new("ISM1414", "NetworkUnknown", Severity.Error,
        "The network label of a workload names a network that no cluster has and no gateway leads to. Workloads of other networks do not reach it.",
        "Correct or remove the label topology.istio.io/network.");

    public static readonly AnalysisCode CallerUnknown = new("ISM1415", "CallerUnknown", Severity.Warning,
        "An AuthorizationPolicy names a principal or service account that no caller can have: its trust domain, namespace or account exists in no cluster.",
        "Correct the name, or create the service account.");

    public static readonly AnalysisCode InjectionDiffers = new("ISM1416", "InjectionDiffers", Severity.Warning,
        "A namespace has an injection label in one cluster, and none in another, where its Pods have no sidecars and cannot be reached through gateways.",
        "Set the same label in all clusters, and restart the workloads.");

    public static readonly AnalysisCode ServiceSelectsNothing = new("ISM1417", "ServiceSelectsNothing", Severity.Error,
        "The selector of a Service matches no workload, although one has similar labels. All calls to the Service fail.",
        "Correct the selector of the Service, or the labels of the workload.");

    public static readonly AnalysisCode PodCannotRun = new("ISM1418", "PodCannotRun", Severity.Error,
        "A Pod of a Service cannot run. While other Pods answer in its place, callers notice nothing (a warning).",
        "See the log of the container, and the events of the Pod.");

    public static readonly AnalysisCode ServiceShadowed = new("ISM1419", "ServiceShadowed", Severity.Warning,
        "A ServiceEntry has the host of a Service of its namespace, so that calls to the Service can go to the endpoints of the entry.",
        "Remove the host from the ServiceEntry, unless that is intended.");

    public static readonly AnalysisCode TargetPortUnknown = new("ISM1420", "TargetPortUnknown", Severity.Warning,
        "A port of a Service leads to a named port that no container has, so that the port has no endpoint.", "Correct the name, or use a number.");

    public static readonly AnalysisCode SubsetUnknownAtGateway = new("ISM1421", "SubsetUnknownAtGateway", Severity.Error,
        "Calls go to a subset that the control plane of another network does not define, or defines with labels that no Pod has there, so that its gateways "
            + "refuse them.",
        "Apply the same DestinationRule in that cluster as well.");

    public static readonly AnalysisCode PoliciesDiffer = new("ISM1422", "PoliciesDiffer", Severity.Warning,
        "A security policy is missing in a cluster with workloads that it selects, or differs there. Calls are checked, or not, depending on the cluster where "
            + "they end.",
        "Apply the same policy in all clusters with a control plane of their own, or delete it where it is wrong.");

    public static readonly AnalysisCode TelemetryLost = new("ISM1423", "TelemetryLost", Severity.Warning,
        "Proxies lose spans or access logs: their collector is away, too slow, or answers with errors. Traffic is not affected. The control planes say so "
            + "while it lasts; the analysis of files cannot know it.",
        "Check that the collector runs, has the port and protocol of its provider, and keeps up.");

    public static readonly AnalysisCode MetricSeriesBounded = new("ISM1424", "MetricSeriesBounded", Severity.Warning,
        "A proxy has as many series of metrics as it keeps. New ones lack the values of tags, and what peers say about themselves. The control planes say so "
            + "while it lasts.",
        "Remove tags with many values from the Telemetry, such as those of single users, requests or addresses.");

    public static readonly AnalysisCode NetworkPolicyIneffective = new("ISM1425", "NetworkPolicyIneffective", Severity.Warning,
        "A NetworkPolicy has no effect, because the network of the cluster's Nodes enforces none, as that of a lab.",
        "Test it in a cluster whose network plug-in enforces NetworkPolicies.");

    public static readonly AnalysisCode NetworkPolicyCutsMesh = new("ISM1426", "NetworkPolicyCutsMesh", Severity.Warning,
        "A NetworkPolicy or AdminNetworkPolicy keeps proxies from their control plane (port 15012), or other networks from a gateway (15443). "
            + "Where it is enforced, new Pods get no configuration, or calls from other networks fail.",
        "Allow these ports.");

    public static readonly AnalysisCode FaultInjected = new("ISM1427", "FaultInjected", Severity.Info,
        "A VirtualService delays or aborts calls on purpose (`fault`). Callers see a slow or broken service.", "Remove the fault, unless it is meant.");

    public static readonly AnalysisCode ClientRulesDiffer = new("ISM1428", "ClientRulesDiffer", Severity.Warning,
        "Two servers of a gateway ask clients for different certificates, and a connection for one can carry requests for the other: the gateway answers these "
            + "with 421. Browsers then open a connection of its own; other clients may fail.",
        "Give each server its own certificate with its own hosts only, or both the same rule for clients.");

    public static readonly AnalysisCode PathSpelledOtherwise = new("ISM1429", "PathSpelledOtherwise", Severity.Warning,
        "An AuthorizationPolicy keeps requests away by their path, and another spelling of the path gets through: servers that read it as the path serve what "
            + "the policy denies.",
        "Set pathNormalization.normalization of MeshConfig to STRICT, unless clients need such paths, or allow what is meant instead of denying the rest.");

    public static readonly AnalysisCode NeedsEnvoy = new("ISM1430", "NeedsEnvoy", Severity.Warning,
        "A WasmPlugin, or an EnvoyFilter with configuration that only Envoy knows, is for Pods whose proxy is that of Isthmus. These get nothing of it: a "
            + "plugin that decides who may call does not run there.",
        "Set binaryPath for these Pods, so that their proxy is Envoy, or select others.");

    public static readonly AnalysisCode DelegateNotFound = new("ISM1431", "DelegateNotFound", Severity.Error,
        "A VirtualService leaves a route to a delegate that does not exist, or that has hosts of its own. The route has no effect.",
        "Create the delegate, without hosts, or correct its name or namespace.");

    public static readonly AnalysisCode RevisionUnknown = new("ISM1432", "RevisionUnknown", Severity.Error,
        "A namespace or Pod asks for a revision or tag that no injection webhook of the cluster serves. New Pods get no sidecars, and are not part of the "
            + "mesh.",
        "Correct the label istio.io/rev, or install a control plane of that revision.");

    public static readonly AnalysisCode JobKeptRunning = new("ISM1433", "JobKeptRunning", Severity.Warning,
        "The containers of a Job have ended, and its sidecar, which is an ordinary container, keeps its Pod running.",
        "Annotate the Pod template with sidecar.istio.io/nativeSidecar: \"true\", or end the sidecar with the work: POST /quitquitquit to port 15020.");

    public static readonly AnalysisCode ProbeRefused = new("ISM1434", "ProbeRefused", Severity.Error,
        "A health check of the kubelet goes to the application through a proxy that demands mutual TLS. It fails, so that the Pod never becomes ready, or is "
            + "restarted again and again.",
        "Remove the annotation sidecar.istio.io/rewriteAppHTTPProbers: \"false\" and create the Pod again, so that the agent makes the check, or set DISABLE "
            + "or PERMISSIVE for the port in portLevelMtls.");

    public static readonly AnalysisCode PolicyPortOfService = new("ISM1435", "PolicyPortOfService", Severity.Warning,
        "A PeerAuthentication has a mode, or an AuthorizationPolicy a rule, for a port that only a Service has. Ports of policies are those of workloads, so "
            + "that the port keeps its mode, and the rule matches no call.",
        "Use the number of the port that the Service leads to.");

    public static readonly AnalysisCode RoutesWithoutRequests = new("ISM1436", "RoutesWithoutRequests", Severity.Warning,
        "A VirtualService has routes for requests to a host whose ports declare TCP or TLS. Proxies copy bytes there, so that routes, faults and timeouts have "
            + "no effect.",
        "Name the port http-… or grpc-…, or set appProtocol, if the application speaks HTTP; otherwise use tcp or tls routes.");

    public static readonly AnalysisCode LocalityUnknown = new("ISM1437", "LocalityUnknown", Severity.Warning,
        "The settings localityLbSetting of a DestinationRule, or of MeshConfig, name a locality that no Node, Pod or entry is in. What they say of it has no "
            + "effect.",
        "Correct the locality, or label the Nodes with topology.kubernetes.io/region and topology.kubernetes.io/zone.");

    public static readonly AnalysisCode PatchIdle = new("ISM1438", "PatchIdle", Severity.Warning,
        "A patch of an EnvoyFilter matches nothing: a context, port, host, Gateway or filter that no proxy has which it is for. It changes nothing, and nobody "
            + "else says so.",
        "Correct what the message names; 'isthmus proxy-config listeners POD -o json' shows the names that proxies have.");

    public static readonly AnalysisCode ObjectNotRead = new("ISM1439", "ObjectNotRead", Severity.Warning,
        "An object of Istio is in a remote cluster. Control planes read such objects in their own cluster, so that it has no effect.",
        "Move it to the cluster of the control plane.");

    public static readonly AnalysisCode AddressOfAnother = new(Mesh.Resolve.HostOwners.AddressCode, "AddressOfAnother", Severity.Warning,
        "A ServiceEntry claims the address of a Service, of a Pod of another namespace, of an older ServiceEntry of another namespace, or one that the mesh "
            + "allocated. Calls to the address go to its owner.",
        "Remove the address from the ServiceEntry, or choose one that nothing else has.");

    public static readonly AnalysisCode HostOfAnother = new(Mesh.Resolve.HostOwners.HostCode, "HostOfAnother", Severity.Warning,
        "A ServiceEntry claims the host of a Service or of an older ServiceEntry of another namespace, or a name in cluster.local or clusterset.local of "
            + "another namespace. It has no effect on that host.",
        "Choose another host, or let the owner of the host define it.");

    public static readonly AnalysisCode HostNotGranted = new(Mesh.Resolve.HostOwners.GrantCode, "HostNotGranted", Severity.Warning,
        "A VirtualService or DestinationRule configures a host of another namespace, and MeshConfig has `hostOwnership: NAMESPACE`. It has no effect on that "
            + "host.",
        "Let the owner of the host annotate its Service or namespace with `networking.isthmus.internal/host-grants`, or move the object there.");

    public static readonly AnalysisCode RootNotInForce = new("ISM1451", "RootNotInForce", Severity.Error,
        "The Secret cacerts holds another root than the one that the control plane uses.",
        "Compare the roots of all clusters first; then restart the control plane, or replace the Secret.");

    public static readonly AnalysisCode LeftoverRoot = new("ISM1452", "LeftoverRoot", Severity.Warning,
        "The control plane uses a root that an earlier installation made.",
        "Delete the Secret istio-ca-secret and restart the control plane, unless that is intended.");

    public static readonly AnalysisCode StaleRootOfNamespace = new("ISM1453", "StaleRootOfNamespace", Severity.Error,
        "A namespace's ConfigMap names a root that is no longer in force, and proxies that start there trust the wrong one.",
        "Check the log of the control plane, which rewrites it, or delete the ConfigMap.");

    public static readonly AnalysisCode RootsDiffer = new("ISM1454", "RootsDiffer", Severity.Error,
        "Clusters have different roots, so that their proxies refuse each other.",
        "Give the clusters a Secret cacerts of one root, restart the control planes, then the workloads.");

    public static readonly AnalysisCode StaleRootOfProxy = new("ISM1455", "StaleRootOfProxy", Severity.Error,
        "A proxy trusts a root that is no longer in force, because it started before the root changed.", "Delete the Pod; its owner creates it again.");

    public static readonly AnalysisCode CertificateExpired = new("ISM1461", "CertificateExpired", Severity.Error,
        "A certificate or token that the mesh lives by has expired, or is not valid yet. Whoever depends on it is refused.",
        "Renew it; the message says what does.");

    public static readonly AnalysisCode CertificateEnds = new("ISM1462", "CertificateEnds", Severity.Error,
        "A certificate or token ends soon: a fifth of its life is left, at most 60 days (a warning), or a twentieth, at most 14 days (an error). What is "
            + "renewed on its own is named only when that is overdue.",
        "Renew it before; the message says what does.");

    public static readonly AnalysisCode AuthorityRefused = new("ISM1463", "AuthorityRefused", Severity.Error,
        "The control plane refuses the CA in Secret cacerts: it has expired, its key belongs to another certificate, or it does not lead to its root. The CA "
            + "that was in force before still signs, until the control plane restarts; without one, no certificate is signed.",
        "Put a CA into the Secret whose four files belong together (isthmus ca intermediate).");

    public static readonly AnalysisCode CertificateForOthers = new("ISM1464", "CertificateForOthers", Severity.Error,
        "The certificate of a gateway's server is valid for none of the server's hosts, so that every client that checks refuses it.",
        "Put a certificate for these hosts into the Secret, or name another Secret.");

    public static readonly AnalysisCode WebhookUntrusted = new("ISM1465", "WebhookUntrusted", Severity.Error,
        "A handshake shows that API servers refuse what a webhook of the mesh serves. Pods cannot be injected, or objects of Istio cannot be written.",
        "The control plane writes the CA bundle: read its log. If its CA has expired, put a new one into Secret cacerts.");

    public static readonly AnalysisCode IssuerKeysUnavailable = new("ISM1466", "IssuerKeysUnavailable", Severity.Error,
        "The control plane cannot fetch the keys of an issuer (`jwksUri`, or what the issuer itself says), so that valid tokens are refused; if it has fetched "
            + "them before, the last ones stay in use (a warning). The control planes say so while it lasts; the analysis of files cannot know it.",
        "Check that the control plane reaches the address and that it serves a JWK set, or write the keys into the field jwks.");

    public static readonly AnalysisCode RotationUnderWay = new("ISM1467", "RotationUnderWay", Severity.Error,
        "More than one root is in use: a rotation is under way, or was left half-way. Calls work as long as the steps are taken in their order, each when the "
            + "one before is done everywhere. The message says which step is due, and for whom.",
        "isthmus ca rotate takes the next step, and refuses to take one too early.");

    public static readonly AnalysisCode LeafUntrusted = new("ISM1468", "LeafUntrusted", Severity.Error,
        "The root of a proxy's certificate is no longer trusted everywhere, so calls from or to the proxy fail: the root was removed too early.",
        "Wait a minute for the proxy to renew its certificate, or restart the Pod. If many Pods are affected, trust both roots again.");

    public static readonly AnalysisCode ReferenceNotGranted = new("ISM1470", "ReferenceNotGranted", Severity.Error,
        "A Gateway or route of the Gateway API refers to an object of another namespace, which no ReferenceGrant there permits. "
        + "A listener without its certificate closes connections; requests for such a backend get 500, connections end, and datagrams are dropped.",
        "Create a ReferenceGrant in the namespace of the object.");

    public static readonly AnalysisCode ListenersConflict = new("ISM1471", "ListenersConflict", Severity.Error,
        "Listeners of a Gateway, or of its ListenerSets, have the same port and hostname, or protocols that cannot share a port. Of a Gateway's own, "
            + "none is served; "
        + "those of ListenerSets give way to the Gateway's, and to older sets.",
        "Give them different hostnames or ports, or remove one.");

    public static readonly AnalysisCode ListenerUnused = new("ISM1472", "ListenerUnused", Severity.Info,
        "No route attaches to a listener of a Gateway or ListenerSet, so that clients get 404, or their connections are closed.",
        "Attach a route, or remove the listener.");

    public static readonly AnalysisCode RouteNotAttached = new("ISM1473", "RouteNotAttached", Severity.Error,
        "A Gateway or ListenerSet does not take a route that names it: no listener fits its sectionName, port, kind, namespace or hostnames. The "
            + "route has no effect there.",
        "Do what the message says.");

    public static readonly AnalysisCode RemoteSecretOfItself = new("ISM1475", "RemoteSecretOfItself", Severity.Info,
        "A remote secret names the cluster that it is in. Control planes know that one already, and ignore the entry.",
            "Delete the Secret, unless it is meant for another cluster.");

    public static readonly AnalysisCode HostSharedWithIstio = new("ISM1474", "HostSharedWithIstio", Severity.Warning,
        "A Gateway of Istio selects Pods that serve a Gateway of the Gateway API, with the same port and an overlapping host. "
        + "Which of the two a request meets depends on how exact their hosts are, and with equal ones on the age of the objects.",
        "Serve the host by one of the two.");

    public static readonly AnalysisCode StarWithoutMeaning = new("ISM1476", "StarWithoutMeaning", Severity.Warning,
        "A * in a value of an AuthorizationPolicy is taken literally. As in Istio, only one at the beginning, or else one at the end, is a wildcard "
            + "(in namespaces, every one is), so a denial may match less than it seems to.",
        "Write values with one * at the beginning or the end, or allow what is meant instead.");

    public static readonly AnalysisCode NothingDiscovered = new("ISM1477", "NothingDiscovered", Severity.Warning,
        "A filter of an EnvoyFilter discovers its configuration, and no patch adds it with a type that the filter takes. Envoy refuses what passes the filter.",
        "Add the configuration by a patch of EXTENSION_CONFIG with the name of the filter, or write it in typed_config.");

    public static readonly AnalysisCode TunnelForRequests = new("ISM1478", "TunnelForRequests", Severity.Warning,
        "A DestinationRule has a tunnel for a host whose ports declare HTTP. Only connections of TCP and TLS go through tunnels: "
            + "requests go to the host itself.",
        "Declare the port of the host as TCP or TLS, route connections to it (tcp or tls of a VirtualService), or remove the tunnel.");

    public static readonly AnalysisCode PolicyOfPassingGateway = new("ISM1479", "PolicyOfPassingGateway", Severity.Warning,
        "An AuthorizationPolicy by callers or requests, or a RequestAuthentication, selects only gateways that pass connections between networks on "
            + "(AUTO_PASSTHROUGH). They know addresses, ports and the SNI of connections that are encrypted from end to end: what allows by more allows "
            + "nobody, and what denies by more denies nobody.",
        "Select the workloads that are called: their sidecars know who calls.");

    public static readonly AnalysisCode PortSpokenOtherwise = new("ISM1480", "PortSpokenOtherwise", Severity.Warning,
        "Clients speak another protocol on a port than its Service declares, as proxies of the workload saw in the last minute: TLS, or something that is not "
            + "HTTP, where HTTP is declared; plain HTTP where TLS is declared; HTTP/1.0, which proxies refuse with 426; or HTTP where "
            + "TCP is declared (a note: it works, but nothing knows of requests). The control planes say so while it lasts; the analysis of files cannot know "
            + "it. A DestinationRule by which proxies of callers begin that TLS is named instead of the port.",
        "Set appProtocol of the port, or name the port after what is spoken, or correct the clients; remove TLS from the DestinationRule.");

    public static readonly AnalysisCode NetworkOfOthers = new("ISM1481", "NetworkOfOthers", Severity.Warning,
        "The network label of a Pod names the network of other clusters, not that of its own. Callers there connect to its address directly, and all "
            + "others go through the gateway of that network, where the Pod usually is not.",
        "Remove the label from the template of the Pod; where that does not have it, correct values.global.network, from which the injector gives it.");

    public static readonly AnalysisCode FailoverWithoutDetection = new("ISM1482", "FailoverWithoutDetection", Severity.Warning,
        "A DestinationRule has an order of failover between localities, and no outlierDetection, without which the order has no effect: requests go to all "
            + "localities alike.",
        "Set outlierDetection in the same traffic policy, or in those of the subsets that routes use.");

    public static readonly AnalysisCode RouteOutranked = new("ISM1483", "RouteOutranked", Severity.Warning,
        "A rule of a route of the Gateway API is never used, because an older route of the same parents and hosts has the same matches, or one of the same age "
            + "that comes first by name.",
        "Change the matches of one of the routes, or keep both rules in one route, with weights if both backends are to get requests.");

    public static readonly AnalysisCode RulePortUnknown = new("ISM1484", "RulePortUnknown", Severity.Warning,
        "A DestinationRule has settings for a port that its host does not have, such as the port of the workloads. They have no effect.",
        "Use the number of a port of the Service.");

    public static readonly AnalysisCode SidecarMatchesNothing = new("ISM1485", "SidecarMatchesNothing", Severity.Warning,
        "A host in the egress of a Sidecar matches nothing, so that proxies do not see what is meant; or a port of its ingress is that of a Service, and not "
            + "of the workloads, so that nothing calls it.",
        "Write hosts as NAMESPACE/HOST, with the name in full, and ports as the workloads have them.");

    public static readonly AnalysisCode RequestRuleOfBytes = new("ISM1486", "RequestRuleOfBytes", Severity.Warning,
        "An AuthorizationPolicy has rules by methods, paths, hosts, headers or tokens, and selects a workload with a port that declares TCP or TLS. Of "
            + "connections, proxies know none of that: such a rule of ALLOW allows nobody there (a note where the workload has ports for requests as well), "
            + "and one of DENY denies by what is left of it, often everybody.",
        "Name the HTTP ports in the rules, or declare the port as HTTP if the application speaks it.");

    public static readonly AnalysisCode PolicyOfWholeMesh = new("ISM1487", "PolicyOfWholeMesh", Severity.Warning,
        "An AuthorizationPolicy is in the root namespace, where policies apply to workloads of all namespaces. An ALLOW policy there closes every workload "
            + "that it selects to all calls that no ALLOW policy permits. A note, unless no call at all gets through to some Service by it.",
        "Create it in the namespace that it is for, unless the whole mesh is meant.");

    public static readonly AnalysisCode RoutesOfGatewaysOnly = new("ISM1488", "RoutesOfGatewaysOnly", Severity.Info,
        "A VirtualService for a Service of the mesh names gateways, and not mesh. Sidecars do not follow its routes.",
        "Add mesh to spec.gateways, unless the routes are for gateways alone.");

    public static readonly AnalysisCode RedirectLoop = new("ISM1489", "RedirectLoop", Severity.Warning,
        "A route redirects requests to where they came from: clients follow it again and again, and get no answer.",
        "Redirect to another path, host, scheme or port, or match less.");

    public static readonly AnalysisCode TriesBeyondTimeout = new("ISM1490", "TriesBeyondTimeout", Severity.Info,
        "The timeout of a route is for all tries of a request together, and shorter than they may take by perTryTimeout. Calls that time out are tried less "
            + "often than retries.attempts says.",
        "Set timeout to at least perTryTimeout for each try, the first one and each of retries.attempts.");

    public static readonly AnalysisCode PoolOfOne = new("ISM1491", "PoolOfOne", Severity.Info,
        "A DestinationRule lets each proxy have one connection, request or waiting request at a time (a circuit breaker). Calls beyond that get 503 (UO) at "
            + "once, or wait for the one before.",
        "Raise the limit, unless that is meant.");

    public static readonly AnalysisCode LastEndpointEjected = new("ISM1492", "LastEndpointEjected", Severity.Info,
        "Outlier detection may eject all endpoints of a host that has only one. While it is ejected, calls get 503, although it may answer.",
        "Run more replicas, or set outlierDetection.minHealthPercent, so that proxies keep calling when too few endpoints are left.");

    public static readonly AnalysisCode PodRefused = new("ISM1494", "PodRefused", Severity.Error,
        "The API server refuses the Pods of a workload: its injector, a quota, Pod Security or a limit of the namespace. Pods that ran before go on.",
        "Correct what the message names, in the template of the Pods or in the namespace.");

    public static readonly AnalysisCode RetriesWithoutCondition = new("ISM1493", "RetriesWithoutCondition", Severity.Warning,
        "The conditions in retryOn are never met on this route, so that nothing is tried again.",
        "Name conditions that calls of the route can meet, such as connect-failure,refused-stream,503, or leave retryOn out.");

    public static readonly AnalysisCode DelegateOutside = new("ISM1495", "DelegateOutside", Severity.Error,
        "A match of a delegate is not within that of the route that is left to it. Its requests never reach the delegate, and the others do not match it: the "
            + "part is left out.",
        "Leave out the match of the delegate, or write it within that of the VirtualService that names it.");

    public static readonly AnalysisCode PlainBehindGateway = new("ISM1496", "PlainBehindGateway", Severity.Warning,
        "A PeerAuthentication switches mutual TLS off for workloads that other networks call through a gateway, which passes mutual TLS of the mesh only. "
            + "Calls from there fail.",
        "Set the mode to PERMISSIVE.");

    public static readonly AnalysisCode StatefulServiceUnknown = new("ISM1497", "StatefulServiceUnknown", Severity.Warning,
        "A StatefulSet names a Service that does not exist. Its Pods have no names of their own.",
        "Create the Service, or the StatefulSet again with the name of another one.");

    public static readonly AnalysisCode RequestPrincipalUnknown = new("ISM1498", "RequestPrincipalUnknown", Severity.Warning,
        "An AuthorizationPolicy names a request principal of an issuer that no RequestAuthentication of its workloads has, such as one with a slash too few. "
            + "No request has it.",
        "Write the issuer as the RequestAuthentication has it, a slash, and the subject.");

    public static readonly AnalysisCode TlsTwice = new("ISM1499", "TlsTwice", Severity.Warning,
        "A DestinationRule begins TLS at a port that declares HTTPS or TLS, where applications begin TLS themselves. Servers get TLS within TLS, and no "
            + "connection gets through.",
        "Remove the TLS settings, or call the host without TLS at a port that declares HTTP.");

    public static readonly AnalysisCode PortPolicyDropsTls = new("ISM1500", "PortPolicyDropsTls", Severity.Warning,
        "A port has settings of its own in a DestinationRule, without the TLS that the rule has for the host. As in Istio, they take the place of all others: "
            + "calls to the port are plain text.",
        "Repeat the TLS settings for the port.");

    public static readonly AnalysisCode RouteOfConsumers = new("ISM1501", "RouteOfConsumers", Severity.Info,
        "A route of the Gateway API is for a Service of another namespace (a consumer route). It applies to callers in its own namespace only.",
        "Create it in the namespace of the Service, unless that is meant.");

    public static readonly AnalysisCode LabelledPlain = new("ISM1502", "LabelledPlain", Severity.Warning,
        "A workload with a sidecar has a label that says it takes no mutual TLS. Gateways of other networks pass nothing else, so callers there get no "
            + "endpoint of it.",
        "Remove the label security.istio.io/tlsMode.");

    public static readonly AnalysisCode MatchPortUnknown = new("ISM1503", "MatchPortUnknown", Severity.Warning,
        "A match of a VirtualService names a port that its hosts do not have, such as that of the containers. It matches no request.",
        "Use the port of the Service, or remove it.");

    public static readonly AnalysisCode ServiceMissing = new("ISM1504", "ServiceMissing", Severity.Warning,
        "A cluster runs Pods with the labels of a Service that only other clusters have. Without the Service, the mesh does not know the Pods, and no call "
            + "reaches them.",
        "Create the Service in each cluster that runs its Pods.");

    public static readonly AnalysisCode HostsNotPassed = new("ISM1505", "HostsNotPassed", Severity.Warning,
        "A Gateway with tls.mode AUTO_PASSTHROUGH lists hosts that no Service has. Its port is not opened, "
            + "and calls of other networks do not reach the cluster.",
        "List *.local, or the hosts that other networks call.");

    public static readonly AnalysisCode DefinitionUnknown = new("ISM1506", "DefinitionUnknown", Severity.Warning,
        "A definition of the Gateway API is of a release that control planes do not know, or does not say of which. They ignore fields that only it has.",
        "Install the definitions of one release that control planes know, or upgrade the control planes.");

    public static readonly AnalysisCode GatewayPortTaken = new("ISM1512", "GatewayPortTaken", Severity.Error,
        "A server of a Gateway has a port that the Pods of the gateway need themselves (15000, 15004, 15020, 15021, 15090). Nothing serves it.",
        "Use another port, or let the Service of the gateway lead it to another targetPort.");

    public static readonly AnalysisCode InjectionMistyped = new("ISM1509", "InjectionMistyped", Severity.Warning,
        "The label istio-injection of a namespace is neither enabled nor disabled. It has the effect of disabled: the Pods get no sidecars.",
        "Set it to enabled, or to disabled if that is intended.");
}

using Isthmus.Core.Problems;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Codes of our own about what one cluster has for another.</summary>
public static class ClusterCodes
{
    public static readonly AnalysisCode GatewayUnaddressed = new("ISM1005", "GatewayUnaddressed", Severity.Error,
        "The Service of a gateway has no external address, so other networks, or clients outside, cannot reach it: its type, its loadBalancerClass, the "
            + "annotation networking.istio.io/service-type of its Gateway, or a load balancer that is not there.",
        "Give the cluster a load balancer, or set externalIPs, or change the field that the message names.");

    public static readonly AnalysisCode GatewayUnready = new("ISM1006", "GatewayUnready", Severity.Error,
        "No Pod is ready behind a gateway's Service, such as because its Deployment has 0 replicas.",
        "Scale its Deployment up, or correct the selector of the Service.");

    public static readonly AnalysisCode GatewayPortMissing = new("ISM1007", "GatewayPortMissing", Severity.Error,
        "The Service of an east-west gateway has no port 15443.",
        "Add the port, or name another one with the label networking.istio.io/gatewayPort.");

    public static readonly AnalysisCode ServicesHidden = new("ISM1015", "ServicesHidden", Severity.Error,
        "No Gateway exposes the services of a cluster to other networks: no server of Istio's Gateways has the mode AUTO_PASSTHROUGH, and no listener of the "
            + "Gateway API passes connections on by SNI.",
        "Apply samples/multicluster/expose-services.yaml in that cluster. For a gateway of class istio-east-west: add a listener with port 15443, protocol TLS "
            + "and tls.mode Passthrough, and give the Gateway the label of the network.");

    public static readonly AnalysisCode RemoteSecretUnlabelled = new("ISM1507", "RemoteSecretUnlabelled", Severity.Warning,
        "A remote secret lacks the label by which control planes find theirs. They do not watch its cluster, whose Services and Pods are unknown to them.",
        "Set the label istio/multiCluster to true.");

    public static readonly AnalysisCode ExportOfNothing = new("ISM1508", "ExportOfNothing", Severity.Warning,
        "A ServiceExport has a name that no Service of its namespace has, in any cluster. It exports nothing.",
        "Create a ServiceExport with the name of the Service, or create the Service.");

    public static readonly AnalysisCode RuleTlsBeyondGateway = new("ISM1513", "RuleTlsBeyondGateway", Severity.Warning,
        "A DestinationRule takes mutual TLS of the mesh from calls to a host whose workloads are all in other networks than callers. Gateways between "
            + "networks pass nothing else, so that these calls fail.",
        "Set tls.mode to ISTIO_MUTUAL, or remove tls.");

    public static readonly AnalysisCode RemoteSecretMisplaced = new("ISM1514", "RemoteSecretMisplaced", Severity.Warning,
        "A remote secret is in a namespace where control planes do not look for theirs. They do not watch its cluster, whose Services and Pods are unknown to "
            + "them.",
        "Create it in the namespace of the control plane.");

    public static readonly AnalysisCode OnlyElsewhere = new("ISM1525", "OnlyElsewhere", Severity.Warning,
        "A VirtualService or DestinationRule of a host exists in one cluster, and another one with a control plane of its own has none of that host: its "
            + "callers do not follow it. A note, unless the host has no Pods of its own, so that calls without the routes fail.",
        "If they are to follow it, apply it in that cluster as well.");

    public static readonly AnalysisCode ServiceLeftOut = new("ISM1519", "ServiceLeftOut", Severity.Warning,
        "Callers of another network know a Service of a cluster, whose gateway does not: discoverySelectors of the cluster leave its namespace out, or it is "
            + "not exported to the namespace of the gateway. The gateway refuses these calls.",
        "Give the namespace a label that discoverySelectors ask for, or export the Service to the namespace of the gateway.");

    public static readonly AnalysisCode AutoMtlsOff = new("ISM1541", "AutoMtlsOff", Severity.Warning,
        "enableAutoMtls of MeshConfig is false, so that proxies send plain text, and clusters of the mesh are in other networks. Gateways between networks "
            + "pass mutual TLS of the mesh only: calls there fail, unless a DestinationRule has tls.mode ISTIO_MUTUAL.",
        "Set enableAutoMtls to true, or remove it.");

    public static readonly AnalysisCode GatewayAstray = new("ISM1520", "GatewayAstray", Severity.Error,
        "A Service that is the gateway of a network selects Pods that no Gateway with tls.mode AUTO_PASSTHROUGH selects, while other Pods of its namespace "
            + "serve one. Calls of other networks fail.",
        "Give the Service the selector of the Gateway.");

    public static readonly AnalysisCode DefinitionMissing = new("ISM1523", "DefinitionMissing", Severity.Error,
        "A cluster with a control plane does not define a kind of Istio that another cluster of the mesh defines. No object of the kind can exist there, and "
            + "those that did went with the definition.",
        "Install again, with the file of the cluster, and apply the objects again.");

    public static readonly AnalysisCode ValidatorMissing = new("ISM1524", "ValidatorMissing", Severity.Error,
        "A webhook that validates Istio's objects, or Pods, calls a Service that does not exist, such as that of a control plane which was removed. API "
            + "servers refuse these objects.",
        "Delete the ValidatingWebhookConfiguration if what served it is gone for good.");

    public static readonly AnalysisCode GatewaysOut = new("ISM1531", "GatewaysOut", Severity.Error,
        "An annotation takes a gateway between networks out (weight 0), and its network has no other one in use. Callers of other networks get no endpoint "
            + "there.",
        "Remove the annotation.");

    public static readonly AnalysisCode NetworkUnseen = new("ISM1532", "NetworkUnseen", Severity.Warning,
        "The proxy of an application asks for the endpoints of some networks only (ISTIO_META_REQUESTED_NETWORK_VIEW). It gets none of the other networks of "
            + "the mesh, and calls to what runs only there fail. Or a gateway asks for other networks than its own, so that it gets no endpoints there.",
        "Remove the variable: it is meant for gateways between networks, which have that of their own network there.");

    public static readonly AnalysisCode AliasElsewhere = new("ISM1534", "AliasElsewhere", Severity.Warning,
        "A Service is an alias of a host outside (type ExternalName) in one cluster, and has Pods in another. Callers follow the Service of their own cluster: "
            + "those beside the alias do not reach the Pods.",
        "If they are to reach the Pods, make the Service the same in both clusters.");

    public static readonly AnalysisCode TwoApplications = new("ISM1543", "TwoApplications", Severity.Warning,
        "Services of one name select different applications in two clusters: their selectors have nothing in common, and neither have the images of their "
            + "Pods. The mesh takes them for one host, and calls alternate between the two.",
        "Give one of them another name, or make the host local to each cluster (serviceSettings of MeshConfig).");

    public static readonly AnalysisCode NamespaceElsewhere = new("ISM1544", "NamespaceElsewhere", Severity.Info,
        "An object names a Service of a namespace that its cluster does not have, and another cluster has. All calls go there.",
        "Create the namespace and its objects again, if it was deleted by mistake.");

    public static readonly AnalysisCode EntryElsewhere = new("ISM1548", "EntryElsewhere", Severity.Warning,
        "A ServiceEntry selects Pods of another network, and the gateway there does not know its host: its control plane has no such entry, or its Gateway "
            + "does not list the host. Calls to these Pods fail.",
        "Apply the ServiceEntry there as well, and add the host to the hosts of the Gateway.");

    public static readonly AnalysisCode EndpointOutOfReach = new("ISM1545", "EndpointOutOfReach", Severity.Warning,
        "An endpoint of a ServiceEntry is the address of a Pod of another network, to which no packets go, or that of a load balancer of a cluster which does "
            + "not have the port.",
        "Call the Service by its name, or set network or ports of the endpoint.");
}

using Isthmus.Core.Problems;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Codes of our own about what gateways serve.</summary>
public static class GatewayCodes
{
    public static readonly AnalysisCode StrangerAmongGateways = new(GatewayStrangers.Code, "StrangerAmongGateways", Severity.Error,
        "A Pod of an application has the labels by which the Service of a gateway selects its Pods. A part of the calls to the gateway go there, and fail.",
        "Remove the label from the Pod's template, or let the Service select by a label that only the gateway has.");

    public static readonly AnalysisCode IngressOfNobody = new("ISM1540", "IngressOfNobody", Severity.Info,
        "An Ingress names a class that no IngressClass has, and that is not the one of the mesh. Unless a controller takes the name by itself, nothing serves "
            + "it.",
        "Write a class that exists: for gateways of the mesh, one with the controller istio.io/ingress-controller.");

    public static readonly AnalysisCode ProtocolUnserved = new("ISM1522", "ProtocolUnserved", Severity.Error,
        "Two Gateways have the same port of the same Pods, one for HTTP and one for TCP, both without TLS. The older one takes all connections, and the other "
            + "is not served.",
        "Use another port for one of them.");

    public static readonly AnalysisCode FileUnmounted = new("ISM1535", "FileUnmounted", Severity.Warning,
        "A server of a Gateway names a certificate, key or CA as a file, and no volume is mounted at its path in the Pods of the gateway. They refuse TLS, "
            + "unless their image has the file.",
        "Name a Secret in credentialName, or mount the file.");

    public static readonly AnalysisCode HeaderAstray = new("ISM1537", "HeaderAstray", Severity.Warning,
        "A DestinationRule lets callers begin connections with a header of the PROXY protocol, which sidecars do not read, or the gateway of a network waits "
            + "for such a header, which proxies of the mesh do not write. Calls fail.",
        "Remove trafficPolicy.proxyProtocol, or gatewayTopology.proxyProtocol.");

    public static readonly AnalysisCode SuitesUnfit = new("ISM1538", "SuitesUnfit", Severity.Warning,
        "cipherSuites of a server are for keys of ECDSA only, and its certificate has one of RSA, or the reverse. TLS 1.2 fails; where maxProtocolVersion is "
            + "TLSV1_2, all calls do.",
        "Add suites for the key, or use a certificate with a key of the other kind.");

    public static readonly AnalysisCode ChainIncomplete = new("ISM1533", "ChainIncomplete", Severity.Warning,
        "The Secret of a gateway has a certificate without that of its issuer, which is known not to be a root, or has others after it that did not issue it. "
            + "Clients that know only the root refuse the gateway. If only the issuer's offer of its certificate suggests that it is not a root, this is "
            + "information.",
        "Put the certificates of the CAs between it and the root into tls.crt, after the first one.");
}

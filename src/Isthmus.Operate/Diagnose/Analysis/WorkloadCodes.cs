using Isthmus.Core.Problems;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Codes of our own about what the proxies of workloads take in, and refuse.</summary>
public static class WorkloadCodes
{
    public static readonly AnalysisCode CallsRefusedByLimits = new("ISM1551", "CallsRefusedByLimits", Severity.Warning,
        "Limits of connections or requests (connectionPool of a DestinationRule, inboundConnectionPool of a Sidecar, or the defaults of proxies) have refused "
            + "calls within the last ten minutes: as many as they allow were in use. Callers got 503 with the response flag UO, or a closed connection. "
            + "Proxies say so to their control planes; the analysis of files cannot know it.",
        "Raise maxConnections, http1MaxPendingRequests or http2MaxRequests, or add Pods.");

    public static readonly AnalysisCode PortExcluded = new("ISM1517", "PortExcluded", Severity.Warning,
        "A port of a Service leads to one that excludeInboundPorts keeps from the proxy of the workload, or that includeInboundPorts leaves out. "
            + "Callers with a proxy use mutual TLS of the mesh there, which nothing ends, so that their calls fail.",
        "Remove the port from the first annotation, or add it to the second one; or switch mutual TLS off for callers in a DestinationRule.");

    public static readonly AnalysisCode DefaultEndpointUnknown = new("ISM1518", "DefaultEndpointUnknown", Severity.Info,
        "A Sidecar leads calls to a port that no container of its workloads declares. If nothing listens there, they get 503.",
        "Write the port of the application, or declare the port in the container.");

    public static readonly AnalysisCode InjectorMissing = new("ISM1521", "InjectorMissing", Severity.Error,
        "Namespaces of a cluster ask for sidecars, and no MutatingWebhookConfiguration injects any. Pods that are created there are not part of the mesh.",
        "Install again, with the file of this cluster; then restart the workloads that have no sidecar.");

    public static readonly AnalysisCode DeploymentPaused = new("ISM1526", "DeploymentPaused", Severity.Warning,
        "A Deployment is paused, and its template has changed since. Its Pods stay as they were.", "Resume its rollout.");

    public static readonly AnalysisCode ServiceWithoutWorkload = new("ISM1547", "ServiceWithoutWorkload", Severity.Info,
        "The selector of a Service matches no workload of any cluster, and none has similar labels. All calls to the Service fail.",
        "Deploy the workload, correct the selector, or delete the Service.");

    public static readonly AnalysisCode PodOfOlderTemplate = new("ISM1554", "PodOfOlderTemplate", Severity.Warning,
        "The updateStrategy of a StatefulSet or DaemonSet is OnDelete, and its template has changed since it made a Pod that is not ready. The Pod stays as "
            + "it was.", "Delete the Pod, so that another one is made from the newest template.");

    public static readonly AnalysisCode ProxyOutOfMemory = new("ISM1555", "ProxyOutOfMemory", Severity.Error,
        "The proxy of a Pod was killed because it needed more memory than its limit. Calls from and to the Pod fail meanwhile (a warning while it runs again).",
        "Raise the limit: the annotation sidecar.istio.io/proxyMemoryLimit, or values.global.proxy.resources of the control plane.");

    public static readonly AnalysisCode HostAliasAstray = new("ISM1530", "HostAliasAstray", Severity.Warning,
        "hostAliases of a Pod give the name of a Service another address than the Service has. They come before any DNS, so that calls of that name go "
            + "elsewhere.",
        "Remove the name from hostAliases.");

    public static readonly AnalysisCode ApiServerRefused = new("ISM1557", "ApiServerRefused", Severity.Error,
        "The API server calls a Service for an APIService or a webhook, and the proxy of its Pods demands mutual TLS. API servers have no certificate of the "
            + "mesh, so that every such call fails: the API is unavailable, or objects cannot be written.",
        "Set DISABLE or PERMISSIVE for the port in portLevelMtls of a PeerAuthentication, or leave the port out with excludeInboundPorts.");
}

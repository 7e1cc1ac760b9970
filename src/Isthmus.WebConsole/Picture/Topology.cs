using Isthmus.WebConsole.Traffic;

namespace Isthmus.WebConsole.Picture;

/// <summary>The mesh without its traffic: what the page draws.</summary>
/// <param name="Read">When it was read.</param>
internal sealed record Topology(DateTimeOffset Read, IReadOnlyList<ClusterNode> Clusters, IReadOnlyList<ServiceNode> Services, IReadOnlyList<WatchLine> Watches)
{
    /// <summary>Whether the control planes have not been asked yet.</summary>
    public bool IsPart { get; init; }
}

/// <param name="Context">The kubeconfig context.</param>
/// <param name="Name">The name that proxies and control planes use.</param>
/// <param name="Error">Why it could not be read; empty when it could.</param>
internal sealed record ClusterNode(string Context, string Name, string Network, string Error, IReadOnlyList<ControlPlaneNode> ControlPlanes,
    IReadOnlyList<GatewayNode> Gateways, int Proxies)
{
    /// <summary>What the user may not read there, one line for each kind.</summary>
    public IReadOnlyList<string> Withheld { get; init; } = [];
}

/// <param name="Serves">The cluster that it runs for.</param>
internal sealed record ControlPlaneNode(string Namespace, string Serves, int Ready, int All);

/// <summary>An east-west gateway.</summary>
internal sealed record GatewayNode(string Name, string Network, IReadOnlyList<string> Addresses, int Ready);

/// <summary>A Service in one cluster, or a caller that no Service selects.</summary>
/// <param name="Kind"><c>service</c>, <c>workload</c>, <c>outside</c>, or <c>proxies</c> that call on their own account.</param>
/// <param name="Ready">Ready endpoints.</param>
/// <param name="Sidecars">How many of its Pods have a proxy.</param>
/// <param name="Health"><c>ok</c>, <c>degraded</c>, <c>down</c>, <c>empty</c> when only other clusters have endpoints, or <c>none</c> when that
/// says nothing.</param>
internal sealed record ServiceNode(string Id, string Cluster, string Namespace, string Name, string Kind, int Ready, int All, int Sidecars, string Health)
{
    /// <summary>What is behind it and calls, as <c>isthmus trace</c> names a caller; empty when there is nothing.</summary>
    public string Caller { get; init; } = "";

    /// <summary>The images of proxies that are not Isthmus.</summary>
    public IReadOnlyList<string> OtherProxies { get; init; } = [];
}

/// <summary>A control plane watches a cluster.</summary>
/// <param name="From">The context of the cluster with the control plane.</param>
/// <param name="To">The context of the watched cluster, or its name when it is not among those read.</param>
internal sealed record WatchLine(string From, string To, string Status, string Message);

/// <summary>Calls from one node to another.</summary>
/// <param name="Way"><c>direct</c>, the gateways on the way, or <c>unknown</c>.</param>
/// <param name="Security"><c>mtls</c>, <c>plain</c> or <c>unknown</c>.</param>
internal sealed record Flow(string From, string To, string Protocol, double Rate, double Errors, double? P50, double? P95, double Bytes, string Way,
    string Security)
{
    /// <summary>The share of requests that were answered with 401 or 403, from 0 to 1.</summary>
    public double Denied { get; init; }

    public string Identity { get; init; } = "";

    public IReadOnlyCollection<string> Flags { get; init; } = [];

    /// <summary>Whether these calls come to a cluster from others.</summary>
    internal bool Enters(string context) =>
        To.StartsWith($"{context}/", StringComparison.Ordinal) && !From.StartsWith($"{context}/", StringComparison.Ordinal);
}

/// <summary>The traffic of the last seconds.</summary>
/// <param name="Callers">Nodes that are not Services: workloads without one, and callers outside of the mesh.</param>
/// <param name="Proxies">How many proxies are asked.</param>
/// <param name="Silent">Proxies that do not answer, and why.</param>
internal sealed record TrafficPicture(DateTimeOffset Time, IReadOnlyList<Flow> Flows, IReadOnlyList<ServiceNode> Callers, int Proxies,
    IReadOnlyDictionary<string, string> Silent)
{
    /// <summary>The Prometheus servers that were asked.</summary>
    public IReadOnlyList<PrometheusState> Prometheus { get; init; } = [];
}

using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

/// <summary>A Pod, reduced to the fields that a mesh needs.</summary>
/// <param name="Workload">The Deployment, StatefulSet … it belongs to, else its own name.</param>
/// <param name="Ports">Named container ports.</param>
public sealed record PodFacts(
    ObjectRef Source,
    ValueMap<string> Labels,
    string ServiceAccount,
    string Node,
    ValueList<string> Addresses,
    string Workload,
    string Hostname,
    string Subdomain,
    ValueMap<int> Ports)
{
    /// <summary>The proxy that its container <c>istio-proxy</c> runs; null: unknown, or none.</summary>
    public ProxyKind? Runs { get; init; }
}

/// <summary>A Node, reduced to the fields that a mesh needs.</summary>
/// <param name="Labels">All: NodePort gateways may select by any.</param>
/// <param name="Kubelet">The version of its kubelet, which decides how proxies are injected.</param>
public sealed record NodeFacts(
    ObjectRef Source, Locality Locality, ValueMap<string> Labels, ValueList<string> ExternalAddresses, ValueList<string> InternalAddresses = default, string Kubelet = "");

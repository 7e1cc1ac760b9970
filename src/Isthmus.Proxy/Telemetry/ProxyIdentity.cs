using Isthmus.Core.Names;

namespace Isthmus.Proxy.Telemetry;

/// <summary>Who this proxy is, for metrics and for its peers.</summary>
/// <param name="NodeId">Istio's node id, <c>type~ip~name.namespace~domain</c>.</param>
/// <param name="PeerMetadata">What peers receive in <c>x-envoy-peer-metadata</c> (base64 of a protobuf Struct); empty: nothing.</param>
internal sealed record ProxyIdentity(
    string NodeId, string Workload, string Namespace, string App, string Version, string CanonicalName, string CanonicalRevision, string Cluster,
    string ServiceAccount, string PeerMetadata)
{
    /// <summary>The mesh's: the first part of every identity in it.</summary>
    public string TrustDomain { get; init; } = WellKnown.DefaultTrustDomain;

    /// <summary>Its address, as the node id has it; empty: unknown.</summary>
    public string Address { get; } = NodeId.Split('~') is [_, var address, ..] ? address : "";

    /// <summary>The name of its own cluster, as descriptors of rate limits have it: <c>app.namespace</c>.</summary>
    public string ServiceCluster { get; } = $"{(App.Length > 0 ? App : CanonicalName.Length > 0 ? CanonicalName : "istio-proxy")}.{Namespace}";

    public static readonly ProxyIdentity Unknown = new("", "", "", "", "", "", "", "", "", "");
}

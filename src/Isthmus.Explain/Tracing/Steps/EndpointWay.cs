using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>A chosen endpoint, and how the caller's proxy talks to it.</summary>
internal sealed record EndpointWay(OutboundChoice Outbound, ClusterView Cluster, EndpointView Endpoint, TlsView? Tls, string DestinationRule)
{
    /// <summary>The gateway from which the callee's proxy sees the call come, with its network; null without one.</summary>
    public (ClusterObjects Cluster, Pod Pod)? Through { get; init; }

    public bool IsMeshTls =>
        Tls is { Certificate.Length: > 0 } && (Tls.Alpn.Count == 0 || Tls.Alpn.Any(protocol => protocol.StartsWith("istio", StringComparison.Ordinal)));

    /// <summary>The ALPN protocols that the caller offers. They announce the HTTP version, so the callee's proxy need not
    /// inspect the bytes.</summary>
    public IReadOnlyList<string> Alpn =>
        Outbound.IsHttp && Outbound.Alpn.TryGetValue(Outbound.IsHttp2 ? "HTTP2" : "HTTP11", out var list) ? list : Tls?.Alpn ?? [];
}

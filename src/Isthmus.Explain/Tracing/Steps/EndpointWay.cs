using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>A chosen endpoint, and how the caller's proxy talks to it.</summary>
internal sealed record EndpointWay(OutboundChoice Outbound, ClusterView Cluster, EndpointView Endpoint, TlsView? Tls, string DestinationRule)
{
    /// <summary>The kind and name of the object by which the caller's proxy begins TLS that is not the mesh's; empty: it does not, or nobody knows.</summary>
    public string TlsBy { get; init; } = "";

    /// <summary>Whether connections there failed, so that outlier detection has taken it out.</summary>
    public bool IsEjected { get; init; }

    /// <summary>The gateway from which the callee's proxy sees the call come, with its network; null without one.</summary>
    public (ClusterObjects Cluster, Pod Pod)? Through { get; init; }

    /// <summary>The call goes through a tunnel of the mesh (HBONE), whose TLS is that of the mesh.</summary>
    public bool IsTunnelled => Endpoint.Tunnel.Length > 0;

    /// <summary>A certificate of a file or of a Secret (<c>file-cert:…</c>, <c>kubernetes://…</c>) is not that of the mesh.</summary>
    public bool IsMeshTls => IsTunnelled
        || Tls is { Certificate.Length: > 0 } && !Tls.Certificate.Contains(':', StringComparison.Ordinal)
        && (Tls.Alpn.Count == 0 || Tls.Alpn.Any(protocol => protocol.StartsWith("istio", StringComparison.Ordinal)));

    /// <summary>The ALPN protocols that the caller offers. They announce the HTTP version, so the callee's proxy need not
    /// inspect the bytes.</summary>
    public IReadOnlyList<string> Alpn =>
        IsTunnelled ? []
            : Outbound.IsHttp && !Cluster.KeepsAlpn && Outbound.Alpn.TryGetValue(Outbound.IsHttp2 ? "HTTP2" : "HTTP11", out var list) ? list : Tls?.Alpn ?? [];
}

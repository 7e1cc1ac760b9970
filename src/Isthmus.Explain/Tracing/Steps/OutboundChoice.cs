using Isthmus.Core.Collections;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>What the caller's proxy decides about the connection before it chooses an endpoint.</summary>
/// <param name="Rule">The VirtualService that routes it; empty when there is none.</param>
/// <param name="Alpn">The protocols to offer to endpoints instead of the cluster's own.</param>
internal sealed record OutboundChoice(ProxyView View, IReadOnlyList<TargetView> Targets, string Rule, ValueMap<ValueList<string>> Alpn,
    bool IsHttp)
{
    /// <summary>Whether the caller speaks HTTP/2.</summary>
    public bool IsHttp2 { get; init; }

    /// <summary>The route of the request; null for a connection.</summary>
    public RouteView? Route { get; init; }
}

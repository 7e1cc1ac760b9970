using Isthmus.Core.Collections;

namespace Isthmus.Operate.Diagnose.Tracing;

/// <summary>What the caller's proxy does with the connection before it chooses an endpoint.</summary>
/// <param name="Rule">The VirtualService that routes it; empty when none does.</param>
/// <param name="Alpn">The protocols offered to endpoints in place of the cluster's own.</param>
internal sealed record OutboundChoice(ProxyView View, IReadOnlyList<(string Cluster, int Weight)> Targets, string Rule, ValueMap<ValueList<string>> Alpn, bool IsHttp);

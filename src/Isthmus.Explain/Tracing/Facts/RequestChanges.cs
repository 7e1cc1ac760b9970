using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Facts;

/// <summary>A request before routes changed it, and who did.</summary>
/// <param name="Asked">The request as it came to the route.</param>
/// <param name="Admitted">What a gateway at which it enters made of it before; null without one.</param>
/// <param name="Rule">The object that routes it, as <see cref="IstioMetadata.RuleOf"/> names it; empty: none does.</param>
/// <param name="Route">The name of the route that proxies have.</param>
internal sealed record RequestChanges(AskedRequest Asked, Admission? Admitted, string Rule, string Route);

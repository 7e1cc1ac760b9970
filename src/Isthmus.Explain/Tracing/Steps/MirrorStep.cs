using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>Checks where copies of requests go: nobody gets an answer to them, so nobody notices that they are lost.</summary>
internal sealed class MirrorStep(TraceRecord record, TraceCauses causes, EndpointsStep endpoints)
{
    /// <summary>The name of its hops.</summary>
    public const string Hop = "mirror";

    public void Walk(OutboundChoice outbound, ForwardView act)
    {
        // Proxies do not hear of those that lead nowhere.
        foreach (var lost in causes.Config.LostMirrors(outbound.Rule, outbound.Route?.Name ?? ""))
            record.Warn(Hop, "copies of requests are lost", lost, HopFacts.Rule(outbound.Rule));
        foreach (var name in act.Mirrors)
        {
            var problem = outbound.View.Decisions.Cluster(name) is { } cluster ? endpoints.Empty(outbound.View, cluster)
                : causes.Hosts.MissingCluster(name, outbound.Rule, "mirrors requests to");
            if (problem is null) record.Ok(Hop, $"copies of requests go to {name}");
            else record.Warn(Hop, $"copies of requests to {name} are lost", problem, HopFacts.Rule(outbound.Rule));
        }
    }
}

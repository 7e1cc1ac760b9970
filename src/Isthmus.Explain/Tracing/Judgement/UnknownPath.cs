using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;

namespace Isthmus.Explain.Tracing.Judgement;

/// <summary>The application does not know the path of a call: a route that was meant for the call may be to blame.</summary>
internal static class UnknownPath
{
    /// <summary>The trace with a warning at the route.</summary>
    /// <param name="why">What is wrong with the route of a hop; null: nothing is known of it.</param>
    public static CallTrace Tell(CallTrace trace, MadeCall call, Func<Hop, Problem?> why)
    {
        if (call.Status != 404) return trace;
        var hops = trace.Hops.ToList();
        foreach (var (at, hop) in trace.Hops.Index().Where(one => one.Item is { Name: "route", Status: HopStatus.Ok }))
        {
            if (why(hop) is not { } problem) continue;
            hops[at] = hop with { Status = HopStatus.Warning, Problem = problem with { Severity = Severity.Warning } };
            return trace with { Hops = hops.ToValueList() };
        }
        return trace;
    }

    /// <summary>Whether the route is none that somebody has written.</summary>
    public static bool IsDefault(Hop hop) => hop.Facts.All(fact => fact.Name is not (HopFacts.RuleFact or HopFacts.ApiRuleFact));
}

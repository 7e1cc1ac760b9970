using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;

namespace Isthmus.Explain.Tracing.Judgement;

/// <summary>What keeps the check of a proxy from an external authorizer, which then decides nothing.</summary>
internal static class CheckBlame
{
    /// <param name="check">The check, as a call of that proxy.</param>
    /// <param name="trace">Its way.</param>
    /// <param name="call">The call that the check is about.</param>
    /// <returns>Null: nothing is known to keep it from the authorizer, or not what explains the outcome.</returns>
    public static Problem? Of(AskedAuthorizer asked, TracedCall check, CallTrace trace, MadeCall call)
    {
        if (trace.Hops.FirstOrDefault(Stops) is not { Problem: { } problem } stopping) return null;
        var open = stopping.Way == 0 ? 0 : trace.Ways.Index().Where(way => !trace.Hops.Any(hop => hop.Way == way.Index + 1 && Stops(hop)))
            .Sum(way => way.Item.Percent);
        var policy = $"AuthorizationPolicy {asked.Policy.Namespace}/{asked.Policy.Name} in {check.Facts.ConfigOf(asked.Cluster).Context}";
        return problem with
        {
            Severity = Severity.Error,
            Message = $"{problem.Message}; this call is the check that {asked.Seen.Proxy} makes with the external authorizer {asked.Name}, to which {policy} "
                + $"leaves the decision ({(asked.HasDenied ? AskedAuthorizer.Denied : AskedAuthorizer.Failed)})"
                + (open > 0 ? $"; whether it came here is not known: {open} % of the checks go elsewhere" : ""),
        };

        bool Stops(Hop hop) => hop.Problem is { } found && (hop.Status == HopStatus.Failed || found.Code == PacketCauses.Code) && Explains(asked, found, call);
    }

    /// <summary>A policy of the authorizer's Pods answers in the place of the authorizer, as that would deny; whatever else stops the check leaves it without
    /// an answer. gRPC knows no such answer.</summary>
    private static bool Explains(AskedAuthorizer asked, Problem problem, MadeCall call) =>
        !asked.HasDenied || (CallJudgement.IsOfPolicy(problem) && !asked.Provider.IsGrpc && call.Status is 401 or 403);
}

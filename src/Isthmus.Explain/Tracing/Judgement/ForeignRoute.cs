using Isthmus.Core.Collections;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Mesh.Generate;

namespace Isthmus.Explain.Tracing.Judgement;

/// <summary>The call fails where a VirtualService leads it that neither the owner of the host nor that of the caller has written: without it, the call would
/// go elsewhere.</summary>
internal static class ForeignRoute
{
    public static CallTrace Tell(TracedCall traced, CallTrace trace)
    {
        if (traced is not { Facts: { Entry: null } facts, Host: { } called } || trace.Failure is not { Problem: { } problem } failure) return trace;
        var before = trace.Hops.TakeWhile(hop => hop != failure).ToList();
        if (before.FindIndex(hop => hop.Name == "route") is not (>= 0 and var at)) return trace;
        var rule = before[at].Facts.FirstOrDefault(fact => fact.Name == HopFacts.RuleFact)?.Value ?? "";
        // The cluster may itself be what fails.
        var cluster = before.Skip(at).Append(failure).FirstOrDefault(hop => hop.Name == "cluster")?.Summary ?? "";
        if (rule.Split('/') is not [var ns, _] || ns == called.Namespace || ns == facts.Client.Namespace
            || !ResourceNames.TryParseOutbound(cluster, out _, out _, out var host, out _) || host == called.Fqdn
            || problem.Object.Contains(rule, StringComparison.Ordinal)) return trace;
        var told = problem with
        {
            Message = $"{problem.Message}; VirtualService {rule} of another namespace leads calls of {called.Name}.{called.Namespace} there",
            Remedy = $"{problem.Remedy}; or, if the route is not meant for this caller, set exportTo: [.] in VirtualService {rule}, or delete it",
        };
        return trace with { Hops = trace.Hops.Select(hop => hop == failure ? hop with { Problem = told } : hop).ToValueList() };
    }
}

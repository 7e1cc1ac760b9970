using Isthmus.Core.Collections;
using Isthmus.Core.Problems;

namespace Isthmus.Operate.Diagnose.Tracing;

/// <summary>Combines the judgement of the configuration with the outcome of the real call.</summary>
internal static class CallJudgement
{
    /// <summary>Codes of warnings that explain a later failure. The hop with such a warning then counts as the one that
    /// fails.</summary>
    private static readonly HashSet<string> Explaining = ["ISM2012", "ISM2013", "ISM2014", "ISM2015", "ISM2017", "ISM2020", "ISM1003", "ISM1018", "ISM1019", "ISM1020", "ISM1021", "ISM1005", "ISM1007", "ISM1014", "ISM1016", "ISM2048"];

    public static CallTrace Judge(TraceFacts facts, CallTrace trace)
    {
        if (trace.Failure is { } failure) trace = Promote(trace, failure);
        if (facts.Call is not { } call) return trace;
        // A proxy that denies a call responds just as an application would.
        var isDenied = call.Status is 401 or 403 && (trace.Hops.Any(hop => hop.Problem?.Code == "ISM2064") || facts.Sightings.All.Any(sighting => sighting.Details.StartsWith("rbac_access_denied", StringComparison.Ordinal)));
        if (call.Answered && call.Status < 500 && !isDenied)
        {
            return Append(Soften(trace, call), HopStatus.Ok, call, null);
        }
        if (trace.Failure is not null) return Append(trace, HopStatus.Failed, call, null);
        if (trace.Hops.Any(hop => hop.Status == HopStatus.Warning && hop.Problem is { } problem && Explaining.Contains(problem.Code))) return Append(Promote(trace, null), HopStatus.Failed, call, null);
        return Append(trace, HopStatus.Failed, call, Blame(facts, trace, call));
    }

    /// <summary>Turns a warning into the failure when it explains the failure after it.</summary>
    private static CallTrace Promote(CallTrace trace, Hop? failure)
    {
        var hops = trace.Hops.ToList();
        var before = failure is null ? hops.Count : hops.IndexOf(failure);
        var at = hops.FindIndex(0, before, hop => hop.Status == HopStatus.Warning && (failure is null || hop.Way == 0 || hop.Way == failure.Way) && hop.Problem is { } problem && Explaining.Contains(problem.Code));
        if (at < 0) return trace;
        hops[at] = hops[at] with { Status = HopStatus.Failed, Problem = hops[at].Problem! with { Severity = Severity.Error } };
        return trace with { Hops = hops.ToValueList() };
    }

    /// <summary>The call got through, so no failure stops every call. Paths that the call did not take may still be
    /// broken.</summary>
    private static CallTrace Soften(CallTrace trace, MadeCall call)
    {
        var taken = trace.Ways.ToList().FindIndex(way => call.Upstream.Length > 0 && way.Title.Contains(call.Upstream, StringComparison.Ordinal)) + 1;
        return trace with
        {
            Hops = trace.Hops.Select(hop => hop.Status == HopStatus.Failed && ((hop.Way == 0 && hop.Name is not ("cluster" or "endpoints")) || (hop.Way > 0 && (hop.Way == taken || trace.Ways.Count == 1)))
                ? hop with { Status = HopStatus.Warning } : hop).ToValueList(),
        };
    }

    private static CallTrace Append(CallTrace trace, HopStatus status, MadeCall call, Problem? problem)
    {
        var said = call.Status > 0 ? $"{call.Status}" : call.Answered ? "connected" : call.Detail.Length > 0 ? call.Detail : "no answer";
        var details = new List<Fact>();
        if (call.Upstream.Length > 0) details.Add(new("went to", call.Upstream));
        if (call.Flags is { Length: > 0 } and not "-") details.Add(new("flags", call.Flags));
        if (call.Status > 0 && call.Detail.Length > 0) details.Add(new("detail", call.Detail));
        return trace with { Hops = trace.Hops.Append(new("call", 0, status, FormattableString.Invariant($"{call.What} → {said} in {call.Milliseconds:0.#} ms"), details.ToValueList(), problem)).ToValueList() };
    }

    /// <summary>The configuration is correct and the call failed: the proxy that saw the failure shows where.</summary>
    private static Problem Blame(TraceFacts facts, CallTrace trace, MadeCall call)
    {
        var callee = facts.Sightings.All.FirstOrDefault(sighting => sighting.IsRequest);
        if (callee is { Flags: "-" } && call.Status >= 500)
            return Faults.Of("ISM2073", callee.Proxy.ToString(), "", $"its application responded with status {call.Status}: the call arrived, and the mesh worked", $"kubectl --context={callee.Proxy.Context} -n {callee.Proxy.Namespace} logs {callee.Proxy.Name}");
        if (callee is { } seen)
            return Faults.Of("ISM2074", seen.Proxy.ToString(), "", $"its proxy could not hand the call to the application: {seen.Flags} {seen.TransportFailure} {seen.Details}".TrimEnd(), $"kubectl --context={seen.Proxy.Context} -n {seen.Proxy.Namespace} logs {seen.Proxy.Name}");
        var way = trace.Ways.FirstOrDefault(candidate => call.Upstream.Length > 0 && candidate.Title.Contains(call.Upstream, StringComparison.Ordinal));
        // A connection that hangs has no address yet. With only one path, it must be on that one.
        if (call.Upstream.Length == 0 && trace.Ways.Where(candidate => candidate.Percent > 0).ToList() is [var only]) way = only;
        var where = way is null ? call.Upstream.Length > 0 ? $"address {call.Upstream}" : facts.Client.ToString() : way.Title;
        if (call.Status >= 500 && call.Flags is "-" or "")
            return Faults.Of("ISM2073", where, "", $"responded with status {call.Status}", "check the application there");
        var gateway = facts.Sightings.All.FirstOrDefault(sighting => !sighting.IsRequest && sighting.Flags is not "-");
        if (gateway is not null)
            return Faults.Of("ISM2075", gateway.Proxy.ToString(), "", $"could not reach {gateway.Upstream}: {gateway.Flags} {gateway.TransportFailure}".TrimEnd(), "check the Pod there, and the network in between");
        return Faults.Of("ISM2076", where, "", $"{facts.Client} did not get through: {$"{call.Flags} {call.Detail}".Trim()}{(facts.Sightings.All.Count == 0 ? "; no proxy on the path saw the call" : "")}",
            "the configuration is correct on the whole path: check the network in between, and firewalls");
    }
}

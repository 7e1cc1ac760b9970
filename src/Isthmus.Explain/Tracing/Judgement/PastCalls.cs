using System.Globalization;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Reports;

namespace Isthmus.Explain.Tracing.Judgement;

/// <summary>What the proxy of a gateway saw of calls of clients outside a moment ago: no trace makes such a call.</summary>
internal static class PastCalls
{
    /// <summary>Connections to an endpoint failed, or ended without an answer.</summary>
    private const string Code = "ISM2132";

    /// <summary>A hop that may be wrong is, where calls failed as it would make them; other failures are a warning, since they may be over.</summary>
    public static CallTrace In(TracedCall traced, CallTrace trace)
    {
        if (traced.Facts is not { Entry: not null, Call: null } facts || trace.Failure is not null || traced.Sidecar is not { Failures: [_, ..] failures })
            return trace;
        var clusters = trace.Hops.Where(hop => hop.Name == "cluster").Select(hop => hop.Summary).ToHashSet();
        var hops = trace.Hops.ToList();
        foreach (var (index, way) in trace.Ways.Index().Where(one => one.Item.Percent > 0))
        {
            // An answer of 5xx may be that of another path.
            if (failures.FirstOrDefault(one => one.Flag is "UC" or "UPE" or "UF" or "UT" && clusters.Contains(one.Cluster) && way.Names(one.Address))
                is not { } last)
                continue;
            var at = last.Flag is "UF" or "UT" ? -1 : hops.FindIndex(hop => hop.Way == index + 1 && hop is { Status: HopStatus.Unknown, Problem: not null });
            if (at >= 0) hops[at] = hops[at] with { Status = HopStatus.Failed, Problem = Certain(hops[at].Problem!, last) };
            else hops.Add(Late(traced, trace, last) is { } late
                ? new("last call", index + 1, HopStatus.Warning, $"failed {Told(last)}", default, late) : Unexplained(facts, index + 1, last));
        }
        return trace with { Hops = hops.ToValueList() };
    }

    private static Problem Certain(Problem problem, FailureReport last) =>
        problem with { Severity = Severity.Error, Message = $"{problem.Message}; the last call of this gateway there failed {Told(last)}" };

    /// <summary>The route that gave up; null where a call failed otherwise, or no route has a limit.</summary>
    private static Problem? Late(TracedCall traced, CallTrace trace, FailureReport last) => last.Flag == "UT"
        && new CallBlame(traced, trace, new("", false, 504, 0, last.Address, last.Flag, "", [])).Find() is { Code: Faults.GaveUp } cause
        ? cause with { Severity = Severity.Warning, Message = $"{cause.Message}; that was {last.SecondsAgo} s ago, for the last call of this gateway there" }
        : null;

    private static Hop Unexplained(TraceFacts facts, int way, FailureReport last) => new("last call", way, HopStatus.Warning, $"failed {Told(last)}", default,
        Faults.Of(Code, facts.Client.ToString(), "", $"its last call to {last.Address} failed {Told(last)}, and none has got through since",
            $"kubectl --context={facts.Client.Context} -n {facts.Client.Namespace} logs {facts.Client.Name}") with { Severity = Severity.Warning });

    private static string Told(FailureReport last) =>
        string.Create(CultureInfo.InvariantCulture, $"{last.SecondsAgo} s ago ({$"{last.Flag} {last.Reason}".TrimEnd()})");
}

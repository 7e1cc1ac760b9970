using System.Globalization;
using System.Net;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Inventory;

namespace Isthmus.Explain.Tracing.Judgement;

/// <summary>What came of the same call, made several times: how many fail, and whether Pods answer it differently.</summary>
internal static class RepeatedCalls
{
    /// <summary>The name of the hop.</summary>
    public const string Hop = "calls";

    /// <summary>Pods of one host answer the same call differently.</summary>
    private const string Code = "ISM2172";

    /// <summary>Enough to come to each of two Pods in all likelihood.</summary>
    private const int Usual = 5;

    /// <summary>How often to repeat a call without being asked: one whose answer may be that of one Pod only, and that changes nothing where it arrives
    /// (RFC 9110, 9.2.1).</summary>
    public static int Wanted(TraceFacts facts, WantedCall called) =>
        facts.Call is { Answered: true, IsAnsweredByCaller: false, Status: >= 400 } && called is { Method: "GET" or "HEAD", IsWebSocket: false, Sent.Body: "" }
            ? Usual : 0;

    /// <summary>By which of several calls to choose the one to explain.</summary>
    public static int Badness(MadeCall call) => !call.Answered ? 3 : CallJudgement.IsFailure(call) ? 2 : call.Status >= 400 ? 1 : 0;

    public static CallTrace Tell(CallTrace trace, TraceFacts facts)
    {
        var said = facts.Outcomes.GroupBy(one => CallJudgement.Said(one.Call)).OrderByDescending(group => group.Count()).ToList();
        if (said.Count == 0 || (said.Count == 1 && facts.Outcomes.Count <= Usual + 1)) return trace;
        // What is wrong on the way explains answers that differ better than the Pods do.
        var differ = trace.Failure is null or { Problem.Code: "ISM2073" } ? Differ(facts) : null;
        var isMixed = facts.Outcomes.Any(one => IsError(one.Call)) && !facts.Outcomes.All(one => IsError(one.Call));
        return trace with
        {
            Hops = trace.Hops.Append(new(Hop, 0, isMixed ? HopStatus.Warning : HopStatus.Ok,
                $"{Counted.Of(facts.Outcomes.Count, "call")}: {string.Join(", ", said.Select(group => $"{Number(group.Count())} → {group.Key}"))}", default,
                differ)).ToValueList(),
        };
    }

    /// <summary>A Pod that fails whenever it is called, beside one that never does; null where there is none.</summary>
    private static Problem? Differ(TraceFacts facts)
    {
        var pods = facts.Outcomes.Select(one => (one.Call, By: AnsweredBy(facts, one))).Where(one => one.By is not null)
            .GroupBy(one => one.By!.Value, one => one.Call).ToList();
        if (pods.Find(calls => calls.All(IsError)) is not { } bad || pods.Find(calls => !calls.Any(IsError)) is not { } good) return null;
        var said = CallJudgement.Said(bad.First());
        return Faults.Of(Code, bad.Key.ToString(), "", $"answers this call with {said}, and {good.Key} with "
            + $"{CallJudgement.Said(good.First())}{Difference(PodOf(facts, bad.Key), PodOf(facts, good.Key))}: which of them callers get is chance",
            "let them be of one version; until then, lead such calls to a subset (DestinationRule spec.subsets) of the Pods that serve them") with
        {
            Severity = Severity.Warning,
        };
    }

    private static bool IsError(MadeCall call) => Badness(call) > 0;

    /// <summary>The Pod whose proxy saw the request last, or whose address was called; null where nobody knows.</summary>
    private static PodRef? AnsweredBy(TraceFacts facts, CallOutcome outcome)
    {
        if (outcome.Sightings.Last(facts.IsGateway) is { } seen) return facts.IsGateway(seen.Proxy) ? null : seen.Proxy;
        return IPEndPoint.TryParse(outcome.Call.Upstream, out var at) && facts.Home.PodAt(at.Address.ToString()) is { } pod
            ? new(facts.Home.Context, pod.Metadata.Namespace, pod.Metadata.Name) : null;
    }

    private static Pod? PodOf(TraceFacts facts, PodRef pod) => facts.Clusters.First(cluster => cluster.Context == pod.Context).Pods
        .FirstOrDefault(one => one.Metadata.Name == pod.Name && one.Metadata.Namespace == pod.Namespace);

    /// <summary>In what two Pods of one application differ that may be why.</summary>
    private static string Difference(Pod? bad, Pod? good)
    {
        if (bad is null || good is null) return "";
        foreach (var label in (string[])["version", "app.kubernetes.io/version"])
            if (bad.Metadata.Labels.GetValueOrDefault(label, "") is var one && good.Metadata.Labels.GetValueOrDefault(label, "") is var other && one != other)
                return $" (label {label} is {Shown(one)} and {Shown(other)})";
        return Image(bad) != Image(good) ? $" (their images are {Image(bad)} and {Image(good)})" : "";
    }

    private static string Image(Pod pod) => pod.Spec.Containers.FirstOrDefault(container => !ServicePods.IsOfMesh(container))?.Image ?? "";

    private static string Shown(string value) => value.Length > 0 ? value : "missing";

    private static string Number(int count) => count.ToString(CultureInfo.InvariantCulture);
}

using System.Globalization;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Reports;

namespace Isthmus.Explain.Tracing.Judgement;

/// <summary>What the application that was called called itself, as its own proxy remembers: an error of it may only follow from that.</summary>
internal static class OnwardCalls
{
    /// <summary>The Pods whose application answered the call with an error.</summary>
    public static IEnumerable<PodRef> Asked(TraceFacts facts) =>
        facts.Call is { } call && CallJudgement.IsFailure(call) && facts.Sightings.Last(facts.IsGateway) is { Flags: "-" } seen && !facts.IsGateway(seen.Proxy)
            ? [seen.Proxy] : [];

    /// <summary>Adds the last of these calls that failed, with the command that follows it.</summary>
    public static Problem Tell(TraceFacts facts, PodRef callee, Problem problem)
    {
        // The time of others says nothing: what failed a moment ago is the likeliest.
        var last = facts.Proxies.GetValueOrDefault(callee)?.Failures.Where(one => Called(one).Length > 0).OrderBy(one => one.SecondsAgo).FirstOrDefault();
        return last is null ? problem : problem with
        {
            Message = $"{problem.Message}. Its own last call of {Called(last)}{(last.Address.Length > 0 ? $" at {last.Address}" : "")} failed "
                + $"{last.SecondsAgo.ToString(CultureInfo.InvariantCulture)} s ago ({Told(last)}), and this may be why",
            Remedy = $"isthmus trace {callee.Name}.{callee.Namespace} {Called(last)} --context={callee.Context}; what the application says: {problem.Remedy}",
        };
    }

    /// <summary>The host and port of the cluster of a call; empty for one of the proxy to its own application.</summary>
    private static string Called(FailureReport failure) =>
        failure.Cluster.Split('|') is ["outbound", var port, _, { Length: > 0 } host] ? $"{host}:{port}" : "";

    private static string Told(FailureReport failure) => failure.Flag == "UH" ? "UH: no healthy endpoint"
        : failure.Status > 0 ? $"status {failure.Status.ToString(CultureInfo.InvariantCulture)}" : $"{failure.Flag} {failure.Reason}".TrimEnd();
}

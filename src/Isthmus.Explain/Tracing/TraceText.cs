using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Judgement;
using Isthmus.Explain.Tracing.Steps;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Diagnose.History;

namespace Isthmus.Explain.Tracing;

/// <summary>Shows a trace to people and to programs.</summary>
public static class TraceText
{
    /// <param name="details">Whether to also show details of hops without problems.</param>
    public static string Write(CallTrace trace, bool details)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{trace.Client} in {trace.Cluster} → {trace.Target}\n\n");
        var width = trace.Hops.Select(hop => hop.Name.Length).DefaultIfEmpty(0).Max() + 2;
        var before = trace.Hops.TakeWhile(hop => hop.Name != "call").Where(hop => hop.Way == 0);
        foreach (var hop in before) Write(text, hop, "", width, details, trace.Failure);
        for (var way = 1; way <= trace.Ways.Count; way++)
        {
            var last = way == trace.Ways.Count;
            var share = trace.Ways[way - 1].Percent;
            text.Append(CultureInfo.InvariantCulture, $"  {(last ? "└" : "├")}─ {(share > 0 ? $"{share} %: " : "")}{trace.Ways[way - 1].Title}\n");
            foreach (var hop in trace.Hops.Where(hop => hop.Way == way)) Write(text, hop, last ? "     " : "  │  ", width, details, trace.Failure);
        }
        foreach (var hop in trace.Hops.Where(hop => hop.Name == "call")) Write(text, hop, "", width, details, trace.Failure);
        if (trace.Call is { Times.IsEmpty: false } call)
            foreach (var time in call.Times)
                text.Append(CultureInfo.InvariantCulture, $"  {new string(' ', width)}{time.Milliseconds,8:0.0} ms  {time.Where}: {time.What}\n");
        foreach (var hop in trace.Hops.Where(hop => hop.Name == RepeatedCalls.Hop)) Write(text, hop, "", width, details, trace.Failure);
        Addresses(text, trace);
        Conclude(text, trace);
        Recent(text, trace);
        if (!trace.Unread.IsEmpty)
            text.Append(CultureInfo.InvariantCulture, $"\nNot looked at, because they cannot be read: {string.Join("; ", trace.Unread)}\n");
        return text.ToString();
    }

    public static JsonObject Tree(CallTrace trace)
    {
        var tree = new JsonObject
        {
            ["client"] = trace.Client, ["cluster"] = trace.Cluster, ["target"] = trace.Target, ["succeeds"] = trace.Succeeds,
            ["hops"] = new JsonArray([.. trace.Hops.Select(hop => (JsonNode)Tree(hop))]),
            ["ways"] = new JsonArray([.. trace.Ways.Select(way => (JsonNode)new JsonObject { ["title"] = way.Title, ["percent"] = way.Percent })]),
        };
        if (trace.Failure is { } failure) tree["verdict"] = Verdict(trace, failure);
        if (trace.Failure?.Problem is { } problem) tree["cause"] = Tree(problem);
        if (!trace.Addresses.IsEmpty)
        {
            tree["addresses"] = new JsonArray([.. trace.Addresses.Select(verdict => (JsonNode)Tree(verdict))]);
            tree["address"] = trace.Address;
            if (trace.Unfollowed > 0) tree["addresses_not_followed"] = trace.Unfollowed;
        }
        if (!trace.Unread.IsEmpty) tree["unread"] = new JsonArray([.. trace.Unread.Select(line => (JsonNode)line)]);
        if (!trace.Changes.IsEmpty) tree["changes"] = new JsonArray([.. trace.Changes.Select(change => (JsonNode)HistoryTree.Of(change))]);
        if (trace.Call is { } call) tree["call"] = Tree(call);
        return tree;
    }

    private static JsonObject Tree(AddressVerdict verdict)
    {
        var tree = new JsonObject { ["address"] = verdict.Address, ["succeeds"] = verdict.Succeeds, ["warnings"] = verdict.Warnings };
        if (verdict.Hop.Length > 0) tree["hop"] = verdict.Hop;
        if (verdict.Problem is { } problem) tree["cause"] = Tree(problem);
        if (verdict.Call is { } call) tree["call"] = Tree(call);
        return tree;
    }

    private static JsonObject Tree(MadeCall call)
    {
        var tree = Answer(call);
        if (call.Shown is [var leaf, ..])
            tree["certificate"] = new JsonObject
            {
                ["subject"] = leaf.Subject, ["issuer"] = leaf.Issuer, ["not_before"] = Time(leaf.NotBefore), ["not_after"] = Time(leaf.NotAfter),
                ["names"] = new JsonArray([.. RefusedCertificate.NamesOf(leaf).Select(name => (JsonNode)name)]),
                ["refused_by_clients_that_check"] = call.IsUnchecked,
            };
        return tree;

        static string Time(DateTime time) => time.ToUniversalTime().ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
    }

    private static JsonObject Answer(MadeCall call) => new()
    {
        ["what"] = call.What, ["answered"] = call.Answered, ["status"] = call.Status, ["milliseconds"] = call.Milliseconds, ["upstream"] = call.Upstream,
        ["flags"] = call.Flags, ["detail"] = call.Detail,
        ["times"] = new JsonArray([.. call.Times.Select(time => (JsonNode)new JsonObject
        {
            ["where"] = time.Where, ["milliseconds"] = time.Milliseconds, ["what"] = time.What
        })]),
    };

    private static JsonObject Tree(Hop hop)
    {
        var tree = new JsonObject { ["hop"] = hop.Name, ["way"] = hop.Way, ["status"] = hop.Status.ToString().ToLowerInvariant(), ["summary"] = hop.Summary };
        if (!hop.Facts.IsEmpty)
            tree["facts"] = new JsonArray([.. hop.Facts.Select(fact => (JsonNode)new JsonObject { ["name"] = fact.Name, ["value"] = fact.Value })]);
        if (hop.Problem is { } problem) tree["problem"] = Tree(problem);
        return tree;
    }

    private static JsonObject Tree(Problem problem) => new()
    {
        ["code"] = problem.Code, ["object"] = problem.Object, ["field"] = problem.Path, ["message"] = problem.Message, ["remedy"] = problem.Remedy,
    };

    private static void Write(StringBuilder text, Hop hop, string indent, int width, bool details, Hop? failure)
    {
        var mark = hop.Status switch { HopStatus.Ok => "✔", HopStatus.Warning => "!", HopStatus.Failed => "✘", _ => "?" };
        text.Append(CultureInfo.InvariantCulture, $"{indent}{mark} {hop.Name.PadRight(width)}{hop.Summary}\n");
        var margin = indent + new string(' ', width + 2);
        if (details || hop.Status is HopStatus.Failed or HopStatus.Warning)
            foreach (var fact in hop.Facts) text.Append(CultureInfo.InvariantCulture, $"{margin}{fact.Name}: {fact.Value}\n");
        if (hop.Problem is { } problem && !ReferenceEquals(hop, failure))
            text.Append(CultureInfo.InvariantCulture, $"{margin}{problem.Code} {Sentence(problem)}\n");
    }

    /// <summary>One line for each address of a name that has several.</summary>
    private static void Addresses(StringBuilder text, CallTrace trace)
    {
        if (trace.Addresses.IsEmpty) return;
        text.Append(CultureInfo.InvariantCulture,
            $"\nThe name has {trace.Addresses.Count + trace.Unfollowed} addresses; the hops above are those of {trace.Address}:\n");
        var width = trace.Addresses.Max(verdict => verdict.Address.Length) + 2;
        foreach (var verdict in trace.Addresses)
        {
            var mark = !verdict.Succeeds ? "✘" : verdict.Warnings > 0 ? "!" : "✔";
            var said = verdict.Call is { } call
                ? FormattableString.Invariant($"{CallJudgement.Said(call)} in {call.Milliseconds:0.#} ms")
                : verdict.Succeeds
                ? "the call would get through"
                : "";
            var why = verdict.Hop.Length == 0
                ? ""
                : $"{(said.Length > 0 ? "; " : "")}fails at: "
                    + $"{Place(verdict.Hop)}{(verdict.Problem is { } problem ? $", {problem.Object}: {problem.Message} ({problem.Code})" : "")}";
            text.Append(CultureInfo.InvariantCulture, $"  {mark} {verdict.Address.PadRight(width)}{said}{why}\n");
        }
        if (trace.Unfollowed > 0) text.Append(CultureInfo.InvariantCulture, $"  ? {trace.Unfollowed} more: not followed\n");
    }

    private static void Conclude(StringBuilder text, CallTrace trace)
    {
        text.Append('\n');
        if (trace.Failure is not { } failure)
        {
            var unknown = trace.Call is null ? trace.Hops.Count(hop => hop is { Status: HopStatus.Unknown, Name: not "call", IsUnreached: false }) : 0;
            text.Append(unknown > 0 ? $"? The configuration shows no failure, but {unknown} hop{(unknown == 1 ? " is" : "s are")} not known: see above."
                : trace.Call is null ? "✔ The call would get through; it was not made."
                // The trace is such a client.
                : trace.Call.IsUnchecked ? "✔ The call gets through for clients that do not check certificates." : "✔ The call gets through.");
            // A delay is what the caller notices, so it belongs to the verdict.
            foreach (var delay in trace.Hops.Select(hop => hop.Problem).Where(problem => problem?.Code == OutboundStep.Delayed))
                text.Append(CultureInfo.InvariantCulture, $" {delay!.Object} {delay.Message}.");
            var warnings = trace.Hops.Count(hop => hop.Status == HopStatus.Warning);
            text.Append(warnings == 0 ? "\n" : $" {Counted.Of(warnings, "warning")}: see above.\n");
            return;
        }
        text.Append(CultureInfo.InvariantCulture,
            $"✘ {Verdict(trace, failure)}{(failure.Way > 0 ? $", {trace.Ways[failure.Way - 1].Title}" : "")}"
                + $"{(trace.Addresses.IsEmpty ? "" : $" ({trace.Addresses.Count(verdict => !verdict.Succeeds)} of {trace.Addresses.Count} addresses)")}\n");
        if (failure.Problem is not { } problem) return;
        text.Append(CultureInfo.InvariantCulture, $"  object  {problem.Object}\n");
        if (problem.Path.Length > 0) text.Append(CultureInfo.InvariantCulture, $"  field   {problem.Path}\n");
        text.Append(CultureInfo.InvariantCulture, $"  cause   {problem.Message} ({problem.Code})\n");
        if (problem.Remedy.Length > 0) text.Append(CultureInfo.InvariantCulture, $"  remedy  {problem.Remedy}\n");
    }

    /// <summary>The call that was made may have taken another way than those that fail.</summary>
    private static string Verdict(CallTrace trace, Hop failure)
    {
        var got = trace.Call is { Answered: true } made && !CallJudgement.IsFailure(made)
            && trace.Hops.Any(hop => hop is { Name: "call", Status: HopStatus.Ok });
        var share = failure is { Way: 0, Name: "cluster" or "endpoints" }
            ? trace.Hops.Take(trace.Hops.ToList().IndexOf(failure) + 1).LastOrDefault(hop => hop.Name == "cluster")?.Facts
                .FirstOrDefault(fact => fact.Name == HopFacts.ShareFact)?.Value ?? ""
            : got && failure.Way > 0 && trace.Ways[failure.Way - 1].Percent is > 0 and < 100 and var percent
            ? string.Create(CultureInfo.InvariantCulture, $"{percent} %") : "";
        var which = got ? $"{(share.Length > 0 ? share : "Some")} of the calls fail, although the one that was made got through, at"
            : share.Length > 0 ? $"{share} of the calls fail at" : "The call fails at";
        return $"{which}: {Place(failure.Name)}";
    }

    /// <summary>What proxies call a cluster is a group of endpoints, not a cluster of Kubernetes.</summary>
    private static string Place(string hop) => hop == "cluster" ? "cluster (Envoy's)" : hop;

    private static void Recent(StringBuilder text, CallTrace trace)
    {
        if (trace.Changes.IsEmpty) return;
        text.Append("\nShortly before:\n");
        foreach (var change in trace.Changes)
        {
            var by = change.By.Length > 0 ? $", by {change.By}" : "";
            var did = change.ReadyEndpoints is not null || change.Secret.Length > 0 ? $", {change.Effect}" : change.Cause.Length > 0 ? $": {change.Cause}" : "";
            text.Append(CultureInfo.InvariantCulture,
                $"  {change.Verb} {EndpointSources.Ago(change.Last, trace.At)}: "
                    + $"{change.Object}{(change.Cluster.Length > 0 ? $" in {change.Cluster}" : "")}{by}{did}\n");
        }
        text.Append("  Run 'isthmus history' for all changes.\n");
    }

    private static string Sentence(Problem problem) =>
        $"{problem.Object}{(problem.Path.Length > 0 ? $", {problem.Path}" : "")}: {problem.Message}{(problem.Remedy.Length > 0 ? $" ({problem.Remedy})" : "")}";
}

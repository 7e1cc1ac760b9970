using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Steps;
using Isthmus.Mesh.Model;

namespace Isthmus.Explain.Tracing.Judgement;

/// <summary>A call of a page of another origin (Fetch standard): whatever the answer, browsers keep it from the page unless the route permits the
/// origin.</summary>
internal static class CrossOrigins
{
    public const string Code = "ISM2173";

    public static CallTrace Tell(CallTrace trace, TraceFacts facts)
    {
        var at = trace.Hops.ToList().FindIndex(hop => hop is { Name: "route", Status: HopStatus.Ok });
        if (at < 0 || facts.Sent.Headers.FirstOrDefault(header => header.Name == "origin")?.Value is not { } origin) return trace;
        var config = facts.ConfigOf(facts.Home);
        foreach (var fact in trace.Hops[at].Facts)
        {
            var (owner, policies) = fact.Name switch
            {
                HopFacts.RuleFact => ($"VirtualService {fact.Value}", (config.Istio<VirtualService>()
                    .FirstOrDefault(one => $"{one.Namespace}/{one.Name}" == fact.Value)?.Http ?? default).Index()
                    .Select(route => (route.Item.Cors, Field: $"spec.http[{route.Index}].corsPolicy.allowOrigins"))),
                HopFacts.ApiRuleFact => (fact.Value, (config.ApiRoutes
                    .FirstOrDefault(one => $"{one.Source.Kind} {one.Namespace}/{one.Name}" == fact.Value)?.Rules ?? default).Index()
                    .Select(rule => (rule.Item.Filters.Cors, Field: $"spec.rules[{rule.Index}].filters[*].cors.allowOrigins"))),
                _ => ("", []),
            };
            var having = policies.Where(one => one.Cors is not null).Select(one => (Cors: one.Cors!, one.Field)).ToList();
            // Which of several routes took the call is not known here: one that permits the origin may have.
            if (having is not [var (cors, field), ..] || having.Exists(one => one.Cors.Origins.Any(match => RouteMiss.IsMatch(match, origin, false)))) continue;
            var problem = Faults.Of(Code, $"{owner} in {config.Context}", field,
                $"{(cors.Origins.IsEmpty ? "is empty" : $"has {string.Join(", ", cors.Origins.Select(match => match.Value))}")}, and the call comes from a "
                    + $"page of {origin}: browsers keep the answer from that page", $"add {origin} there") with { Severity = Severity.Warning };
            var hops = trace.Hops.ToList();
            hops[at] = hops[at] with { Status = HopStatus.Warning, Problem = problem };
            return trace with { Hops = hops.ToValueList() };
        }
        return trace;
    }
}

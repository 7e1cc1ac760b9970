using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve.GatewayApi;
using Isthmus.Operate.Diagnose;

namespace Isthmus.Explain.Tracing.Judgement;

/// <summary>
/// Problems name fields as a rule or a route has them: here they get the place in the object. The same setting may be in the policy of a subset or of a port,
/// in another DestinationRule of the host, and in one of many routes.
/// </summary>
internal sealed class ExactFields(TraceFacts facts)
{
    private const string Policy = "spec.trafficPolicy.", Rule = "DestinationRule ", Http = "spec.http[*].", Rules = "spec.rules[*]";

    private readonly CallerConfig _config = new(facts);

    public CallTrace In(CallTrace trace) => trace with
    {
        Hops = PlacedHop.Of(trace).Select(placed => placed.Hop.Problem is { } problem
            ? placed.Hop with { Problem = Exact(problem, placed.Cluster, placed.Route) } : placed.Hop).ToValueList(),
    };

    private Problem Exact(Problem problem, string cluster, string route)
    {
        if (!problem.Object.EndsWith($" in {_config.At.Context}", StringComparison.Ordinal)) return problem;
        if (problem.Path.StartsWith(Policy, StringComparison.Ordinal) && problem.Object.StartsWith(Rule, StringComparison.Ordinal))
            return OfRule(problem, cluster);
        var at = problem.Path.StartsWith(Http, StringComparison.Ordinal) ? IndexOfRoute(problem, route)
            : problem.Path.StartsWith(Rules, StringComparison.Ordinal) ? IndexOfRule(problem, route) : -1;
        var star = problem.Path.IndexOf('*', StringComparison.Ordinal);
        return at < 0 ? problem : problem with { Path = $"{problem.Path[..star]}{at}{problem.Path[(star + 1)..]}" };
    }

    private Problem OfRule(Problem problem, string cluster)
    {
        var (_, text, subset, fqdn) = ProxyTables.Split(cluster);
        var (port, field) = (int.TryParse(text, out var number) ? number : 0, problem.Path[Policy.Length..]);
        var setting = field.Split('.')[0];
        var named = _config.At.Istio<DestinationRule>().Where(rule => problem.Object == NameOf(rule)).ToList();
        // Rules of one host are one for proxies, which name the first.
        var all = facts.Host(fqdn) is { } host ? named.Concat(_config.RulesFor(host)).Distinct() : named;
        foreach (var rule in all)
            if (PlaceOf(rule, setting, port, subset) is { } place)
                return problem with
                {
                    Object = NameOf(rule), Path = $"{place}.{field}",
                    Remedy = problem.Remedy.Replace($"trafficPolicy.{setting}", $"{place["spec.".Length..]}.{setting}", StringComparison.Ordinal),
                };
        return problem;
    }

    private string NameOf(DestinationRule rule) => $"{Rule}{rule.Namespace}/{rule.Name} in {_config.At.Context}";

    /// <summary>The path of the policy that has a setting for a port of a subset; null when none has. A port's settings take the place of all others.</summary>
    private static string? PlaceOf(DestinationRule rule, string setting, int port, string subset)
    {
        var index = rule.Subsets.ToList().FindIndex(one => one.Name == subset);
        foreach (var (path, policy) in ((string, TrafficPolicy?)[])
            [($"spec.subsets[{index}].trafficPolicy", index < 0 ? null : rule.Subsets[index].Policy), ("spec.trafficPolicy", rule.Policy)])
        {
            if (policy is null) continue;
            var own = policy.Ports.ToList().FindIndex(one => one.Port == port);
            if (Has(own < 0 ? policy : policy.Ports[own].Policy, setting)) return own < 0 ? path : $"{path}.portLevelSettings[{own}]";
        }
        return null;
    }

    private static bool Has(TrafficPolicy policy, string setting) => setting switch
    {
        "tls" => policy.Tls is not null,
        "connectionPool" => policy.Pool is not null,
        "loadBalancer" => policy.Balancing is not null,
        "outlierDetection" => policy.Outlier is not null,
        _ => false,
    };

    /// <summary>The route that a problem is about: the one with the name that proxies have, or the only one with the setting; -1 when nobody knows.</summary>
    private int IndexOfRoute(Problem problem, string route)
    {
        var service = _config.At.Istio<VirtualService>().FirstOrDefault(one =>
            problem.Object == $"VirtualService {one.Namespace}/{one.Name} in {_config.At.Context}");
        var routes = (service?.Http ?? default).Index().ToList();
        var named = routes.Where(one => one.Item.Name.Length > 0 && (route == one.Item.Name || route.StartsWith($"{one.Item.Name}.", StringComparison.Ordinal)))
            .ToList();
        if (named is [var only]) return only.Index;
        return routes.Where(one => Has(one.Item, problem.Path[Http.Length..])).ToList() is [var one] ? one.Index : -1;
    }

    private static bool Has(HttpRoute route, string field) => field switch
    {
        "fault.abort" => route.Fault?.Abort is not null,
        "fault.delay" => route.Fault?.Delay is not null,
        "timeout" => route.Timeout is not null,
        "retries.perTryTimeout" => route.Retries?.PerTryTimeout is not null,
        "directResponse" => route.Direct is not null,
        "redirect" => route.Redirect is not null,
        "rewrite" => route.Rewrite is not null,
        _ => false,
    };

    private int IndexOfRule(Problem problem, string name)
    {
        var route = _config.At.ApiRoutes.FirstOrDefault(one => problem.Object == $"{one.Source.Kind} {one.Namespace}/{one.Name} in {_config.At.Context}");
        var found = (route?.Rules ?? default).Index()
            .Where(rule => name == rule.Item.Name || name == RouteConversion.NameOf(route!, rule.Item, rule.Index)).ToList();
        return found is [var only] && name.Length > 0 ? only.Index : -1;
    }
}

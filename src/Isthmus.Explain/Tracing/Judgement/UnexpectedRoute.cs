using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;

namespace Isthmus.Explain.Tracing.Judgement;

/// <summary>The application does not know the path, and the VirtualService that applies has a route that was meant to change it and comes too late, or sends
/// the call to another host than the one that is called.</summary>
internal static class UnexpectedRoute
{
    public const string Code = "ISM2158";

    public static CallTrace Tell(CallTrace trace, MadeCall call, TraceFacts facts) => UnknownPath.Tell(trace, call, hop =>
    {
        var config = facts.ConfigOf(facts.Home);
        var name = hop.Facts.FirstOrDefault(fact => fact.Name == HopFacts.RuleFact)?.Value ?? "";
        return config.Istio<VirtualService>().FirstOrDefault(one => $"{one.Namespace}/{one.Name}" == name) is { } routes
            && (Unused(routes, facts.Target.Path.Length > 0 ? facts.Target.Path : "/") ?? Astray(routes, facts)) is var (field, message, remedy)
            ? Faults.Of(Code, $"VirtualService {name} in {config.Context}", field, message, remedy) : Swapped(trace, hop, facts);
    });

    /// <summary>The route leads to another host than the one that is called, by mistake or on purpose, and that one does not know the path.</summary>
    private static Problem? Swapped(CallTrace trace, Hop hop, TraceFacts facts)
    {
        var owner = hop.Facts.Where(fact => fact.Value.Length > 0).Select(fact => fact.Name switch
        {
            HopFacts.RuleFact => $"VirtualService {fact.Value}", HopFacts.ApiRuleFact => fact.Value, _ => "",
        }).FirstOrDefault(name => name.Length > 0);
        if (owner is null || facts.Entry is not null || facts.Host(facts.Target.Host, facts.Client.Namespace) is not { } called) return null;
        var to = trace.Hops.Where(one => one is { Name: "cluster", Way: 0 }).Select(one => one.Summary.Split('|')).Where(parts => parts.Length == 4)
            .Select(parts => parts[3]).Distinct().ToList();
        return to.Count == 0 || to.Contains(called.Fqdn) ? null
            : Faults.Of(Code, $"{owner} in {facts.ConfigOf(facts.Home).Context}", "", $"leads calls of {called.Fqdn} to {string.Join(" and ", to)}, and the "
                + "application there answers 404", $"if {called.Fqdn} is meant, lead to it; otherwise call a path that the application there has");
    }

    /// <summary>A route comes after one that takes everything.</summary>
    private static (string Field, string Message, string Remedy)? Unused(VirtualService routes, string path)
    {
        var all = routes.Http.ToList();
        var everything = all.FindIndex(route => route.Matches.IsEmpty);
        var meant = everything < 0 ? -1 : all.FindIndex(everything, route => !route.Matches.IsEmpty && CallJudgement.WouldChange(route, path));
        return meant < 0 ? null
            : ($"spec.http[{meant}]", $"is for the path of this call, and is never used: spec.http[{everything}] comes first and has no match, so it takes "
                + "everything, and the answer is 404", $"move it before spec.http[{everything}]");
    }

    /// <summary>All destinations of the routes have another name than the host of the call, which exists.</summary>
    private static (string Field, string Message, string Remedy)? Astray(VirtualService routes, TraceFacts facts)
    {
        if (facts.Entry is not null || facts.Host(facts.Target.Host, facts.Client.Namespace) is not { } called) return null;
        var wide = routes.Hosts.FirstOrDefault(host => host.StartsWith('*') && Hosts.Covers(host, called.Fqdn));
        var isForeign = routes.Namespace != called.Namespace && routes.Namespace != facts.Client.Namespace;
        var to = routes.Http.SelectMany(route => route.Destinations).Select(one => one.Destination.Host).Distinct().ToList();
        if (to.Count == 0 || to.Contains(called.Fqdn)) return null;
        if (wide is not null)
            return ("spec.hosts", $"has {wide}, which covers {called.Fqdn}: calls of it go to {string.Join(", ", to)}, and the answer is 404",
                $"name only the hosts that are meant, if calls of {called.Fqdn} should reach it");
        return !isForeign ? null : ("spec.http[*].route[*].destination.host",
            $"is {string.Join(", ", to)}, to which a VirtualService of namespace {routes.Namespace} leads calls of {called.Fqdn}, and the answer is 404",
            $"if that is not meant for this caller, set exportTo: [.] there, or remove {called.Fqdn} from its hosts");
    }
}

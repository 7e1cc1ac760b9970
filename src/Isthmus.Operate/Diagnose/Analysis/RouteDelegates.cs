using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>VirtualServices that leave routes to another one, which is not there, or not a delegate. Pure.</summary>
public static class RouteDelegates
{
    public static Analyzer Analyzer { get; } = new("virtualservice.DelegateAnalyzer", "Checks that the delegates of VirtualServices exist, and have no hosts",
        [OwnCodes.DelegateNotFound], ["VirtualService"], mesh => mesh.Clusters.SelectMany(Check));

    public static Analyzer Matches { get; } = new("virtualservice.DelegateMatchAnalyzer",
        "Checks that the matches of delegates lie within those of the routes that are left to them", [OwnCodes.DelegateOutside], ["VirtualService"],
        mesh => mesh.Clusters.SelectMany(Outside));

    private static IEnumerable<Finding> Outside(ConfigCluster config) =>
        from inner in config.Cluster.Istio<VirtualService>()
        where inner.Hosts.IsEmpty
        let left = config.Cluster.Istio<VirtualService>().SelectMany(root => root.Http.Index()
            .Where(route => route.Item.Delegate == new ObjectName(inner.Namespace, inner.Name)).Select(route => (Root: root, route.Index, route.Item))).ToList()
        // Of several roots, each may have a part of the delegate.
        where left.Count > 0 && left.TrueForAll(outer => !outer.Item.Matches.IsEmpty)
        from route in inner.Http.Index()
        from match in route.Item.Matches.Index()
        let misfits = left.SelectMany(outer => outer.Item.Matches
            .Select(wide => (outer.Root, outer.Index, Wide: wide, Field: Delegation.Misfit(wide, match.Item)))).ToList()
        where misfits.TrueForAll(misfit => misfit.Field.Length > 0)
        let first = misfits[0]
        let said = Misfitting(first.Root, first.Index, first.Wide, match.Item, first.Field)
        select OwnCodes.DelegateOutside.At(config.Cluster, $"VirtualService {inner.Namespace}/{inner.Name}",
            $"spec.http[{route.Index}].match[{match.Index}].{first.Field}",
            $"{said.Why}: {(route.Item.Matches.Count > 1 ? "this match has no effect" : "the route is left out")}", said.Remedy);

    /// <summary>What is wrong with a match of a delegate that is not within that of its root, and what helps.</summary>
    /// <param name="root">The VirtualService that leaves requests to the delegate.</param>
    /// <param name="index">That of the route of the root.</param>
    /// <param name="outer">The match of that route.</param>
    /// <param name="inner">The match of the delegate.</param>
    /// <param name="field">The one by which it is outside (<see cref="Delegation.Misfit"/>).</param>
    public static (string Why, string Remedy) Misfitting(VirtualService root, int index, HttpMatch outer, HttpMatch inner, string field)
    {
        var asked = Asked(outer, field);
        // What the root asks for applies to whatever the delegate says nothing about.
        var without = Only(inner, field) ? "leave out this match" : $"leave out {field} there";
        // Whether a path is within a regular expression is not decided: no path counts as within it.
        var remedy = field != "uri" || outer.Uri!.Value.Kind == MatchKind.Exact ? $"{without}, or write {asked} there"
            : outer.Uri.Value.Kind == MatchKind.Regex ? without : $"{without}, or write {asked} there, or a longer path that begins so";
        return ($"is {Asked(inner, field)}, which is not within spec.http[{index}].match of VirtualService {root.Namespace}/{root.Name} ({asked}), "
            + "which leaves requests to this delegate", remedy);
    }

    private static string Asked(HttpMatch match, string field) => field switch
    {
        "uri" => Asked(match.Uri),
        "method" => Asked(match.Method),
        "scheme" => Asked(match.Scheme),
        "authority" => Asked(match.Authority),
        _ => $"{match.Port}",
    };

    private static string Asked(StringMatch? match) => $"{match!.Value.Kind.ToString().ToLowerInvariant()} {match.Value.Value}";

    /// <summary>Whether a match asks for nothing but one field.</summary>
    private static bool Only(HttpMatch match, string field) => HttpMatch.Any == (field switch
    {
        "uri" => match with { Uri = null },
        "method" => match with { Method = null },
        "scheme" => match with { Scheme = null },
        "authority" => match with { Authority = null },
        _ => match with { Port = 0 },
    }) with { Name = "", IgnoreUriCase = false, StatPrefix = "" };

    private static IEnumerable<Finding> Check(ConfigCluster config)
    {
        var all = config.Cluster.Written<VirtualService>().ToDictionary(service => new ObjectName(service.Namespace, service.Name));
        return from service in all.Values
               from route in service.Http.Index()
               where route.Item.Delegate is not null
               let name = route.Item.Delegate!.Value
               let wrong = Fault(config, all, name)
               where wrong is not null
               select OwnCodes.DelegateNotFound.At(config.Cluster, $"VirtualService {service.Namespace}/{service.Name}", $"spec.http[{route.Index}].delegate",
                   $"{wrong}, so that requests of this route go on to the next one, or get 404", Remedy(all, name));
    }

    private static string? Fault(ConfigCluster config, Dictionary<ObjectName, VirtualService> all, ObjectName name)
    {
        if (all.TryGetValue(name, out var found))
            return found.Hosts.IsEmpty ? null : $"VirtualService {name.Namespace}/{name.Name} has hosts of its own, and is no delegate";
        // One that is not valid is reported itself.
        return config.Cluster.Find($"VirtualService {name.Namespace}/{name.Name}") is null
            ? $"VirtualService {name.Namespace}/{name.Name} does not exist"
            : null;
    }

    private static string? Remedy(Dictionary<ObjectName, VirtualService> all, ObjectName name)
    {
        if (all.ContainsKey(name)) return "remove spec.hosts and spec.gateways from the delegate";
        var delegates = all.Where(pair => pair.Value.Hosts.IsEmpty).Select(pair => pair.Key).ToList();
        if (delegates.FindIndex(other => other.Name == name.Name) is >= 0 and var elsewhere)
            return $"set delegate.namespace to {delegates[elsewhere].Namespace}, or create the VirtualService";
        return delegates.FindIndex(other => other.Namespace == name.Namespace && Spelling.Distance(other.Name, name.Name) <= 2) is >= 0 and var near
            ? $"did you mean {delegates[near].Name}?" : null;
    }
}

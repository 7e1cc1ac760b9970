using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Routes that nothing reaches, because an earlier route of the VirtualService takes all that they match. Pure.</summary>
public static class UnreachableRoutes
{
    public static Analyzer Analyzer { get; } = new("virtualservice.UnreachableRuleAnalyzer", "Checks for routes of VirtualServices that an earlier route hides",
        [IstioCodes.UnreachableRule, IstioCodes.IneffectiveMatch], ["VirtualService"],
        mesh => mesh.Readable.SelectMany(cluster => cluster.Istio<VirtualService>().SelectMany(service => Check(cluster, service))));

    private static IEnumerable<Finding> Check(ClusterInventory cluster, VirtualService service) =>
    [
        // What a delegate does not match goes on to the next route.
        .. Hidden(cluster, service, "http", [.. service.Http.Select(route => (route.Matches, IsFinal: route.Delegate is null))],
            (wide, narrow) => MatchCover.Covers(wide, narrow, service.Gateways), (wide, narrow) => wide.Uri?.Kind == narrow.Uri?.Kind),
        .. Hidden(cluster, service, "tls", [.. service.Tls.Select(route => (route.Matches, IsFinal: true))], (wide, narrow) =>
            MatchCover.Covers(wide, narrow, service.Gateways), (_, _) => true),
        .. Hidden(cluster, service, "tcp", [.. service.Tcp.Select(route => (route.Matches, IsFinal: true))], (wide, narrow) =>
            MatchCover.Covers(wide, narrow, service.Gateways), (_, _) => true),
    ];

    /// <param name="covers">Whether everything that the second match takes, the first one takes too.</param>
    /// <param name="isAlike">Whether one match of a route is likely to stand beside the other by mistake: <c>/</c> and a path below it may be there for the
    /// reader.</param>
    private static IEnumerable<Finding> Hidden<T>(ClusterInventory cluster, VirtualService service, string kind,
        IReadOnlyList<(ValueList<T> Matches, bool IsFinal)> routes,
        Func<T, T, bool> covers, Func<T, T, bool> isAlike)
    {
        var name = $"VirtualService {service.Namespace}/{service.Name}";
        foreach (var (i, route) in routes.Index())
        {
            var path = $"spec.{kind}[{i}]";
            var earlier = routes.Index().Take(i).Where(other => other.Item.IsFinal).ToList();
            if (earlier.Exists(other => other.Item.Matches.IsEmpty))
            {
                yield return IstioCodes.UnreachableRule.At(cluster, name, path,
                    $"is never used: spec.{kind}[{earlier.Find(other => other.Item.Matches.IsEmpty).Index}] has no match, and takes everything");
                continue;
            }
            var hiding = route.Matches.Select(match => earlier.Where(other => other.Item.Matches.Any(wide => covers(wide, match)))
                .Select(other => (int?)other.Index).FirstOrDefault()).ToList();
            var isUnused = hiding.Count > 0 && hiding.TrueForAll(other => other is not null);
            var isCopy = isUnused && route.Matches.All(match =>
                earlier.Exists(other => other.Item.Matches.Any(wide => covers(wide, match) && covers(match, wide))));
            if (isCopy) yield return IstioCodes.UnreachableRule.At(cluster, name, path, $"is never used: spec.{kind}[{hiding[0]}] takes all that it matches");
            foreach (var (j, other) in hiding.Index())
            {
                if (other is not null)
                    yield return IstioCodes.IneffectiveMatch.At(cluster, name, $"{path}.match[{j}]",
                        $"has no effect: spec.{kind}[{other}] takes all that it matches{(isUnused ? $", and {path} is never used" : "")}",
                        severity: isUnused && !isCopy ? null : Severity.Info);
                else if (route.Matches.Index().Take(j).Where(wide => isAlike(wide.Item, route.Matches[j]) && covers(wide.Item, route.Matches[j]))
                    .Select(wide => (int?)wide.Index).FirstOrDefault() is { } beside)
                    yield return IstioCodes.IneffectiveMatch.At(cluster, name, $"{path}.match[{j}]",
                        $"has no effect: match[{beside}] of the same route takes all that it matches", severity: Severity.Info);
            }
        }
    }
}

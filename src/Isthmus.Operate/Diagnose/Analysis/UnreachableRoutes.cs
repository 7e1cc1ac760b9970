using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Routes that nothing reaches, because an earlier route of the VirtualService takes all that they match. Pure.</summary>
public static class UnreachableRoutes
{
    public static Analyzer Analyzer { get; } = new("virtualservice.UnreachableRuleAnalyzer", "Checks for routes of VirtualServices that an earlier route hides",
        [IstioCodes.UnreachableRule, IstioCodes.IneffectiveMatch], ["VirtualService"], mesh => mesh.Readable.SelectMany(cluster => cluster.Istio<VirtualService>().SelectMany(service => Check(cluster, service))));

    private static IEnumerable<Finding> Check(ClusterInventory cluster, VirtualService service) =>
    [
        // What a delegate does not match goes on to the next route.
        .. Hidden(cluster, service, "http", [.. service.Http.Select(route => (route.Matches, IsFinal: route.Delegate is null))], (wide, narrow) => MatchCover.Covers(wide, narrow, service.Gateways)),
        .. Hidden(cluster, service, "tls", [.. service.Tls.Select(route => (route.Matches, IsFinal: true))], (wide, narrow) => MatchCover.Covers(wide, narrow, service.Gateways)),
        .. Hidden(cluster, service, "tcp", [.. service.Tcp.Select(route => (route.Matches, IsFinal: true))], (wide, narrow) => MatchCover.Covers(wide, narrow, service.Gateways)),
    ];

    private static IEnumerable<Finding> Hidden<T>(ClusterInventory cluster, VirtualService service, string kind, IReadOnlyList<(ValueList<T> Matches, bool IsFinal)> routes, Func<T, T, bool> covers)
    {
        var name = $"VirtualService {service.Namespace}/{service.Name}";
        for (var i = 1; i < routes.Count; i++)
        {
            var path = $"spec.{kind}[{i}]";
            var matches = routes[i].Matches;
            var all = Enumerable.Range(0, i).Where(earlier => routes[earlier].IsFinal && routes[earlier].Matches.IsEmpty).Select(earlier => (int?)earlier).FirstOrDefault();
            if (all is not null)
            {
                yield return IstioCodes.UnreachableRule.At(cluster, name, path, $"is never used: spec.{kind}[{all}] has no match, and takes everything");
                continue;
            }
            var hiding = matches.Select(match => Enumerable.Range(0, i).Where(earlier => routes[earlier].IsFinal && routes[earlier].Matches.Any(wide => covers(wide, match))).Select(earlier => (int?)earlier).FirstOrDefault()).ToList();
            if (hiding.Count > 0 && hiding.TrueForAll(earlier => earlier is not null))
            {
                yield return IstioCodes.UnreachableRule.At(cluster, name, path, $"is never used: spec.{kind}[{hiding[0]}] takes all that it matches");
                continue;
            }
            foreach (var (j, earlier) in hiding.Index().Where(pair => pair.Item is not null))
                yield return IstioCodes.IneffectiveMatch.At(cluster, name, $"{path}.match[{j}]", $"has no effect: spec.{kind}[{earlier}] takes all that it matches");
        }
    }
}

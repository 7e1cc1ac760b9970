using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>DestinationRules of one host that are merged, and parts of them that have no effect because an older rule has its own. Pure.</summary>
public static class RuleConflicts
{
    public static Analyzer Analyzer
    {
        get;
    } = new("destinationrule.ConflictAnalyzer", "Checks for DestinationRules that an older one of the same host hides", [OwnCodes.HiddenDestinationRule],
        ["DestinationRule"], mesh => Check(mesh.Readable));

    public static IEnumerable<Finding> Check(IReadOnlyList<ClusterInventory> clusters) =>
        from cluster in clusters
        from same in cluster.Istio<DestinationRule>().GroupBy(rule => new RuleKey(rule.Namespace, rule.Host))
        let rules = same.OrderBy(rule => rule.CreatedAt).ThenBy(rule => rule.Source).ToList()
        from newer in rules.Index()
        from problem in Hidden(newer.Item, [.. rules.Take(newer.Index).Where(older => older.Absorbs(newer.Item))])
        select new Finding(cluster.Context, problem);

    private static IEnumerable<Problem> Hidden(DestinationRule rule, IReadOnlyList<DestinationRule> older)
    {
        if (rule.Policy != TrafficPolicy.None && older.FirstOrDefault(other => other.Policy != TrafficPolicy.None) is { } policy)
            yield return Problem(rule, "spec.trafficPolicy", policy);
        foreach (var (i, subset) in rule.Subsets.Index())
        {
            if (older.FirstOrDefault(other => other.Subsets.Any(own => own.Name == subset.Name)) is { } owner)
                yield return Problem(rule, $"spec.subsets[{i}]", owner);
        }
    }

    private static Problem Problem(DestinationRule rule, string path, DestinationRule older) => new(
        "ISM1410", $"DestinationRule {rule.Namespace}/{rule.Name}", path,
        $"has no effect: DestinationRule {older.Namespace}/{older.Name} is older, is for the same host {rule.Host}, and has its own",
        "keep the settings of the host in one rule", Severity.Warning);
}

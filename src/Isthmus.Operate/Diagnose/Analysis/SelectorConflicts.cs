using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Sidecars and Telemetries of one namespace of which a workload can have only one. Pure.</summary>
public static class SelectorConflicts
{
    /// <param name="Labels">The field of the selector.</param>
    private sealed record Choice(string Kind, string Namespace, string Name, WorkloadSelector Selector, string Labels, long CreatedAt)
    {
        public string Path => UnmatchedSelectors.Path(Selector, Labels);

        public string FullName => $"{Kind} {Namespace}/{Name}";
    }

    public static Analyzer Sidecars
    {
        get;
    } = new("sidecar.SelectorAnalyzer", "Checks that Sidecars select workloads, and each workload only once",
        [IstioCodes.ReferencedResourceNotFound, IstioCodes.ConflictingSidecars], ["Sidecar", "Pod"], mesh =>
        mesh.Clusters.SelectMany(config => Unmatched(mesh, config, All<Sidecar>(config))
            .Concat(Overlapping(config, All<Sidecar>(config), IstioCodes.ConflictingSidecars))));

    public static Analyzer DefaultSidecars
    {
        get;
    } = new("sidecar.DefaultSelectorAnalyzer", "Checks that a namespace has at most one Sidecar without a selector", [IstioCodes.MultipleDefaultSidecars],
        ["Sidecar"], mesh =>
        mesh.Clusters.SelectMany(config => Defaults(config, All<Sidecar>(config), IstioCodes.MultipleDefaultSidecars)));

    public static Analyzer Telemetries
    {
        get;
    } = new("telemetry.SelectorAnalyzer", "Checks that Telemetries select workloads, and each workload only once",
        [IstioCodes.ReferencedResourceNotFound, IstioCodes.ConflictingTelemetries], ["Telemetry", "Pod"], mesh =>
        mesh.Clusters.SelectMany(config => Unmatched(mesh, config, All<Telemetry>(config))
            .Concat(Overlapping(config, All<Telemetry>(config), IstioCodes.ConflictingTelemetries))));

    public static Analyzer DefaultTelemetries
    {
        get;
    } = new("telemetry.DefaultSelectorAnalyzer", "Checks that a namespace has at most one Telemetry without a selector",
        [IstioCodes.MultipleDefaultTelemetries], ["Telemetry"], mesh =>
        mesh.Clusters.SelectMany(config => Defaults(config, All<Telemetry>(config), IstioCodes.MultipleDefaultTelemetries)));

    private static IEnumerable<Finding> Unmatched(MeshSnapshot mesh, ConfigCluster config, IEnumerable<Choice> all) =>
        from item in all
        from part in UnmatchedSelectors.In(mesh, config, item.Namespace, item.Selector)
        select IstioCodes.ReferencedResourceNotFound.At(config.Cluster, item.FullName, item.Path,
            $"Referenced selector not found: \"{part.Selector}\": no workload of {part.Place} has these labels{part.Elsewhere}",
            UnmatchedSelectors.Remedy(config, item.FullName.Split(' ')[0], item.Namespace, part.Selector));

    private static IEnumerable<Finding> Overlapping(ConfigCluster config, IEnumerable<Choice> all, AnalysisCode code) =>
        from same in all.Where(item => !item.Selector.IsEmpty).GroupBy(item => item.Namespace)
        where same.Count() > 1
        from item in same
        let shared = config.Reach.SelectMany(area => area.In(same.Key)).Where(workload => Selects(item, workload))
            .Select(workload => (Workload: workload, Others: same.Where(other => other != item && Selects(other, workload)).ToList()))
            .FirstOrDefault(pair => pair.Others.Count > 0)
        where shared.Others is not null
        select code.At(config.Cluster, item.FullName, item.Path,
            $"selects {shared.Workload.Name}, which {string.Join(", ", shared.Others.Select(other => other.FullName))} selects too: only the oldest has an "
                + $"effect there, {Oldest(shared.Others.Append(item)).FullName}");

    private static IEnumerable<Finding> Defaults(ConfigCluster config, IEnumerable<Choice> all, AnalysisCode code) =>
        from same in all.Where(item => item.Selector.IsEmpty).GroupBy(item => item.Namespace)
        where same.Count() > 1
        from item in same
        select code.At(config.Cluster, item.FullName, "",
            $"has no selector, and neither has {string.Join(", ", same.Where(other => other != item).Select(other => other.FullName))}: only the oldest has an "
                + $"effect, {Oldest(same).FullName}");

    private static Choice Oldest(IEnumerable<Choice> items) => items.OrderBy(item => item.CreatedAt).ThenBy(item => item.Name, StringComparer.Ordinal).First();

    private static bool Selects(Choice item, Workload workload) => item.Selector.Selects(workload.Labels);

    private static IEnumerable<Choice> All<T>(ConfigCluster config) => config.Cluster.Istio<T>().Select(item => item switch
    {
        Sidecar sidecar => new Choice("Sidecar", sidecar.Namespace, sidecar.Name, sidecar.Selector, "spec.workloadSelector", sidecar.CreatedAt),
        Telemetry telemetry => new Choice("Telemetry", telemetry.Namespace, telemetry.Name, telemetry.Selector, "spec.selector", telemetry.CreatedAt),
        _ => throw new NotSupportedException(typeof(T).Name),
    });
}

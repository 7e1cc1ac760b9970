using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

/// <summary>What proxies report about their traffic.</summary>
/// <param name="Selector">The workloads that it applies to; empty: all in its namespace, or in the mesh when it is in the root namespace.</param>
public sealed record Telemetry(ObjectRef Source, WorkloadSelector Selector, ValueList<TraceRule> Tracing, ValueList<LogRule> Logging,
    ValueList<MetricRule> Metrics, long CreatedAt)
    : IWorkloadPolicy
{
    public string Namespace => Source.Namespace;
    public string Name => Source.Name;

    /// <summary>Those that apply to a workload, the most general first: of the root namespace, of its own, of itself. Of several that could be
    /// one of them, the oldest is.</summary>
    public static IEnumerable<Telemetry> For(ValueList<Telemetry> ofRoot, ValueList<Telemetry> ofNamespace, ValueMap<string> labels)
    {
        if (Oldest(ofRoot.Where(item => item.Selector.IsEmpty)) is { } root) yield return root;
        if (Oldest(ofNamespace.Where(item => item.Selector.IsEmpty)) is { } ns) yield return ns;
        if (Oldest(ofNamespace.Where(item => !item.Selector.IsEmpty && item.Selector.Selects(labels))) is { } own) yield return own;
    }

    private static Telemetry? Oldest(IEnumerable<Telemetry> items) => items.OrderBy(item => item.CreatedAt).ThenBy(item => item.Source).FirstOrDefault();
}

using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Resolve;

/// <summary>How the metrics of proxies differ from Istio's standard ones: Telemetries from the most general to the workload's own, over the default
/// providers of MeshConfig.</summary>
internal static class MetricResolver
{
    private sealed class Settings
    {
        public bool? IsDisabled;
        public readonly Dictionary<string, string> Tags = new(StringComparer.Ordinal);
    }

    /// <returns>For calls that the workload makes, or its gateway forwards; and for calls to it.</returns>
    public static (MetricChanges OfClient, MetricChanges OfServer) Of(IEnumerable<Telemetry> telemetries, MeshConfig mesh)
    {
        var rules = telemetries.SelectMany(item => item.Metrics).ToList();
        var names = rules.LastOrDefault(rule => !rule.Providers.IsEmpty)?.Providers ?? mesh.DefaultMetrics;
        // All providers of this kind report in the same place.
        var wanted = names.Where(name => mesh.Prometheus.Contains(name)).ToHashSet(StringComparer.Ordinal);
        var interval = wanted.Count == 0 ? null : Kept(rules, wanted, mesh).LastOrDefault(rule => rule.ReportingInterval is not null)?.ReportingInterval;
        return (new(Plans(rules, wanted, item => item.OfClients, mesh), interval), new(Plans(rules, wanted, item => item.OfServers, mesh), interval));
    }

    /// <summary>The rules of providers that no more specific Telemetry has replaced.</summary>
    private static IEnumerable<MetricRule> Kept(List<MetricRule> rules, HashSet<string> wanted, MeshConfig mesh)
    {
        var parents = mesh.DefaultMetrics;
        foreach (var rule in rules)
        {
            if (!rule.Providers.IsEmpty) parents = rule.Providers;
            if (parents.Any(wanted.Contains)) yield return rule;
        }
    }

    private static ValueList<MetricPlan> Plans(List<MetricRule> rules, HashSet<string> wanted, Func<MetricOverride, bool> isFor, MeshConfig mesh)
    {
        if (wanted.Count == 0)
            return StandardMetrics.Names.Values.Order(StringComparer.Ordinal).Select(name => new MetricPlan(name, true, default)).ToValueList();
        var metrics = new SortedDictionary<string, Settings>(StringComparer.Ordinal);
        foreach (var item in Kept(rules, wanted, mesh).SelectMany(rule => rule.Overrides.Where(isFor))) Apply(item, metrics);
        return metrics.Where(item => item.Value.IsDisabled == true || item.Value.Tags.Count > 0)
            .Select(item => new MetricPlan(item.Key, item.Value.IsDisabled == true, item.Value.IsDisabled == true ? default : item.Value.Tags.ToValueMap()))
            .ToValueList();
    }

    private static void Apply(MetricOverride item, SortedDictionary<string, Settings> metrics)
    {
        foreach (var name in item.Metric.Length == 0 ? StandardMetrics.Names.Values : [StandardMetrics.Names[item.Metric]])
        {
            if (!metrics.TryGetValue(name, out var settings)) metrics[name] = settings = new();
            settings.IsDisabled = item.IsDisabled ?? settings.IsDisabled;
            foreach (var (tag, value) in item.Tags) settings.Tags[tag] = value;
        }
    }
}

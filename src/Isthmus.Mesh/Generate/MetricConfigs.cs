using System.Globalization;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy.NetworkFilters;
using Isthmus.Wire.Envoy.Udpa;
using Listeners = Isthmus.Wire.Envoy.Listeners;

namespace Isthmus.Mesh.Generate;

/// <summary>The filter that configures metrics. Where they are the standard ones, there is none.</summary>
internal static class MetricConfigs
{
    private const string Name = "istio.stats";

    public static IEnumerable<HttpFilter> Http(MeshConfig mesh)
    {
        if (mesh.ChosenMetrics != MetricChanges.None) yield return new() { Name = Name, TypedConfig = Config(mesh.ChosenMetrics) };
    }

    public static IEnumerable<Listeners.Filter> Tcp(MeshConfig mesh)
    {
        if (mesh.ChosenMetrics != MetricChanges.None) yield return new() { Name = Name, TypedConfig = Config(mesh.ChosenMetrics) };
    }

    private static Any Config(MetricChanges changes)
    {
        var fields = Parts.Fields(("metrics", Value.ForList([.. changes.Plans.Select(Metric)])));
        if (changes.ReportingInterval is { } interval) fields.Fields["tcp_reporting_duration"] = Value.ForString(string.Create(CultureInfo.InvariantCulture, $"{Math.Ceiling(interval.TotalSeconds)}s"));
        return Parts.Pack(new TypedStruct { TypeUrl = "type.googleapis.com/stats.PluginConfig", Value = fields });
    }

    private static Value Metric(MetricPlan plan)
    {
        var fields = Parts.Fields(("name", Value.ForString(plan.Metric)));
        var (removed, set) = (plan.Tags.Where(tag => tag.Value.Length == 0).ToList(), plan.Tags.Where(tag => tag.Value.Length > 0).ToList());
        if (plan.IsDropped) fields.Fields["drop"] = Value.ForBool(true);
        if (removed.Count > 0) fields.Fields["tags_to_remove"] = Value.ForList([.. removed.Select(tag => Value.ForString(tag.Key))]);
        if (set.Count > 0)
        {
            var dimensions = new Struct();
            foreach (var (name, value) in set) dimensions.Fields[name] = Value.ForString(value);
            fields.Fields["dimensions"] = Value.ForStruct(dimensions);
        }
        return Value.ForStruct(fields);
    }
}

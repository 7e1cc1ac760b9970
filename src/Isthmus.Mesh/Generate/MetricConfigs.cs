using System.Globalization;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy.NetworkFilters;
using Isthmus.Wire.Envoy.Udpa;
using Listeners = Isthmus.Wire.Envoy.Listeners;

namespace Isthmus.Mesh.Generate;

/// <summary>
/// The filter that keeps metrics. Proxies of Isthmus keep the standard ones without it, and Envoys of Istio none: without changes, only these get it.
/// </summary>
internal static class MetricConfigs
{
    private const string Name = "istio.stats";

    public static IEnumerable<HttpFilter> Http(Traffic traffic, MeshConfig mesh)
    {
        if (Config(traffic, mesh, IstioFilters.HttpMetrics) is { } config) yield return new() { Name = Name, TypedConfig = config };
    }

    public static IEnumerable<Listeners.Filter> Tcp(Traffic traffic, MeshConfig mesh)
    {
        if (Config(traffic, mesh, IstioFilters.TcpMetrics) is { } config) yield return new() { Name = Name, TypedConfig = config };
    }

    private static Any? Config(Traffic traffic, MeshConfig mesh, IstioFilters filter)
    {
        if (!mesh.Software.Has(filter)) return null;
        var isOfIstio = mesh.Software is { IsEnvoy: true, Declares: true };
        if (mesh.ChosenMetrics == MetricChanges.None && !isOfIstio) return null;
        var fields = Fields(mesh.ChosenMetrics);
        // The host that a client names is not the name of a service that a server of the mesh serves.
        if (isOfIstio && traffic is (Traffic.Inbound or Traffic.Gateway)) fields.Fields["disable_host_header_fallback"] = Value.ForBool(true);
        return Parts.Pack(new TypedStruct { TypeUrl = "type.googleapis.com/stats.PluginConfig", Value = fields });
    }

    private static Struct Fields(MetricChanges changes)
    {
        var fields = Parts.Fields();
        if (!changes.Plans.IsEmpty) fields.Fields["metrics"] = Value.ForList([.. changes.Plans.Select(Metric)]);
        if (changes.ReportingInterval is { } interval)
            fields.Fields["tcp_reporting_duration"] = Value.ForString(string.Create(CultureInfo.InvariantCulture, $"{Math.Ceiling(interval.TotalSeconds)}s"));
        return fields;
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

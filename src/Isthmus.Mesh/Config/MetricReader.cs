using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Cel;

namespace Isthmus.Mesh.Config;

/// <summary>Reads <c>metrics</c> of a Telemetry.</summary>
internal static class MetricReader
{
    private const int LongestName = 100;

    public static MetricRule Read(Field rule) =>
        new(TelemetryReader.ReadProviders(rule["providers"]),
            rule["overrides"].Items.Select(ReadOverride).OfType<MetricOverride>().ToValueList())
            {
                ReportingInterval = ReadInterval(rule["reportingInterval"])
            };

    private static TimeSpan? ReadInterval(Field interval)
    {
        if (interval.Duration() is not { } value) return null;
        if (value < TimeSpan.Zero) interval.Error("must not be negative");
        else if (value.Ticks % TimeSpan.TicksPerSecond != 0) interval.Warn("counts as the next whole second", "write it in seconds, for example 5s");
        return interval.IsWrong ? null : value;
    }

    /// <summary>Null if it has no effect.</summary>
    private static MetricOverride? ReadOverride(Field item)
    {
        var (match, tags) = (item["match"], item["tagOverrides"]);
        var (mode, metric, custom) = (match["mode"].Text, match["metric"].Text, match["customMetric"]);
        if (custom.Exists && match["metric"].Exists) match.Error("only one of metric and customMetric may be set");
        if (custom is { Exists: true, Text.Length: 0 }) custom.Error("must not be empty", "use metric");
        else if (custom.Exists) custom.NoEffect("proxies have only Istio's standard metrics", "use metric");
        var read = tags.Members.Select(tag => KeyValuePair.Create(tag.Key, ReadTag(tag.Key, tag.Value))).ToValueMap();
        return custom.Exists || item.IsWrong
            ? null
            : new(mode != "SERVER", mode != "CLIENT", metric == "ALL_METRICS" ? "" : metric, item["disabled"].Flag, read);
    }

    private static string ReadTag(string name, Field tag)
    {
        var value = tag["value"];
        if (!IsLabel(name)) tag.Error($"\"{name}\" is not the name of a label", "use letters, digits and _, and do not begin with a digit");
        if (tag["operation"].Text == "REMOVE")
        {
            if (value.Text.Length > 0) value.Error("must be empty when the operation is REMOVE");
            return "";
        }
        if (value.Text.Length == 0) value.Error("must be a CEL expression", "for a constant, write it in quotes: '\"blue\"'");
        else if (TrafficExpression.Problem(value.Text, isCondition: false) is { } why)
            value.Error($"\"{value.Text}\" cannot be the value of a tag: {why}", "write a CEL expression over Envoy's attributes, for example request.host");
        return value.Text;
    }

    private static bool IsLabel(string name) =>
        name.Length is > 0 and <= LongestName && !char.IsAsciiDigit(name[0]) && name.All(c => char.IsAsciiLetterOrDigit(c) || c == '_')
            && name is not ("le" or "quantile");
}

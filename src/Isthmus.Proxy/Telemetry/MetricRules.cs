using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Messages;
using Isthmus.Wire.Istio.Stats;

namespace Isthmus.Proxy.Telemetry;

/// <summary>How the metrics of a listener differ from Istio's standard ones. Equal configurations are equal, so that series outlive changes of
/// listeners.</summary>
internal sealed class MetricRules : IEquatable<MetricRules>
{
    private const string Prefix = "istio_", Unknown = "unknown";

    private const int MostSeconds = 86_400;

    /// <summary>Bytes of the value of a tag; the rest is cut.</summary>
    internal const int MostOfTag = 256;

    private readonly PluginConfig _config;
    private readonly LogValue[] _values;
    private readonly int _hash;
    private readonly Dictionary<string, Rule> _byMetric = new(StringComparer.Ordinal);

    [ThreadStatic] private static ByteWriter? _scratch;

    private sealed class Rule
    {
        public bool IsDropped;
        public readonly HashSet<string> Removed = new(StringComparer.Ordinal);
        public readonly SortedDictionary<string, int> Set = new(StringComparer.Ordinal);
    }

    /// <exception cref="ResourceException">A tag whose expression cannot be evaluated.</exception>
    public MetricRules(PluginConfig config, List<string> notes)
    {
        _config = config;
        _hash = config.GetHashCode();
        if (config.Definitions.Count > 0) notes.Add("istio.stats: definitions of other metrics are ignored");
        var expressions = new List<string>();
        foreach (var metric in config.Metrics)
        {
            if (metric.Match.Length > 0) notes.Add($"istio.stats: the match of '{metric.Name}' is ignored");
            else Read(metric, expressions);
        }
        _values = [.. expressions.Select(Expression.Value)];
        ReportingSeconds = config.TcpReportingDuration is { } interval
            ? (int)Math.Clamp(interval.Seconds + (interval.Nanos > 0 ? 1 : 0), 0, MostSeconds)
            : ReportPeriod.DefaultSeconds;
        DropsAll = MeshMetrics.Names.All(name => _byMetric.TryGetValue(name, out var rule) && rule.IsDropped);
    }

    /// <summary>The rules of a filter; null if the metrics are the standard ones, or the filter has its older form, which is a program.</summary>
    /// <exception cref="ResourceException">A tag whose expression cannot be evaluated.</exception>
    public static MetricRules? Of(PluginConfig config, List<string> notes) =>
        config.Metrics.Count > 0 || config.TcpReportingDuration is not null ? new(config, notes) : null;

    /// <summary>How often open connections and gRPC calls are counted; 0: at their end only.</summary>
    public int ReportingSeconds { get; }

    /// <summary>Whether labels depend on the request.</summary>
    public bool HasTags => _values.Length > 0;

    /// <summary>No metric is kept.</summary>
    public bool DropsAll { get; }

    private void Read(MetricConfig metric, List<string> expressions)
    {
        var name = metric.Name.StartsWith(Prefix, StringComparison.Ordinal) ? metric.Name : Prefix + metric.Name;
        foreach (var one in metric.Name.Length == 0 ? MeshMetrics.Names : [name])
        {
            if (!_byMetric.TryGetValue(one, out var rule)) _byMetric[one] = rule = new();
            rule.IsDropped |= metric.Drop;
            rule.Removed.UnionWith(metric.TagsToRemove);
            foreach (var (tag, expression) in metric.Dimensions)
            {
                var at = expressions.IndexOf(expression);
                if (at < 0) expressions.Add(expression);
                rule.Set[tag] = at < 0 ? expressions.Count - 1 : at;
            }
        }
    }

    /// <summary>The values of tags; null when there are none. They are those of the last record where they did not change.</summary>
    public TagValues? Evaluate(TrafficRecord record, TagValues? last)
    {
        if (_values.Length == 0) return null;
        var scratch = _scratch ??= new();
        scratch.Clear();
        foreach (var value in _values)
        {
            var start = scratch.Length;
            if (!value(record, scratch)) scratch.Write("unknown"u8);
            if (scratch.Length - start > MostOfTag) scratch.Truncate(Utf8Cut.At(scratch.Written.Span, start + MostOfTag));
            scratch.Write("\0"u8);
        }
        return last is not null && last.Is(scratch.Written.Span) ? last : new(scratch.Written.ToArray());
    }

    /// <summary>The labels of a metric; null if the metric is dropped.</summary>
    public IEnumerable<KeyValuePair<string, string>>? Labels(string metric, IReadOnlyList<KeyValuePair<string, string>> standard, TagValues? tags)
    {
        if (!_byMetric.TryGetValue(metric, out var rule)) return standard;
        if (rule.IsDropped) return null;
        var texts = tags?.Texts;
        return standard.Where(label => !rule.Removed.Contains(label.Key) && !rule.Set.ContainsKey(label.Key))
            .Concat(rule.Set.Select(tag => KeyValuePair.Create(tag.Key, texts?[tag.Value] ?? PeerClaims.Overflow)));
    }

    public bool Equals(MetricRules? other) => other is not null && (ReferenceEquals(this, other) || _config.Equals(other._config));

    public override bool Equals(object? obj) => Equals(obj as MetricRules);

    public override int GetHashCode() => _hash;
}

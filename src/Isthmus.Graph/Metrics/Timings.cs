using System.Globalization;
using System.Text;

namespace Isthmus.Graph.Metrics;

/// <summary>A histogram of seconds, by a label. From any thread.</summary>
internal sealed class Timings
{
    private readonly Lock _guard = new(); // guards _series and what is in it
    private readonly SortedDictionary<string, (long[] Counts, double Sum)> _series = new(StringComparer.Ordinal);
    private readonly string _name, _help;
    private readonly double[] _bounds;

    /// <param name="bounds">Upper bounds in seconds.</param>
    /// <param name="isLabelled">Without labels, 0 is a value, too.</param>
    public Timings(string name, string help, double[] bounds, bool isLabelled = false)
    {
        (_name, _help, _bounds) = (name, help, bounds);
        if (!isLabelled) _series[""] = (new long[bounds.Length + 1], 0);
    }

    /// <param name="labels">As in Prometheus' text form.</param>
    public void Add(TimeSpan took, string labels = "")
    {
        var at = 0;
        while (at < _bounds.Length && took.TotalSeconds > _bounds[at]) at++;
        lock (_guard)
        {
            var (counts, sum) = _series.TryGetValue(labels, out var known) ? known : (new long[_bounds.Length + 1], 0);
            counts[at]++;
            _series[labels] = (counts, sum + took.TotalSeconds);
        }
    }

    public void Write(StringBuilder text)
    {
        text.Append(CultureInfo.InvariantCulture, $"# HELP {_name} {_help}\n# TYPE {_name} histogram\n");
        lock (_guard)
        {
            foreach (var (labels, (counts, sum)) in _series)
            {
                var (before, all) = labels.Length == 0 ? ("", "") : ($"{labels},", $"{{{labels}}}");
                var total = 0L;
                for (var i = 0; i < _bounds.Length; i++)
                    text.Append(CultureInfo.InvariantCulture, $"{_name}_bucket{{{before}le=\"{_bounds[i]}\"}} {total += counts[i]}\n");
                total += counts[^1];
                text.Append(CultureInfo.InvariantCulture,
                    $"{_name}_bucket{{{before}le=\"+Inf\"}} {total}\n{_name}_sum{all} {sum}\n{_name}_count{all} {total}\n");
            }
        }
    }
}

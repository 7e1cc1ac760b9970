using System.Buffers;
using System.Globalization;
using System.Text;

namespace Isthmus.WebConsole.Traffic;

/// <summary>
/// Reads the metrics of one proxy (Prometheus' text form), again and again. Labels are decoded only for series that are new: a
/// proxy has the same ones each time.
/// </summary>
internal sealed class ProxyCounters
{
    private const int LongestLine = 1 << 16;

    /// <summary>A series that counts toward the totals of a call; <see cref="Call"/> is null for any other.</summary>
    private sealed record Series(Call? Call, Measure Measure, int Bucket, Outcome Outcome, string Identity, bool? IsMutualTls, string Flags);

    private enum Measure
    {
        Requests,
        Latency,
        Bytes,
        Connections,
    }

    private static readonly Series Other = new(null, default, 0, default, "", null, "");

    private Dictionary<string, Series> _series = new(StringComparer.Ordinal);
    private readonly Dictionary<Call, CallTotals> _totals = [];

    /// <summary>Reads a page to its end.</summary>
    public async Task<IReadOnlyDictionary<Call, CallTotals>> ReadAsync(Stream page, CancellationToken stop)
    {
        _totals.Clear();
        var seen = new Dictionary<string, Series>(_series.Count, StringComparer.Ordinal);
        var bytes = ArrayPool<byte>.Shared.Rent(LongestLine);
        var text = ArrayPool<char>.Shared.Rent(LongestLine);
        try
        {
            var length = 0;
            while (await page.ReadAsync(bytes.AsMemory(length, LongestLine - length), stop) is > 0 and var count)
            {
                length += count;
                var begin = 0;
                while (bytes.AsSpan(begin, length - begin).IndexOf((byte)'\n') is >= 0 and var end)
                {
                    Take(text.AsSpan(0, Encoding.UTF8.GetChars(bytes.AsSpan(begin, end), text)), seen);
                    begin += end + 1;
                }
                bytes.AsSpan(begin, length - begin).CopyTo(bytes);
                length -= begin;
                if (length == LongestLine) throw new InvalidDataException($"a line of the metrics is longer than {LongestLine} bytes");
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(bytes);
            ArrayPool<char>.Shared.Return(text);
        }
        _series = seen;
        return new Dictionary<Call, CallTotals>(_totals);
    }

    private void Take(ReadOnlySpan<char> line, Dictionary<string, Series> seen)
    {
        var end = line.LastIndexOf(' ');
        if (end < 0 || !line.StartsWith("istio_") || !double.TryParse(line[(end + 1)..], NumberStyles.Float, CultureInfo.InvariantCulture, out var value))
            return;
        var name = line[..end];
        if (!_series.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(name, out var key, out var series)) series = Decode(key = name.ToString());
        seen[key] = series;
        if (series.Call is { } call) Add(call, series, value);
    }

    private void Add(Call call, Series series, double value)
    {
        if (!_totals.TryGetValue(call, out var totals)) _totals[call] = totals = new();
        switch (series.Measure)
        {
            case Measure.Requests:
                totals.Requests += value;
                if (series.Outcome == Outcome.Failed) totals.Errors += value;
                if (series.Outcome == Outcome.Denied) totals.Denied += value;
                break;
            case Measure.Latency: totals.AddBucket(series.Bucket, value); break;
            case Measure.Bytes: totals.Bytes += value; break;
            default: totals.Connections += value; break;
        }
        if (series.Identity.Length > 0) totals.Identity = series.Identity;
        if (series.IsMutualTls is { } isMutual) totals.IsMutualTls = isMutual && totals.IsMutualTls != false;
        if (series is { Flags.Length: > 0, Measure: Measure.Requests or Measure.Connections } && value > 0)
            totals.Flags[series.Flags] = totals.Flags.GetValueOrDefault(series.Flags) + value;
    }

    private static Series Decode(string text)
    {
        var brace = text.IndexOf('{', StringComparison.Ordinal);
        if (brace < 0) return Other;
        Measure measure;
        switch (text[..brace])
        {
            case "istio_requests_total": measure = Measure.Requests; break;
            case "istio_request_duration_milliseconds_bucket": measure = Measure.Latency; break;
            case "istio_tcp_sent_bytes_total" or "istio_tcp_received_bytes_total": measure = Measure.Bytes; break;
            case "istio_tcp_connections_opened_total": measure = Measure.Connections; break;
            default: return Other;
        }
        var labels = Labels(text.AsSpan(brace + 1));
        var call = new CallLabels(labels);
        var bucket = measure == Measure.Latency ? LatencyBuckets.IndexOf(labels.GetValueOrDefault("le", "")) : 0;
        if (bucket < 0 || !call.HasDestination) return Other;
        return new(call.Call, measure, bucket, call.Outcome, call.Identity, call.IsMutualTls, call.Flags);
    }

    /// <summary>The labels of a series, after its opening brace.</summary>
    private static Dictionary<string, string> Labels(ReadOnlySpan<char> text)
    {
        var labels = new Dictionary<string, string>(StringComparer.Ordinal);
        var value = new StringBuilder();
        while (text.IndexOf("=\"") is > 0 and var equals)
        {
            var name = text[..equals].Trim(", ").ToString();
            var at = equals + 2;
            value.Clear();
            while (at < text.Length && text[at] != '"')
            {
                if (text[at] == '\\' && at + 1 < text.Length) value.Append(text[++at] == 'n' ? '\n' : text[at]);
                else value.Append(text[at]);
                at++;
            }
            labels[name] = value.ToString();
            if (at >= text.Length) break;
            text = text[(at + 1)..];
        }
        return labels;
    }
}

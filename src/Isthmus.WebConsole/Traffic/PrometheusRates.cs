namespace Isthmus.WebConsole.Traffic;

/// <summary>The questions to Prometheus about the calls of a mesh, and what their answers say: by the labels that Kiali's graph is made
/// of.</summary>
internal static class PrometheusRates
{
    private const string CallLabels =
        "reporter, source_workload, source_workload_namespace, source_cluster, destination_service_name, destination_service_namespace, destination_cluster, "
            + "request_protocol";
    private const string EndLabels = "connection_security_policy, source_principal, destination_principal";

    /// <summary>In the order that <see cref="Join"/> expects.</summary>
    /// <param name="window">For example <c>1m</c>.</param>
    public static IReadOnlyList<string> Questions(string window) =>
    [
        Sum($"{CallLabels}, {EndLabels}, response_code, grpc_response_status, response_flags", "istio_requests_total", window),
        $"histogram_quantile(0.5, {Sum($"{CallLabels}, le", "istio_request_duration_milliseconds_bucket", window)})",
        $"histogram_quantile(0.95, {Sum($"{CallLabels}, le", "istio_request_duration_milliseconds_bucket", window)})",
        Sum($"{CallLabels}, {EndLabels}, response_flags", "istio_tcp_connections_opened_total", window),
        Sum(CallLabels, "istio_tcp_sent_bytes_total", window),
        Sum(CallLabels, "istio_tcp_received_bytes_total", window),
    ];

    private static string Sum(string labels, string metric, string window) =>
        $"sum by ({labels}) (rate({metric}{{reporter=~\"source|destination\"}}[{window}]))";

    /// <param name="answers">One for each of <see cref="Questions"/>.</param>
    public static IReadOnlyList<CallRate> Join(IReadOnlyList<IReadOnlyList<PrometheusRow>> answers)
    {
        var sums = new Dictionary<Call, Sums>();
        foreach (var (labels, value, sum) in Rows(0))
        {
            sum.Rate += value ?? 0;
            if (labels.Outcome == Outcome.Failed) sum.Errors += value ?? 0;
            if (labels.Outcome == Outcome.Denied) sum.Denied += value ?? 0;
            if (value > 0 && labels.Flags is { Length: > 0 } flags) sum.Flags.Add(flags);
            sum.Note(labels);
        }
        foreach (var (_, value, sum) in Rows(1)) sum.P50 = value;
        foreach (var (_, value, sum) in Rows(2)) sum.P95 = value;
        foreach (var (labels, value, sum) in Rows(3))
        {
            sum.Rate += value ?? 0;
            if (value > 0 && labels.Flags is { Length: > 0 } flags) sum.Flags.Add(flags);
            sum.Note(labels);
        }
        foreach (var (_, value, sum) in Rows(4).Concat(Rows(5))) sum.Bytes += value ?? 0;
        return [.. sums.Select(pair => pair.Value.Of(pair.Key))];

        IEnumerable<(CallLabels Labels, double? Value, Sums Sum)> Rows(int question)
        {
            foreach (var row in answers[question])
            {
                var labels = new CallLabels(row.Metric!);
                if (!labels.HasDestination) continue;
                if (!sums.TryGetValue(labels.Call, out var sum)) sums[labels.Call] = sum = new();
                yield return (labels, row.Number, sum);
            }
        }
    }

    /// <summary>What several Prometheus servers say together. A federating one repeats what another says, and each proxy is scraped whole, so
    /// the larger number is the complete one.</summary>
    public static IReadOnlyList<CallRate> Merge(IEnumerable<CallRate> rates) =>
        [.. rates.GroupBy(rate => rate.Call).Select(same => same.MaxBy(rate => (rate.Rate, rate.Bytes))!)];

    /// <summary>The sums of one kind of call.</summary>
    private sealed class Sums
    {
        private string _identity = "";
        private bool? _isMutualTls;

        public double Rate { get; set; }
        public double Errors { get; set; }
        public double Denied { get; set; }
        public double Bytes { get; set; }
        public double? P50 { get; set; }
        public double? P95 { get; set; }
        public SortedSet<string> Flags { get; } = new(StringComparer.Ordinal);

        public void Note(CallLabels labels)
        {
            if (labels.Identity.Length > 0) _identity = labels.Identity;
            if (labels.IsMutualTls is { } isMutual) _isMutualTls = isMutual && _isMutualTls != false;
        }

        public CallRate Of(Call call) =>
            new(call, Rate, Rate > 0 ? Errors / Rate : 0, P50, P95,
                Bytes) { Denied = Rate > 0 ? Denied / Rate : 0, Identity = _identity, IsMutualTls = _isMutualTls, Flags = Flags };
    }
}

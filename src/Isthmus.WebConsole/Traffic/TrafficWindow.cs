namespace Isthmus.WebConsole.Traffic;

/// <summary>What happened to the calls of a kind lately.</summary>
/// <param name="Rate">Requests a second; connections a second for TCP.</param>
/// <param name="Errors">The share of requests that failed, from 0 to 1.</param>
/// <param name="Bytes">Bytes a second, for TCP.</param>
internal sealed record CallRate(Call Call, double Rate, double Errors, double? P50, double? P95, double Bytes)
{
    /// <summary>The share of requests that were answered with 401 or 403, from 0 to 1.</summary>
    public double Denied { get; init; }

    /// <summary>The caller's identity; empty when no proxy knows one.</summary>
    public string Identity { get; init; } = "";

    public bool? IsMutualTls { get; init; }

    /// <summary>The response flags of the calls that failed.</summary>
    public IReadOnlyCollection<string> Flags { get; init; } = [];
}

/// <summary>Turns counters of proxies into rates over the last seconds.</summary>
internal sealed class TrafficWindow(TimeSpan length)
{
    private sealed record Sample(DateTimeOffset Time, IReadOnlyDictionary<Call, CallTotals> Totals);

    private readonly Dictionary<string, Queue<Sample>> _samples = new(StringComparer.Ordinal);

    /// <param name="proxy">The proxy that counted.</param>
    public void Add(string proxy, DateTimeOffset time, IReadOnlyDictionary<Call, CallTotals> totals)
    {
        if (!_samples.TryGetValue(proxy, out var samples)) _samples[proxy] = samples = new();
        samples.Enqueue(new(time, totals));
        // One sample from before the window is its beginning.
        while (samples.Count > 2 && samples.ElementAt(1).Time <= time - length) samples.Dequeue();
    }

    /// <summary>Drops what came from proxies that are gone.</summary>
    public void Keep(IReadOnlySet<string> proxies)
    {
        foreach (var gone in _samples.Keys.Where(proxy => !proxies.Contains(proxy)).ToList()) _samples.Remove(gone);
    }

    /// <summary>All calls that proxies know; those without recent requests have a rate of 0.</summary>
    public IReadOnlyList<CallRate> Rates()
    {
        var sums = new Dictionary<Call, Sum>();
        foreach (var samples in _samples.Values)
        {
            var (first, last) = (samples.Peek(), samples.Last());
            var seconds = (last.Time - first.Time).TotalSeconds;
            foreach (var (call, totals) in last.Totals)
            {
                if (!sums.TryGetValue(call, out var sum)) sums[call] = sum = new();
                sum.Add(totals, first.Totals.GetValueOrDefault(call), seconds);
            }
        }
        return [.. sums.Select(pair => pair.Value.Rate(pair.Key))];
    }

    /// <summary>The rates of one kind of call, of all proxies that count it.</summary>
    private sealed class Sum
    {
        private readonly double[] _buckets = new double[LatencyBuckets.Count];
        private readonly SortedSet<string> _flags = new(StringComparer.Ordinal);
        private double _requests, _errors, _denied, _bytes, _connections;
        private string _identity = "";
        private bool? _isMutualTls;

        public void Add(CallTotals now, CallTotals? before, double seconds)
        {
            if (now.Identity.Length > 0) _identity = now.Identity;
            if (now.IsMutualTls is { } isMutual) _isMutualTls = isMutual && _isMutualTls != false;
            if (seconds <= 0) return;
            // A proxy that started anew counts from 0.
            if (before is not null && (now.Requests < before.Requests || now.Connections < before.Connections)) before = null;
            _requests += (now.Requests - (before?.Requests ?? 0)) / seconds;
            _connections += (now.Connections - (before?.Connections ?? 0)) / seconds;
            _bytes += (now.Bytes - (before?.Bytes ?? 0)) / seconds;
            _errors += (now.Errors - (before?.Errors ?? 0)) / seconds;
            _denied += (now.Denied - (before?.Denied ?? 0)) / seconds;
            _flags.UnionWith(now.Flags.Where(pair => pair.Value > (before?.Flags.GetValueOrDefault(pair.Key) ?? 0)).Select(pair => pair.Key));
            for (var i = 0; i < now.Buckets.Length; i++)
                _buckets[i] += (now.Buckets[i] - (before is { Buckets.Length: > 0 } ? before.Buckets[i] : 0)) / seconds;
        }

        public CallRate Rate(Call call) => new(call, call.Protocol == "tcp" ? _connections : _requests, _requests > 0 ? _errors / _requests : 0,
            LatencyBuckets.Percentile(_buckets, 0.5), LatencyBuckets.Percentile(_buckets, 0.95), _bytes)
        {
            Denied = _requests > 0 ? _denied / _requests : 0, Identity = _identity, IsMutualTls = _isMutualTls, Flags = _flags,
        };
    }
}

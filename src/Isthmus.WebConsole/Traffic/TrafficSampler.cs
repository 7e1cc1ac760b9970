using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;

namespace Isthmus.WebConsole.Traffic;

/// <summary>A proxy to ask.</summary>
internal sealed record ProxyPlace(ClusterAccess Access, string Namespace, string Pod)
{
    public string Key => $"{Access.Name}/{Namespace}/{Pod}";
}

/// <summary>Asks all proxies for their metrics, over connections that stay open.</summary>
/// <param name="clients">The client of a cluster, by its context.</param>
internal sealed class TrafficSampler(Func<string, KubeClient> clients, TimeProvider time) : IDisposable
{
    // Only what the picture needs: proxies with many destinations have long pages.
    private const string Page = "stats/prometheus?filter=istio_(requests_total|request_duration_milliseconds|tcp_)";
    private const int AtOnce = 16;

    private static readonly TimeSpan Window = TimeSpan.FromSeconds(10), Patience = TimeSpan.FromSeconds(3), Rest = TimeSpan.FromSeconds(10);

    private readonly Dictionary<string, Asked> _proxies = new(StringComparer.Ordinal);
    private readonly TrafficWindow _window = new(Window);
    private readonly SemaphoreSlim _slots = new(AtOnce);

    private sealed record Asked(ProxyPlace Place, ProxyCounters Counters)
    {
        /// <summary>Why the last question failed; empty when it did not.</summary>
        public string Error { get; set; } = "";

        public DateTimeOffset NotBefore { get; set; }
    }

    /// <summary>How many proxies are asked, and how many of them answer.</summary>
    public (int All, int Answering) Proxies => (_proxies.Count, _proxies.Values.Count(proxy => proxy.Error.Length == 0));

    /// <summary>Those that do not answer, and why.</summary>
    public IReadOnlyDictionary<string, string> Silent =>
        _proxies.Where(proxy => proxy.Value.Error.Length > 0).ToDictionary(proxy => proxy.Key, proxy => proxy.Value.Error, StringComparer.Ordinal);

    public void Dispose()
    {
        _slots.Dispose();
    }

    /// <summary>Asks each proxy once.</summary>
    public async Task<IReadOnlyList<CallRate>> SampleAsync(IReadOnlyList<ProxyPlace> places, CancellationToken stop)
    {
        var now = time.GetUtcNow();
        Follow(places);
        var answers = await Task.WhenAll(_proxies.Where(proxy => proxy.Value.NotBefore <= now).Select(proxy => AskAsync(proxy.Key, proxy.Value, stop)));
        foreach (var (key, at, totals) in answers)
            if (totals is not null) _window.Add(key, at, totals);
        return _window.Rates();
    }

    private void Follow(IReadOnlyList<ProxyPlace> places)
    {
        var wanted = places.Select(place => place.Key).ToHashSet(StringComparer.Ordinal);
        foreach (var gone in _proxies.Keys.Where(key => !wanted.Contains(key)).ToList()) _proxies.Remove(gone);
        foreach (var place in places.Where(place => !_proxies.ContainsKey(place.Key)))
            _proxies[place.Key] = new(place, new());
        _window.Keep(wanted);
    }

    private async Task<(string Key, DateTimeOffset Time, IReadOnlyDictionary<Call, CallTotals>? Totals)> AskAsync(string key, Asked asked,
        CancellationToken stop)
    {
        await _slots.WaitAsync(stop);
        try
        {
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(stop);
            patience.CancelAfter(Patience);
            IReadOnlyDictionary<Call, CallTotals>? totals = null;
            await clients(asked.Place.Access.Name).Pods.GetAsync(asked.Place.Namespace, asked.Place.Pod, Ports.ProxyAdmin, Page,
                async (body, ending) => totals = await asked.Counters.ReadAsync(body, ending), patience.Token);
            asked.Error = "";
            return (key, time.GetUtcNow(), totals);
        }
        catch (Exception e) when (e is HttpRequestException or KubeException or IOException or InvalidDataException or OperationCanceledException
            && !stop.IsCancellationRequested)
        {
            asked.Error = e is OperationCanceledException ? $"no answer within {Patience.TotalSeconds:0} s" : e.InnerException?.Message ?? e.Message;
            asked.NotBefore = time.GetUtcNow() + Rest;
            return (key, time.GetUtcNow(), null);
        }
        finally
        {
            _slots.Release();
        }
    }
}

using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Operate.Diagnose;
using Isthmus.WebConsole.Picture;
using Isthmus.WebConsole.Reading;
using Isthmus.WebConsole.Serving;
using Isthmus.WebConsole.Traffic;

namespace Isthmus.WebConsole;

/// <summary>Reads the mesh while a page is open, and publishes what it finds.</summary>
internal sealed class MeshWatch(MeshStateReader reader, MeshAnalysis analysis, PrometheusTraffic prometheus, EventHub events, TimeProvider time) : IDisposable
{
    private static readonly TimeSpan Reading = TimeSpan.FromSeconds(3), Sampling = TimeSpan.FromSeconds(1), Analyzing = TimeSpan.FromSeconds(15),
        Choosing = TimeSpan.FromSeconds(15), Reaching = TimeSpan.FromSeconds(15), Scraping = TimeSpan.FromSeconds(5), Again = TimeSpan.FromSeconds(4);

    private readonly TrafficSampler _sampler = new(reader.Client, time);
    private readonly ChosenEndpoints _chosen = new(reader.Client);
    private readonly SemaphoreSlim _readNow = new(0, 1), _analyzeNow = new(0, 1), _sampleNow = new(0, 1), _chooseNow = new(0, 1), _reachNow = new(0, 1),
        _scrapeNow = new(0, 1);
    private volatile MeshState _mesh = MeshState.Unread;
    private volatile Topology? _topology;
    private volatile IReadOnlyList<Check> _checks = [];
    private volatile IReadOnlyList<GatewayReach> _reached = [];
    private volatile IReadOnlyDictionary<Party, ProxyPlace> _callers = new Dictionary<Party, ProxyPlace>();
    private volatile IReadOnlyList<Flow> _flows = [];
    private readonly ProblemAges _ages = new(); // locked when used
    private readonly TaskCompletionSource _firstReading = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private DateTimeOffset? _analyzed;
    private DateTimeOffset _chooseAgain;

    /// <summary>What was read last.</summary>
    public MeshState Mesh => _mesh;

    /// <summary>Called when the API server of the first cluster no longer accepts the credentials.</summary>
    public Action? Refused { get; set; }

    /// <summary>What was found last.</summary>
    public IReadOnlyList<ProblemRow> Problems => Found(Checks);

    /// <summary>What was checked last: all that <c>verify</c> checks.</summary>
    public IReadOnlyList<Check> Checks
    {
        get
        {
            // As for verify, workloads outside of the mesh have no checks. A gateway that is no longer ready has one of its own.
            var members = Verifiable(_mesh).Where(cluster => cluster is { Error: "", HasIstio: true })
                .ToDictionary(cluster => cluster.Context, StringComparer.Ordinal);
            var reached = _reached.Where(reach => members.TryGetValue(reach.To, out var to)
                && to.Gateways.Any(gateway => gateway.Name == reach.Gateway && gateway.ReadyEndpoints > 0));
            return [.. _checks, .. GatewayReachReader.Checks(reached), .. analysis.Workloads.Where(check => members.ContainsKey(check.Cluster))];
        }
    }

    public void Dispose()
    {
        _sampler.Dispose();
        _readNow.Dispose();
        _analyzeNow.Dispose();
        _sampleNow.Dispose();
        _chooseNow.Dispose();
        _reachNow.Dispose();
        _scrapeNow.Dispose();
        prometheus.Dispose();
    }

    /// <summary>Watches until <paramref name="stop"/>. The first reading does not wait for a page.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        events.Opened = ReadNow;
        await Task.WhenAll(RepeatAsync(ReadAsync, Reading, _readNow, stop), AfterFirstReadingAsync());

        // The first picture has the machine for itself.
        async Task AfterFirstReadingAsync()
        {
            await _firstReading.Task.WaitAsync(stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await Task.WhenAll(RepeatAsync(SampleAsync, Sampling, _sampleNow, stop), RepeatAsync(AnalyzeAsync, Analyzing, _analyzeNow, stop),
                RepeatAsync(ending => _chosen.AskAsync(_callers, ending), Choosing, _chooseNow, stop), RepeatAsync(ReachAsync, Reaching, _reachNow, stop),
                RepeatAsync(ending => prometheus.AskAsync(_mesh, ending), Scraping, _scrapeNow, stop));
        }
    }

    /// <summary>Does not wait for the next turn.</summary>
    public void ReadNow()
    {
        Start(_readNow);
        Start(_analyzeNow);
        Start(_reachNow);
        Start(_scrapeNow);
    }

    private static void Start(SemaphoreSlim signal)
    {
        try { signal.Release(); }
        catch (SemaphoreFullException) { /* It will start anyway. */ }
    }

    private async Task RepeatAsync(Func<CancellationToken, Task> work, TimeSpan pause, SemaphoreSlim now, CancellationToken stop)
    {
        var isFirst = true;
        while (!stop.IsCancellationRequested)
        {
            if (isFirst || events.HasListeners) await TryAsync(work, stop);
            isFirst = false;
            await ((Task)now.WaitAsync(pause, stop)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>What fails now may succeed at the next turn. The page says why it shows something older.</summary>
    private async Task TryAsync(Func<CancellationToken, Task> work, CancellationToken stop)
    {
        try
        {
            await work(stop);
        }
        catch (Exception e) when (e is ProblemException or KubeException or HttpRequestException or JsonException)
        {
            Publish("notice", e.Message, PageJson.Default.String);
        }
    }

    private async Task ReadAsync(CancellationToken stop)
    {
        try
        {
            // What is known first is shown first.
            var mesh = await reader.ReadAsync(stop, _topology is null ? ShowPart : null);
            var topology = TopologyBuilder.Build(mesh);
            (_mesh, _topology) = (mesh, topology);
            var known = Verifiable(mesh);
            _checks = known.Count > 0 ? MeshVerification.Run(known, time.GetUtcNow()) : [];
            Publish("topology", topology, PageJson.Default.Topology);
            Report();
            if (mesh.Clusters is [{ Facts.ErrorStatus: 401 }, ..]) Refused?.Invoke();
        }
        finally
        {
            _firstReading.TrySetResult();
        }
    }

    private void ShowPart(MeshState part)
    {
        _mesh = part;
        Publish("topology", TopologyBuilder.Build(part), PageJson.Default.Topology);
    }

    private async Task SampleAsync(CancellationToken stop)
    {
        if (_topology is not { } topology) return;
        var mesh = _mesh;
        // Proxies that a Prometheus scrapes are not asked a second time.
        var known = prometheus.Latest;
        var places = mesh.Clusters.Where(cluster => !known.Has(cluster.Name))
            .SelectMany(cluster => cluster.Proxies.Select(pod => new ProxyPlace(cluster.Access, pod.Metadata.Namespace, pod.Metadata.Name))).ToList();
        var rates = known.Join(await _sampler.SampleAsync(places, stop));
        var builder = new FlowBuilder(mesh, topology, _chosen.Of);
        _callers = builder.CallersAcross(rates);
        if (events.HasListeners && _callers.Keys.Any(caller => !_chosen.Knows(caller)) && time.GetUtcNow() >= _chooseAgain)
        {
            _chooseAgain = time.GetUtcNow() + Choosing;
            Start(_chooseNow);
        }
        var (flows, callers) = builder.Build(rates);
        _flows = flows;
        Publish("traffic", new TrafficPicture(time.GetUtcNow(), flows, callers, _sampler.Proxies.All, _sampler.Silent) { Prometheus = known.States },
            PageJson.Default.TrafficPicture);
    }

    private async Task AnalyzeAsync(CancellationToken stop)
    {
        await analysis.UpdateAsync(stop);
        _analyzed = time.GetUtcNow();
        if (_topology is not null) Report();
    }

    /// <summary>Packets that do not arrive are seen by no other check.</summary>
    private async Task ReachAsync(CancellationToken stop)
    {
        var reached = await AskAsync();
        if (reached.Any(reach => reach is { IsKnown: true, Error.Length: > 0 }))
        {
            // A gateway that is just restarting is not unreachable.
            await Task.Delay(Again, time, stop);
            reached = await AskAsync();
        }
        _reached = reached;
        if (_topology is not null) Report();

        Task<IReadOnlyList<GatewayReach>> AskAsync() =>
            GatewayReachReader.ReadAsync(Verifiable(_mesh), [.. _mesh.Clusters.Select(cluster => reader.Client(cluster.Context))], stop);
    }

    private void Report()
    {
        var (mesh, checks) = (_mesh, Checks);
        IReadOnlyList<ProblemRow> rows;
        lock (_ages) rows = _ages.Mark(Found(checks), _analyzed is null ? ["verify"] : ["verify", "analyze", "console"], time.GetUtcNow());
        Publish("problems",
            new ProblemReport(mesh.Time, _analyzed, checks.Count, MeshVerification.CountMeshes(Verifiable(mesh)), FailingCalls.Rank(rows, mesh, _flows),
            [.. mesh.Clusters.Where(cluster => cluster.Unverified.Length > 0).Select(cluster => $"{cluster.Context}: {cluster.Unverified}"),
                .. mesh.Clusters.SelectMany(cluster => cluster.Facts.Withheld.Select(part => $"{cluster.Context}: {part.Part}: {part.Why}"))]),
            PageJson.Default.ProblemReport);
    }

    private IReadOnlyList<ProblemRow> Found(IReadOnlyList<Check> checks)
    {
        var rows = ProblemRow.Join(checks, analysis.Findings);
        return _topology is { } topology ? DownServices.Add(rows, _mesh, topology, _flows) : rows;
    }

    private static IReadOnlyList<ClusterFacts> Verifiable(MeshState mesh) =>
        [.. mesh.Clusters.Where(cluster => cluster.Unverified.Length == 0).Select(cluster => cluster.Facts)];

    private void Publish<T>(string name, T value, JsonTypeInfo<T> type) => events.Publish(new(name, JsonSerializer.SerializeToUtf8Bytes(value, type)));
}

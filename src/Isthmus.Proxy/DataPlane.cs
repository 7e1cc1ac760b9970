using Isthmus.Core.Tasks;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Export;
using Isthmus.Proxy.Health;
using Isthmus.Proxy.Http;
using Isthmus.Proxy.Listeners;
using Isthmus.Proxy.Own;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Tcp;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Traffic;
using Isthmus.Proxy.Transports;
using Isthmus.Proxy.Udp;
using Isthmus.Proxy.Upstreams;
using Isthmus.Wire.Reports;
using Microsoft.Extensions.Logging;

namespace Isthmus.Proxy;

/// <summary>The composition root of the data plane: production and tests alike build everything here.</summary>
internal sealed partial class DataPlane : IDisposable
{
    private readonly ProxyPorts _ports;
    private readonly ActivityWatch _watch;
    private readonly AccessLogWriter _accessLogs;
    private readonly ListenerSockets _sockets;
    private readonly UdpListeners _udp;
    private readonly ConnectionHandler _handler;
    private readonly InternalListeners _internals;
    private readonly UpstreamConnector _connector;
    private readonly BackgroundTasks _background;
    private readonly Tracers _tracers;
    private readonly LogServices _logServices;
    private readonly LossReport _losses;
    private readonly TelemetryLosses _lost;
    private readonly RefusedPools _refused;
    private volatile bool _hasLeft;
    private int _sweeps;

    private DataPlane(ProxySettings settings, ProxyPorts ports, ISecretSource secrets, ILogFiles logFiles, ILoggerFactory logs)
    {
        _ports = ports;
        Settings = settings;
        Secrets = secrets;
        var messages = logs.CreateLogger<DataPlane>();
        ReportFailure = (task, e) => LogTaskFailed(messages, e, task);
        _background = new BackgroundTasks(ReportFailure);
        Connections = new Connections(settings.ListenerDrainTime, ports.Time, settings.MaxConnections);
        _watch = new ActivityWatch(ports.Time);
        _accessLogs = new AccessLogWriter(logFiles);
        MeshMetrics = new MeshMetrics(settings.Identity, settings.Buckets);
        Report = new Report(_accessLogs, MeshMetrics, new(ports.Time, settings.LossTime));
        var silence = new SilenceWatch(ports.Time);
        _watch.Each(silence.Look);
        _internals = new InternalListeners(Connections, TakeInternalAsync, ports.Time);
        _connector = new UpstreamConnector(new Dialer(ports.Sockets, silence, ports.Time), _internals, secrets, _background, ports.Time);
        var upstreams = new HttpUpstreams(_connector, _background, ports.Time, ports.Random);
        var exchange = new OwnExchange(upstreams, ports.Time);
        var health = new HealthChecks(new(exchange, _connector, ports), _background, logs.CreateLogger<HealthChecks>());
        State = new SnapshotState(ports, secrets, health.RunAsync, _background, settings.Identity.Address);
        var tcp = new TcpProxy(State, _connector, new HttpTunnels(upstreams, ports.Time), _watch, Report, ports, settings.Identity);
        var own = new OwnRequests(State, exchange);
        var authorizers = new Authorizers(own, Report.Access);
        _lost = new TelemetryLosses(ports.Time, settings.LossTime);
        _refused = new RefusedPools(ports.Time);
        var exports = new ExportParts(own, Report.Access, _lost, _background, ports.Time, settings.BatchTime);
        _tracers = new Tracers(exports, ports, settings.Identity);
        _accessLogs.Services = _logServices = new LogServices(exports, settings.Identity);
        var http = new HttpServer(new HttpParts(
            State, upstreams, _watch, Report, secrets, ports, settings.Identity, Connections, new DateField(ports.Time),
            new KeyStore(own, ports.Time, logs.CreateLogger<KeyStore>()), authorizers, new(own), _tracers));
        _handler = new ConnectionHandler(
            new Inspector(State, ports.Time), secrets, new ConnectionAccess(authorizers, Report.Access, secrets, ports.Time), new ConnectionActions(tcp, http),
            Report, ports, logs.CreateLogger<ConnectionHandler>());
        _sockets = new ListenerSockets(ports.Sockets, Connections, HandleAsync, _background, ports.Time, logs.CreateLogger<ListenerSockets>());
        _udp = new UdpListeners(State, Report.Udp, ports, _background, logs.CreateLogger<UdpListeners>());
        State.Published += snapshot =>
        {
            _handler.Publish(snapshot);
            _internals.Publish(snapshot);
            // Before new listeners accept: a connection whose listener is not known counts as one of a removed listener.
            Connections.Publish(snapshot);
            _sockets.Apply(snapshot);
            _udp.Apply(snapshot);
        };
        _watch.Each(Connections.Look);
        _watch.Each(Report.Open.Look);
        _watch.Each(_udp.Look);
        _losses = new LossReport(ports.Time, (counter, count) => LogLoss(messages, count, counter));
        _watch.Each(Housekeeping);
        Started = ports.Time.GetUtcNow();
    }

    public ProxySettings Settings { get; }

    public ISecretSource Secrets { get; }

    /// <summary>Receives the configuration.</summary>
    public SnapshotState State { get; }

    public Connections Connections { get; }

    public Report Report { get; }

    public MeshMetrics MeshMetrics { get; }

    public DateTimeOffset Started { get; }

    public ProxyPorts Ports => _ports;

    public long DroppedLogLines => _accessLogs.Dropped;

    /// <summary>What the control plane is told: the telemetry that is lost at present, what clients lately spoke where it was not expected, and what limits
    /// refused.</summary>
    public TelemetryReport Told()
    {
        var told = _lost.Report();
        told.Spoken.Add(Report.Spoken.Lately());
        told.Refused.Add(_refused.Of(State.Current.Clusters.Values));
        return told;
    }

    /// <summary>How many tasks that nobody awaits have failed.</summary>
    public long FailedTasks => _background.Failures;

    /// <summary>Logs the failure of a task that nobody awaits.</summary>
    public Action<string, Exception> ReportFailure { get; }

    public long AcceptPauses => _sockets.AcceptPauses;

    public IReadOnlyDictionary<string, string> ListenerFailures =>
        _udp.Failures.Count == 0 ? _sockets.Failures : _sockets.Failures.Concat(_udp.Failures).ToDictionary();

    private const string LostLines = "isthmus.access_log_lines_dropped_total", LostLabels = "isthmus.metric_series_overflows_total";

    private static readonly TimeSpan LastReports = TimeSpan.FromSeconds(1);

    /// <summary>The first listeners are configured and their sockets are open.</summary>
    public bool IsReady => !Connections.IsDraining && State.HasListeners && ListenerFailures.Count == 0;

    public static DataPlane Build(ProxySettings settings, ProxyPorts ports, ISecretSource secrets, ILogFiles logFiles, ILoggerFactory logs) =>
        new(settings, ports, secrets, logFiles, logs);

    /// <summary>Handles a connection that no listening socket accepted, as if one had.</summary>
    public void Take(Downstream connection, CancellationToken stop) => Connections.Add(connection, () => _handler.HandleAsync(connection, stop));

    /// <summary>Asks clients to connect elsewhere. The proxy keeps running, and later ends without a drain.</summary>
    public void Leave()
    {
        _hasLeft = true;
        Connections.Leave(outbound: Settings.Role == ProxySettings.Gateway);
    }

    /// <summary>Stops accepting, lets open work finish for at most <paramref name="longest"/>, then closes the rest.</summary>
    /// <param name="isPodEnding">Whether the whole Pod ends, not only the proxy. The application may then need calls of its own to finish, so
    /// a sidecar serves these all the time. Callers of the Pod are refused at once: proxies try another Pod when a connection fails, but not
    /// when the application has ended first and they get status 503.</param>
    public async Task DrainAsync(TimeSpan longest, bool isPodEnding = false)
    {
        if (_hasLeft) longest = TimeSpan.Zero;
        using var over = new CancellationTokenSource();
        var deadline = Task.Delay(longest, _ports.Time, over.Token);
        if (isPodEnding && Settings.Role != ProxySettings.Gateway)
        {
            _sockets.CloseInbound();
            await Connections.LeaveAsync(deadline, _ports.Time).ConfigureAwait(false);
        }
        var closed = CloseAsync(longest);
        var datagrams = DrainDatagramsAsync(closed, deadline);
        await Connections.DrainAsync(deadline, closed, _ports.Time).ConfigureAwait(false);
        await datagrams.ConfigureAwait(false);
        await over.CancelAsync().ConfigureAwait(false);
        // A collector that is away has this long.
        await Task.WhenAny(Task.WhenAll(_tracers.FlushAsync(), _logServices.FlushAsync()), Task.Delay(LastReports, _ports.Time)).ConfigureAwait(false);
    }

    /// <summary>Until its clients know that it is leaving, a gateway reports that it is not ready but still accepts connections.</summary>
    private async Task CloseAsync(TimeSpan longest)
    {
        if (Settings.Role == ProxySettings.Gateway) await Task.Delay(DrainTimes.Accepting(longest), _ports.Time).ConfigureAwait(false);
        _sockets.Close();
    }

    /// <summary>Clients of datagrams cannot be told to go elsewhere: they are served as long as connections are accepted, and until they pause.</summary>
    private async Task DrainDatagramsAsync(Task closed, Task deadline)
    {
        await Task.WhenAny(closed, deadline).ConfigureAwait(false);
        await _udp.DrainAsync(deadline).ConfigureAwait(false);
    }

    /// <summary>Stops accepting; connections in progress continue.</summary>
    public void CloseListeners() => _sockets.Close();

    public void Dispose()
    {
        _sockets.Dispose();
        _udp.Dispose();
        Connections.Cut();
        _tracers.Dispose();
        _logServices.Dispose();
        State.Dispose();
        _watch.Dispose();
        _accessLogs.Dispose();
    }

    // Its clusters begin only after the whole plane is built.
    private Task TakeInternalAsync(Downstream connection, CancellationToken stop) => _handler.HandleAsync(connection, stop);

    private Task HandleAsync(Downstream connection, CancellationToken stop)
    {
        if (!Connections.IsOverfull) return _handler.HandleAsync(connection, stop);
        Interlocked.Increment(ref Report.Downstream.Of(connection.Listener.Place).Refused);
        connection.Transport.Abort();
        return Task.CompletedTask;
    }

    private void Housekeeping()
    {
        if (_sockets.Failures.Count > 0) _sockets.Apply(State.Current);
        if (_udp.Failures.Count > 0) _udp.Apply(State.Current);
        State.Look();
        _losses.Look(Report.Access, (LostLines, DroppedLogLines), (LostLabels, MeshMetrics.Overflows));
        _lost.Look(new(TelemetryLoss.Types.Kind.Lines, LostLines, ""), TelemetryLoss.Types.Reason.OtherReason, DroppedLogLines);
        _lost.Look(new(TelemetryLoss.Types.Kind.Labels, LostLabels, ""), TelemetryLoss.Types.Reason.OtherReason, MeshMetrics.Overflows);
        foreach (var cluster in State.Current.Clusters.Values) _connector.ProveDoubted(cluster);
        // Idle connections are checked every few seconds: often enough to close those that hosts closed, rarely enough to cost nothing.
        if (Interlocked.Increment(ref _sweeps) % 5 != 0) return;
        foreach (var cluster in State.Current.Clusters.Values) cluster.Sweep();
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Internal error in a background task: {Task}")]
    private static partial void LogTaskFailed(ILogger log, Exception e, string task);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Telemetry is lost: {Counter} grew by {Count}; traffic is not affected")]
    private static partial void LogLoss(ILogger log, long count, string counter);
}

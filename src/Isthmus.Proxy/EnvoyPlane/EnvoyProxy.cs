using System.Net;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Tasks;
using Isthmus.Proxy.Admin;
using Isthmus.Proxy.Agent;
using Isthmus.Proxy.EnvoyPlane.Modules;
using Isthmus.Proxy.Dumps;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Traffic;
using Isthmus.Proxy.Transports;
using Microsoft.Extensions.Logging;

namespace Isthmus.Proxy.EnvoyPlane;

/// <summary>Envoy as the data plane of an agent: a program that the agent starts, configures and drains. The one does not live on without the other.</summary>
internal sealed partial class EnvoyProxy : IServedPlane
{
    private static readonly TimeSpan DrainStep = TimeSpan.FromMilliseconds(100), LastWords = TimeSpan.FromSeconds(3);

    private static readonly IPEndPoint Traces = new(IPAddress.Loopback, Ports.AgentDebug);

    private readonly AgentParts _parts;
    private readonly EnvoyAdmin _admin;
    private readonly ModuleStore _modules;
    private readonly DiscoveryForward _discovery;
    private readonly BootstrapSource _bootstrap;
    private readonly TracedPod _traced;
    private readonly CallReports _calls = new();
    private readonly BackgroundTasks _background;
    private readonly ILogger _log;
    private EnvoyProcess? _process;
    private volatile bool _hasLeft, _isDraining, _isEnding, _wasReady;

    public EnvoyProxy(AgentParts parts)
    {
        _parts = parts;
        _log = parts.Log.CreateLogger("envoy");
        ReportFailure = (task, e) => TaskFailed(_log, e, task);
        _background = new(ReportFailure);
        _admin = new(parts.Ports.Sockets.Place(parts.Proxy.Admin!));
        _modules = new(EnvoySockets.ModulesBelow(Directory), parts.Ports, parts.Settings.InsecureRegistries);
        var calls = new CallListeners(EnvoySockets.CallsBelow(Directory));
        _traced = new(parts, calls, _calls);
        _bootstrap = new(parts, parts.Log.CreateLogger("xds"));
        var wasm = parts.Log.CreateLogger("wasm");
        _discovery = new(
            parts.Dial, parts.Settings.Discovery, parts.Table is null ? null : parts.TakeNames, calls, () => new(_modules, parts.Ports.Time, wasm),
            parts.Log.CreateLogger("xds"));
    }

    public ProxySettings Settings => _parts.Proxy;

    private string Directory => Path.GetFullPath(Path.Combine(_parts.Files.Root.Length > 0 ? _parts.Files.Root : "/", _parts.Settings.ConfigPath));

    public ISocketFactory Sockets => _parts.Ports.Sockets;

    public Action<string, Exception> ReportFailure { get; }

    public AdminHandler? Admin => null;

    public AdminHandler Metrics =>
        (request, _) => ValueTask.FromResult(request.Target.StartsWith("/stats/prometheus"u8)
            ? Scrape.Reply(request, _parts.Proxy.CompressesScrapes, MetricsBody)
            : null);

    public AdminHandler Ready => ReadyAsync;

    public AdminBody MetricsBody => _admin.CopyMetricsAsync;

    /// <summary>Never: Envoy's own admin interface ends Envoy, and then the agent.</summary>
    public CancellationToken Quit => CancellationToken.None;

    /// <exception cref="Core.Problems.ProblemException">Envoy cannot be started, or has ended.</exception>
    public async Task RunAsync(CancellationToken stop)
    {
        var settings = _parts.Settings;
        var sockets = new EnvoySockets(Directory);
        var server = await sockets.StartAsync(_discovery, new(_parts.Secrets, _parts.Log.CreateLogger("secrets")), _calls, stop).ConfigureAwait(false);
        await using (server.ConfigureAwait(false))
        {
            // Whatever keeps it from serving, the traffic of the Pod does not need it.
            _background.Start("trace", () => new AdminServer(Traces, Sockets, ReportFailure, _traced.HandleAsync).RunAsync(stop));
            IReadOnlyList<JsonObject> patches;
            try
            {
                patches = await _bootstrap.ReadAsync(stop).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
            if (_isEnding) return;
            var bootstrap = EnvoyBootstrap.Write(_parts, sockets);
            foreach (var patch in patches) BootstrapMerge.Into(bootstrap, patch);
            if (patches.Count > 0) Patched(_log);
            await File.WriteAllTextAsync(sockets.Bootstrap, bootstrap.ToJsonString(), stop).ConfigureAwait(false);
            _process = EnvoyProcess.Start(settings.BinaryPath, EnvoyBootstrap.Arguments(settings, sockets));
            try
            {
                await _process.WaitAsync(stop).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                _process.Kill();
                return;
            }
            if (!_isEnding) throw _process.Ended(_wasReady, patches.Count > 0);
        }
    }

    public void Leave()
    {
        (_hasLeft, _isDraining) = (true, true);
        // Answers ask clients to connect elsewhere from now on.
        _background.Start("leave", () => _admin.PostAsync("/healthcheck/fail", CancellationToken.None).AsTask());
    }

    public async Task DrainAsync(TimeSpan longest, bool isPodEnding)
    {
        _isDraining = true;
        if (_hasLeft) longest = TimeSpan.Zero;
        using var over = new CancellationTokenSource(longest, _parts.Ports.Time);
        var isGateway = Settings.Role == ProxySettings.Gateway;
        await _admin.PostAsync("/healthcheck/fail", CancellationToken.None).ConfigureAwait(false);
        if (isGateway)
        {
            await Task.Delay(DrainTimes.Accepting(longest), _parts.Ports.Time).ConfigureAwait(false);
            await _admin.PostAsync("/drain_listeners", CancellationToken.None).ConfigureAwait(false);
        }
        else if (isPodEnding)
        {
            // As with the data plane of this process: the application may need others until its end.
            await _admin.PostAsync("/drain_listeners?inboundonly", CancellationToken.None).ConfigureAwait(false);
            await Task.Delay(Timeout.InfiniteTimeSpan, _parts.Ports.Time, over.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        else await _admin.PostAsync("/drain_listeners", CancellationToken.None).ConfigureAwait(false);
        while (!over.IsCancellationRequested && await _admin.ConnectionsAsync(CancellationToken.None).ConfigureAwait(false) is > 0)
            await Task.Delay(DrainStep, _parts.Ports.Time, over.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await EndAsync().ConfigureAwait(false);
    }

    public void Dispose()
    {
        _process?.Dispose();
        _admin.Dispose();
        _modules.Dispose();
    }

    /// <summary>Envoy ends by itself, so that it writes its access logs to the end.</summary>
    private async Task EndAsync()
    {
        _isEnding = true;
        if (_process is not { } process) return;
        await _admin.PostAsync("/quitquitquit", CancellationToken.None).ConfigureAwait(false);
        using var enough = new CancellationTokenSource(LastWords, _parts.Ports.Time);
        await process.WaitAsync(enough.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        process.Kill();
    }

    private async ValueTask<AdminReply?> ReadyAsync(RequestHead request, CancellationToken stop)
    {
        if (request.TargetText is not ("/ready" or "/healthz/ready")) return null;
        if (_isDraining) return AdminReply.Text("DRAINING\n", 503);
        // As in Istio: without the first table, the DNS proxy would refuse the names of the mesh.
        if (!_discovery.IsConfigured || (_parts.Table is { } table && table() is null) || !await _admin.IsLiveAsync(stop).ConfigureAwait(false))
            return AdminReply.Text("PRE_INITIALIZING\n", 503);
        _wasReady = true;
        return AdminReply.Text("LIVE\n");
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "EnvoyFilters change the bootstrap of Envoy (applyTo: BOOTSTRAP)")]
    private static partial void Patched(ILogger log);

    [LoggerMessage(Level = LogLevel.Error, Message = "Internal error in a background task: {Task}")]
    private static partial void TaskFailed(ILogger log, Exception e, string task);
}

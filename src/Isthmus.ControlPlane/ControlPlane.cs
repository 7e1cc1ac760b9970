using System.Net;
using Isthmus.ControlPlane.Addresses;
using Isthmus.ControlPlane.Ca;
using Isthmus.ControlPlane.Clusters;
using Isthmus.ControlPlane.Debug;
using Isthmus.Graph.Derive;
using Isthmus.ControlPlane.GatewayApi;
using Isthmus.Graph.History;
using Isthmus.ControlPlane.Ingresses;
using Isthmus.Graph.Intake;
using Isthmus.ControlPlane.LastKnown;
using Isthmus.ControlPlane.Mcs;
using Isthmus.ControlPlane.PastChanges;
using Isthmus.ControlPlane.Push;
using Isthmus.ControlPlane.Resolve;
using Isthmus.ControlPlane.Running;
using Isthmus.Graph.Settings;
using Isthmus.ControlPlane.Statuses;
using Isthmus.ControlPlane.Webhooks;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Injection;
using Isthmus.Kubernetes.Client;
using Isthmus.Mesh.Config;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Xds;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Address = Isthmus.Core.Net.Address;

namespace Isthmus.ControlPlane;

/// <summary>What a control plane needs from its environment: everything that a test may replace.</summary>
/// <param name="ConfigCluster">The cluster whose proxies, webhooks and Istio resources are ours.</param>
/// <param name="Home">The cluster that runs our Pod, if it is not the configuration cluster. It holds the CA, the settings
/// of mesh and injector and, if configured so, the remote secrets.</param>
/// <param name="Address">The only address to listen on. Null for all addresses, as in a Pod; then the port without
/// authentication is on the loopback address.</param>
/// <param name="Log">Receives the log; null for the console.</param>
public sealed record ControlPlanePorts(
    TimeProvider Time, Random Random, ClusterAccess ConfigCluster, INameClient Names, ClusterAccess? Home = null, IPAddress? Address = null,
    ILoggerProvider? Log = null);

/// <summary>One control plane: it creates every part, and runs until stopped.</summary>
public sealed partial class ControlPlane : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ILoggerFactory _logs;
    private readonly PushEngine _engine;
    private readonly AddressTable _addresses;
    private readonly ClusterSet _clusters;
    private readonly ChangeHistory _history;
    private readonly LastKnownGood _lastKnown;
    private readonly GatewayNames _gatewayNames;
    private readonly KeyClient _keyClient;
    private readonly IssuerKeys _issuerKeys;
    private readonly SecretReaders _secretReaders;
    private readonly CaState _ca;
    private readonly ServingTls _tls;
    private readonly ClusterDuties _duties;
    private readonly ManagedRemotes _managed;
    private readonly ReviewCredentials? _reviewers;
    private readonly RemoteRoots _roots;
    private readonly InjectorState _injector;
    private readonly DiscoverySettings _settings;
    private readonly ControlPlanePorts _ports;
    private readonly KubeClient _client;
    private readonly KubeClient _home;
    private readonly ClusterReport _report;
    private readonly Supervisor _tasks;
    private readonly Readiness _readiness;
    private readonly LogLevels _levels = new();

    private ControlPlane(DiscoverySettings settings, ControlPlanePorts ports)
    {
        (_settings, _ports, _keyClient) = (settings, ports, new(settings.BlockedKeyRanges));
        _client = new KubeClient(ports.ConfigCluster, "isthmus-discovery");
        _home = ports.Home is { } home ? new KubeClient(home, "isthmus-discovery") : _client;
        var tlsSource = new CaHolder();
        var tls = _tls = new ServingTls(() => tlsSource.State?.Current, settings, ports.Time, LeadsHere);
        var builder = Listening.Builder(settings, tls, _levels, ports.Address, ports.Log);
        builder.Services.AddSingleton(ports.Time);
        _app = builder.Build();
        _logs = _app.Services.GetRequiredService<ILoggerFactory>();

        _tasks = new(ports.Time, new Random(ports.Random.Next()), _logs.CreateLogger<Supervisor>());
        _injector = new(_home, settings, ports.Time, _logs.CreateLogger<InjectorState>());
        _ca = new(_home, settings.Namespace, () => _injector.Current.TrustDomain, ports.Time, _logs.CreateLogger<CaState>());
        tlsSource.State = _ca;
        if (settings.Webhook.CallersSecret.Length > 0) _reviewers = new(_home, settings, ports.Time, _logs.CreateLogger<ReviewCredentials>());
        _roots = new(_ca, settings.Namespace, ports.Time);
        var kinds = new MeshKinds(settings.MultiCluster, settings.MeshConfigMap, settings.Revision is "" ? "default" : settings.Revision,
            _logs.CreateLogger<MeshKinds>())
            {
                Settings =
                {
                    AcceptHttp10 = settings.AcceptHttp10, QuicListeners = settings.QuicListeners, SendsUnready = settings.SendsUnready,
                    Tunnels = settings.Tunnels,
                },
                Ignored = settings.Ignored, Secrets = settings.Secrets
            };
        var writer = new MeshWriter(new MeshGraph(settings.MultiCluster) { SecretNamespaces = settings.Secrets.Namespaces }, new(settings.AllocatedRanges),
            kinds) { History = _history = new(ports.Time) };
        _ca.Written += (verb, write) =>
            _history.NoteApart(new(new(settings.ClusterId, MeshApi.Secret.Name, settings.Namespace, WellKnown.CaCerts), verb, Reach.Everything, write));
        writer.HoldAllocation();
        _engine = new(writer, new(settings.DebounceAfter, settings.DebounceMax), ports.Time, _logs.CreateLogger<PushEngine>());
        _addresses = new(_client, settings.Namespace, _engine, ports.Time, _logs.CreateLogger<AddressTable>());
        var objects = new MeshObjects(change => _engine.PostAsync(change, CancellationToken.None), _engine.Metrics);
        var mesh = new WatchedMesh(new(kinds, settings.Namespace, _home), objects, _tasks, ports.Time);
        _clusters = new(settings, mesh.Watch(new(settings.ClusterId, "", ports.ConfigCluster), 0), settings.SecretsAtHome ? _home : _client, mesh, ports.Time,
            _logs.CreateLogger<ClusterSet>());
        _duties = new(_client, settings, validating: true, ports.Home is null ? null : ports.Names, _ca, ports.Time, _logs);
        _managed = new(settings, client => new(client, settings, validating: false, ports.Names, _ca, ports.Time, _logs), _tasks, ports.Time,
            _logs.CreateLogger<ManagedRemotes>());
        _clusters.Changed += _managed.Changed;
        _report = new(_clusters, _roots, _managed, ports.Time);
        _lastKnown = new(new(_client, settings.Namespace, ports.Time), _clusters, objects, _engine, ports.Time, _logs.CreateLogger<LastKnownGood>());
        _gatewayNames = new(_engine, ports.Names, ports.Time, _logs.CreateLogger<GatewayNames>());
        _issuerKeys = new(_engine, _keyClient, ports.Time, _logs.CreateLogger<IssuerKeys>());
        _secretReaders = new(_engine, _clusters.ClientOf, ports.Time, _logs.CreateLogger<SecretReaders>());
        _readiness = new(Awaited, ports.Time, _logs.CreateLogger<Readiness>());
        MapEndpoints();
    }

    /// <summary>Whether a Service of a revision tag has the label of this revision.</summary>
    private bool LeadsHere(string service) =>
        _engine.Mesh.Sources.Services.Items.TryGetValue(new(_settings.ClusterId, _settings.Namespace, service), out var found)
        && found.Labels.GetValueOrDefault(Labels.Revision) == (_settings.Revision.Length == 0 ? "default" : _settings.Revision);

    /// <summary>Creates a control plane. Nothing runs and no port is open before <see cref="RunAsync"/>.</summary>
    public static ControlPlane Build(DiscoverySettings settings, ControlPlanePorts ports) => new(settings, ports);

    /// <summary>Runs until stopped. A part that fails is restarted. Only ports that cannot be opened end the control
    /// plane.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        _tasks.Keep("push engine", _engine.RunAsync);
        _tasks.Keep("injector settings", _injector.RunAsync);
        _tasks.Keep("remote secrets", _clusters.RunAsync);
        _tasks.Keep("CA", LoadCaAsync);
        if (_reviewers is { } reviewers) _tasks.Keep("credentials of API servers", reviewers.RunAsync);
        _tasks.Start("readiness", BecomeReadyAsync);
        _tasks.Start("log of what readiness waits for", _readiness.LogAsync);
        _tasks.Keep("duties for the own cluster", _duties.RunAsync);
        _tasks.Keep("allocated addresses", _addresses.RunAsync);
        _tasks.Keep("comparison of roots", ended => _roots.RunAsync(() => _clusters.Remotes.Values, ended));
        _tasks.Keep("snapshots of clusters", _lastKnown.RunAsync);
        _tasks.Keep("multi-cluster services",
            new MultiClusterController(_client, _settings, _engine, _ports.Time, _logs.CreateLogger<MultiClusterController>()).RunAsync);
        _tasks.Keep("gateway host names", _gatewayNames.RunAsync);
        _tasks.Keep("keys of issuers", _issuerKeys.RunAsync);
        _tasks.Keep("status of RequestAuthentications",
            new IssuerKeyStatus(_client, _settings.ClusterId, _engine, _issuerKeys, _ports.Time, _logs.CreateLogger<IssuerKeyStatus>()).RunAsync);
        _tasks.Keep("access of gateways to Secrets", _secretReaders.RunAsync);
        _tasks.Keep("events about gateways", new GatewayEvents(_client, _engine, _ports.Time, _logs.CreateLogger<GatewayEvents>()).RunAsync);
        _tasks.Keep("status of Telemetries", new TelemetryStatus(_client, _engine, _ports.Time, _logs.CreateLogger<TelemetryStatus>()).RunAsync);
        _tasks.Keep("status of invalid objects",
            new InvalidObjects(_client, _settings.ClusterId, _engine, _ports.Time, _logs.CreateLogger<InvalidObjects>()).RunAsync);
        _tasks.Keep("status of owners", new OwnerStatus(_client, _settings.ClusterId, _engine, _ports.Time, _logs.CreateLogger<OwnerStatus>()).RunAsync);
        _tasks.Keep("status of Ingresses", new IngressStatus(_client, _settings, _engine, _ports.Time, _logs).RunAsync);
        if (_settings.GatewayApi.Reads)
            _tasks.Keep("Gateway API", new GatewayApiDuties(_client, _settings, _engine, () => _injector.Current, _ports.Time, _logs).RunAsync);
        _tasks.Keep("telemetry that is lost", new LossStatus(_client, _engine, _ports.Time, _logs.CreateLogger<LossStatus>()).RunAsync);
        _tasks.Keep("history of changes", new HistoryStore(_client, _settings, _history, _ports.Time, _logs).RunAsync);
        _tasks.Keep("memory after bursts", new IdleMemory(_ports.Time).RunAsync);
        var serving = ServeAsync(stop);
        await Task.WhenAny(serving, Task.Delay(Timeout.Infinite, stop));
        await _tasks.DisposeAsync();
        await serving;
    }

    private static readonly TimeSpan StreamPatience = TimeSpan.FromSeconds(1);

    /// <summary>How long a proxy that does not acknowledge its first state keeps others waiting.</summary>
    private static readonly TimeSpan FirstStatePatience = TimeSpan.FromSeconds(5);

    public async ValueTask DisposeAsync()
    {
        await _tasks.DisposeAsync();
        await _clusters.DisposeAsync();
        await _app.DisposeAsync();
        _keyClient.Dispose();
        _client.Dispose();
        _home.Dispose();
    }

    private async Task ServeAsync(CancellationToken stop)
    {
        await _app.StartAsync(stop);
        await Task.Delay(Timeout.Infinite, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        // Proxies keep a stream open. A stream that this control plane no longer feeds must end, so that the proxy connects
        // to another one.
        using var patience = new CancellationTokenSource(StreamPatience, _ports.Time);
        await _app.StopAsync(patience.Token);
    }

    /// <summary>The trust domain in the mesh settings determines the name of the first root.</summary>
    private async Task LoadCaAsync(CancellationToken stop)
    {
        await _injector.Ready.WaitAsync(stop);
        await _ca.RunAsync(stop);
    }

    private async Task BecomeReadyAsync(CancellationToken stop)
    {
        await Task.WhenAll(_injector.Ready, _ca.Ready, _addresses.Loaded, _lastKnown.Restored).WaitAsync(stop);
        await _clusters.ReadyAsync(stop);
        await Task.WhenAll(_gatewayNames.SettleAsync(stop), _issuerKeys.SettleAsync(stop));
        await _engine.MarkReadyAsync(stop);
        _readiness.Set();
        NowReady(_logs.CreateLogger<ControlPlane>(), _settings.ClusterId, _settings.Revision);
    }

    private void MapEndpoints()
    {
        Listening.Separate(_app, _settings);
        var callers = new CallerCheck(_clusters.ClientOf, _settings, () => _injector.Current.TrustDomain, _logs.CreateLogger<CallerCheck>());
        new CertificateEndpoint(_ca, callers, _settings, _ports.Time, _logs.CreateLogger<CertificateEndpoint>())
        {
            Metrics = _engine.Metrics,
            Accounts = new(_clusters.ClientOf, _clusters.IsKnown, _engine.Mesh.Sources, _settings, _ports.Time, _logs.CreateLogger<AccountCheck>()),
            NodeAccounts = new(_engine.Mesh.Sources, _clusters.IsKnown, _settings, () => _injector.Current.TrustDomain,
                _logs.CreateLogger<NodeAccountCheck>()),
        }.Map(_app);
        var identity = Identity(_settings);
        var owner = new HistoryOwner(_settings.ClusterId, _settings.PodName);
        var pages = new DebugEndpoints(_report, _lastKnown, _gatewayNames,
            MeshPages.All(_engine, $"ConfigMap {_settings.Namespace}/{_settings.MeshConfigMap}", OtherProblems, _ports.Time)
                .Append(SourcePage.For(_engine, _report, _settings.ClusterId))
            .Append(HistoryPage.For(_engine, _history, owner, _ports.Time)).Append(DistributionPage.For(_engine, _clusters.Config))
            .Concat(ProxyPages.All(_engine, _clusters.Config)).ToDictionary(StringComparer.Ordinal))
        {
            Revision = _settings.Revision, Preview = new(new(_engine, _settings.MultiCluster, _settings.ClusterId, _ports.Time), owner),
        };
        pages.Map(_app);
        var debug = new AuthorizedDebug(new XdsDebugAnswers(_engine, pages), callers, _settings.Namespace, _settings.Listen.Plain);
        var xds = new XdsServer(new AuthorizedFeeds(new MeshFeeds(_engine), callers, _settings.Listen.Plain),
            new(identity, FirstStates: new(_settings.PushThrottle, FirstStatePatience, _ports.Time))
        {
            Clock = _ports.Time, Limits = _settings.Xds, Refused = reason => _engine.Metrics.Count("isthmus_xds_refused_total", $"reason=\"{reason}\""),
        }, _ports.Random) { Debug = debug };
        xds.Map(_app);
        var reviews = new ReviewCallers(_settings.Webhook, _reviewers, PodAt, _engine.Metrics, _ports.Time, _logs.CreateLogger<ReviewCallers>());
        new WebhookEndpoints(() => _injector.Current, SidecarsIn, () => _engine.Mesh.Sources.ProxyConfigs.Items.Values, reviews,
            _logs.CreateLogger<WebhookEndpoints>())
            {
                Metrics = _engine.Metrics, Admitted = _history.Admitted, Unread = _settings.Ignored,
                ForeignClaims = value => _engine.Mesh.ForeignClaimsOf(value), Proxies = () => _engine.Proxies.Select(feed => feed.Proxy),
                Mesh = () => _engine.Mesh.Sources.Settings.Items.GetValueOrDefault("")?.Mesh
            }.Map(_app);
        new HistoryWebhook(_settings.ClusterId, _clusters.Remotes.ContainsKey, _history, reviews).Map(_app);
        new ControlZ(_levels).Map(_app);
        new MetricsPage(_engine, _report, _lastKnown, _tasks, _ports.Time, () => xds.HeldBytes,
            new(_settings.ClusterId, $"{_settings.Namespace}/{_settings.PodName}", _ca, _tls, _engine.Mesh,
            () => _duties.WebhookBundles.Select(kept => (_settings.ClusterId, kept.Object, kept.Bundle)).Concat(_managed.WebhookBundles))).Map(_app);
        // Version, revision and build status: istioctl takes the last two off.
        _app.MapGet("/version", (RequestDelegate)(http => http.Response.WriteAsync($"{Version}-unknown-unknown", http.RequestAborted)));
        _app.MapGet("/ready", (RequestDelegate)_readiness.AnswerAsync);
    }

    /// <summary>What is wrong beside the objects of the mesh.</summary>
    private IEnumerable<Problem> OtherProblems(MeshGraph mesh)
    {
        if (_ca.Problem is { } problem) yield return problem;
        foreach (var unfetched in KeyFailure.Problems(mesh.Sources.RequestAuthentications.Items.Values, _issuerKeys.Failures)) yield return unfetched;
    }

    private NativeSidecars SidecarsIn(string? cluster) => new(_settings.NativeSidecars,
        _engine.Mesh.Sources.Nodes.Items.Where(node => node.Key.Cluster == (cluster ?? _settings.ClusterId))
            .Select(node => KeyValuePair.Create(node.Key.Name, node.Value.Kubelet)).ToValueMap());

    /// <summary>The Pod of the own cluster that has an address. Those of its system may be the way of API servers to us (konnectivity, gateways before
    /// an external control plane), those in a Node's network have its address, and the addresses of other networks say nothing.</summary>
    private string? PodAt(IPAddress address)
    {
        if (_ports.Home is not null) return null;
        var (ip, sources, root) = (Address.Of(address), _engine.Mesh.Sources, _injector.Current.RootNamespace);
        var found = sources.Workloads.Items.Values.Where(pod => pod.IsPod && pod.Cluster == _settings.ClusterId && pod.Addresses.Contains(ip)).ToList();
        // A Pod that has ended keeps the address that another one has now.
        if (found.Count == 0
            || found.Exists(pod => pod.Source.Namespace is "kube-system" || pod.Source.Namespace == _settings.Namespace || pod.Source.Namespace == root))
            return null;
        var isNode = sources.Nodes.Items.Values.Any(node => node.Source.Cluster == _settings.ClusterId
            && node.InternalAddresses.Concat(node.ExternalAddresses).Any(known => known.Ip == ip));
        return isNode ? null : $"{found[0].Source.Namespace}/{found[0].Source.Name}";
    }

    private IEnumerable<string> Awaited()
    {
        foreach (var (name, done) in ((string, Task)[])[("the injector's settings", _injector.Ready), ("the allocated addresses", _addresses.Loaded),
            ("the snapshots of clusters", _lastKnown.Restored)])
        {
            if (!done.IsCompleted) yield return $"{name} are not read yet";
        }
        if (!_ca.Ready.IsCompleted) yield return _ca.Problem is { } problem ? $"the CA: {problem}" : "the CA is not loaded yet";
        foreach (var text in _clusters.Awaited()) yield return text;
    }

    private static string Version => typeof(ControlPlane).Assembly.GetName().Version?.ToString(3) ?? "";

    /// <summary>Shown to proxies with each response, as istiod does.</summary>
    private static Wire.Envoy.ControlPlane Identity(DiscoverySettings settings) => new()
    {
        Identifier = new System.Text.Json.Nodes.JsonObject
        {
            ["Component"] = "istiod", ["ID"] = settings.PodName,
            ["Info"] = new System.Text.Json.Nodes.JsonObject { ["version"] = Version },
            [TelemetryReports.Announcement] = new System.Text.Json.Nodes.JsonArray(TypeUrls.TelemetryReport),
        }.ToJsonString(),
    };

    [LoggerMessage(Level = LogLevel.Information, Message = "Ready: control plane of cluster {Cluster}, revision {Revision}")]
    private static partial void NowReady(ILogger log, string cluster, string revision);

    private sealed class CaHolder
    {
        internal CaState? State { get; set; }
    }
}

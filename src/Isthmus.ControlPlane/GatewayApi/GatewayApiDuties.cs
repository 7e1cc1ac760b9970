using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Clusters;
using Isthmus.ControlPlane.Push;
using Isthmus.Graph.Settings;
using Isthmus.Core.Names;
using Isthmus.Core.Tasks;
using Isthmus.Injection;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Watch;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model.GatewayApi;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.GatewayApi;

/// <summary>
/// What one control plane does for the Gateway API of its cluster: classes, deployments of Gateways, and statuses. The replicas of a revision elect one for
/// the objects that ask for the revision by their label, or by that of their namespace. Classes, and objects that ask for none, are for the default
/// revision, as in Istio: beside a control plane of Istio, that is usually Istio's.
/// </summary>
public sealed class GatewayApiDuties
{
    internal const string CommonLease = "isthmus-gateway-api";

    private static readonly TimeSpan Poll = TimeSpan.FromSeconds(1);

    private readonly KubeClient _client;
    private readonly DiscoverySettings _settings;
    private readonly PushEngine _engine;
    private readonly Func<InjectorValues> _values;
    private readonly TimeProvider _time;
    private readonly ILoggerFactory _logs;
    private readonly ServedKinds _served;
    private readonly RevisionNames _names;
    private readonly LeaderElection _common, _own;
    private readonly ApiStatusWriter _writer;
    private readonly StatusDuty _statuses;
    private volatile GatewayDeployments? _deployments;

    public GatewayApiDuties(KubeClient client, DiscoverySettings settings, PushEngine engine, Func<InjectorValues> values, TimeProvider time,
        ILoggerFactory logs)
    {
        (_client, _settings, _engine, _values, _time, _logs) = (client, settings, engine, values, time, logs);
        _served = new(client, new InformerSettings(), time);
        _names = new(client, settings.Revision, time);
        _common = ClusterDuties.Election(client, settings, CommonLease, time, logs);
        _own = ClusterDuties.Election(client, settings, $"{CommonLease}-{(settings.Revision.Length == 0 ? "default" : settings.Revision)}", time, logs);
        _writer = new(client, MayWrite, time, logs.CreateLogger<ApiStatusWriter>());
        _statuses = new(_served, _writer, engine, time);
    }

    /// <summary>Runs what the settings ask for.</summary>
    public Task RunAsync(CancellationToken stop) => Together.RunAsync(stop, _served.RunAsync, _names.RunAsync, LeadWhileDefaultAsync, LeadNamedAsync);

    private async Task LeadNamedAsync(CancellationToken stop)
    {
        await _names.Known.WaitAsync(stop).ConfigureAwait(false);
        await _own.RunAsync(LeadOwnAsync, stop).ConfigureAwait(false);
    }

    private async Task LeadWhileDefaultAsync(CancellationToken stop)
    {
        await _names.Known.WaitAsync(stop).ConfigureAwait(false);
        while (true)
        {
            // An election that is stopped ends without an exception.
            stop.ThrowIfCancellationRequested();
            var changed = _names.Changed;
            Again();
            if (!_names.IsDefault)
            {
                await changed.WaitAsync(stop).ConfigureAwait(false);
                continue;
            }
            using var ended = CancellationTokenSource.CreateLinkedTokenSource(stop);
            var leading = _common.RunAsync(LeadAllAsync, ended.Token);
            while (_names.IsDefault && !leading.IsCompleted)
            {
                changed = _names.Changed;
                await Task.WhenAny(leading, changed.WaitAsync(ended.Token)).ConfigureAwait(false);
                stop.ThrowIfCancellationRequested();
                Again();
            }
            await ended.CancelAsync().ConfigureAwait(false);
            await leading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (leading.IsFaulted) await leading.ConfigureAwait(false);
        }
    }

    /// <summary>Other objects than before may be this control plane's.</summary>
    private void Again()
    {
        _statuses.Again();
        _deployments?.Again();
    }

    private Task LeadAllAsync(CancellationToken stop)
    {
        Again();
        // Who leads decides which objects without a revision are this control plane's, also if it makes no classes.
        if (_settings.GatewayApi is { MakesClasses: false, WritesStatus: false }) return Task.Delay(Timeout.Infinite, stop);
        return new ClassDuty(_settings.GatewayApi, _client, _served, new(_client, _ => true, _time, _logs.CreateLogger<ApiStatusWriter>()), _engine, _time,
            _logs.CreateLogger<ClassDuty>()).RunAsync(stop);
    }

    private Task LeadOwnAsync(CancellationToken stop) => Together.RunAsync(stop,
    [
        .. _settings.GatewayApi.WritesStatus ? (Func<CancellationToken, Task>[])[_statuses.RunAsync] : [],
        .. _settings.GatewayApi.Deploys ? (Func<CancellationToken, Task>[])[DeployAsync] : [],
        token => Task.Delay(Timeout.Infinite, token),
    ]);

    /// <summary>Nothing is watched for clusters without Gateways.</summary>
    private async Task DeployAsync(CancellationToken stop)
    {
        while (true)
        {
            var (version, changed) = await _served.FindAsync(MeshApi.ApiGateway.Resource, MeshApi.ApiGateway.Versions, stop).ConfigureAwait(false);
            if (version is null)
            {
                await changed.WaitAsync(stop).ConfigureAwait(false);
                continue;
            }
            if (!_engine.IsReady || _engine.Mesh.Sources.ApiGateways.Count == 0)
            {
                await Task.Delay(Poll, _time, stop).ConfigureAwait(false);
                continue;
            }
            _deployments = new(_client, new(MeshApi.ApiGateway.In(version), _settings.ClusterId, _settings.Namespace, MayWrite, _values), _engine, _time,
                _logs.CreateLogger<GatewayDeployments>());
            using var ended = CancellationTokenSource.CreateLinkedTokenSource(stop);
            var running = _deployments.RunAsync(ended.Token);
            await WhileServedAsync(version, changed, running, stop).ConfigureAwait(false);
            await ended.CancelAsync().ConfigureAwait(false);
            _deployments = null;
            await running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (running.IsFaulted) await running.ConfigureAwait(false);
            stop.ThrowIfCancellationRequested();
        }
    }

    private async Task WhileServedAsync(string version, Task changed, Task running, CancellationToken stop)
    {
        while (await Task.WhenAny(running, changed.WaitAsync(stop)).ConfigureAwait(false) != running && !stop.IsCancellationRequested)
        {
            (var now, changed) = await _served.FindAsync(MeshApi.ApiGateway.Resource, MeshApi.ApiGateway.Versions, stop).ConfigureAwait(false);
            if (now != version) return;
        }
    }

    private bool MayWrite(JsonObject item) =>
        MayWrite((string?)item["metadata"]?["labels"]?[Labels.Revision] ?? "", (string?)item["metadata"]?["namespace"] ?? "");

    private bool MayWrite(ApiGateway gateway) => MayWrite(gateway.Labels.GetValueOrDefault(Labels.Revision) ?? "", gateway.Namespace);

    private bool MayWrite(string asked, string ns)
    {
        if (asked.Length == 0 && ns.Length > 0)
            asked = _engine.Mesh.Sources.Namespaces.Items.GetValueOrDefault(new(_settings.ClusterId, "", ns))?.Labels.GetValueOrDefault(Labels.Revision) ?? "";
        return asked.Length > 0 ? _names.Has(asked) : _common.Leading;
    }
}

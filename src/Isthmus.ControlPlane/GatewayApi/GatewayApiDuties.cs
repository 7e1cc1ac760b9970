using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Clusters;
using Isthmus.ControlPlane.Injection;
using Isthmus.ControlPlane.Push;
using Isthmus.ControlPlane.Settings;
using Isthmus.Core.Names;
using Isthmus.Core.Tasks;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Watch;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model.GatewayApi;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.GatewayApi;

/// <summary>
/// What one control plane does for the Gateway API of its cluster: classes, deployments of Gateways, and statuses. The replicas of a revision elect one for
/// the objects that ask for the revision by their label; all control planes elect one for those that ask for none.
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
    private readonly LeaderElection _common, _own;
    private readonly StatusWriter _writer;
    private readonly StatusDuty _statuses;
    private volatile GatewayDeployments? _deployments;

    public GatewayApiDuties(KubeClient client, DiscoverySettings settings, PushEngine engine, Func<InjectorValues> values, TimeProvider time, ILoggerFactory logs)
    {
        (_client, _settings, _engine, _values, _time, _logs) = (client, settings, engine, values, time, logs);
        _served = new(client, new InformerSettings(), time);
        _common = ClusterDuties.Election(client, settings, CommonLease, time, logs);
        _own = ClusterDuties.Election(client, settings, $"{CommonLease}-{(settings.Revision.Length == 0 ? "default" : settings.Revision)}", time, logs);
        _writer = new(client, MayWrite, time, logs.CreateLogger<StatusWriter>());
        _statuses = new(_served, _writer, engine, time);
    }

    public Task RunAsync(CancellationToken stop) => Together.RunAsync(stop, _served.RunAsync, token => _common.RunAsync(LeadAllAsync, token), token => _own.RunAsync(LeadOwnAsync, token));

    private Task LeadAllAsync(CancellationToken stop)
    {
        // Objects without a revision are this control plane's from now on.
        _statuses.Again();
        _deployments?.Again();
        return new ClassDuty(_client, _served, new(_client, _ => true, _time, _logs.CreateLogger<StatusWriter>()), _engine, _time, _logs.CreateLogger<ClassDuty>()).RunAsync(stop);
    }

    private Task LeadOwnAsync(CancellationToken stop) => Together.RunAsync(stop, _statuses.RunAsync, DeployAsync);

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
            _deployments = new(_client, new(MeshApi.ApiGateway.In(version), _settings.Namespace, MayWrite, _values), _engine, _time, _logs.CreateLogger<GatewayDeployments>());
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

    private bool MayWrite(JsonObject item) => (string?)item["metadata"]?["labels"]?[Labels.Revision] is { Length: > 0 } revision ? revision == _settings.Revision : _common.Leading;

    private bool MayWrite(ApiGateway gateway) => gateway.Labels.ContainsKey(Labels.Revision) || _common.Leading;
}

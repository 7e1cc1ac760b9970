using System.Collections.Concurrent;
using Isthmus.Graph.Derive;
using Isthmus.ControlPlane.Push;
using Isthmus.ControlPlane.Statuses;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Core.Tasks;
using Isthmus.Injection;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Mesh.Config.GatewayApi;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Microsoft.Extensions.Logging;
using ProxyConfig = Isthmus.Mesh.Model.ProxyConfig;

namespace Isthmus.ControlPlane.GatewayApi;

/// <summary>
/// Deploys the Gateways of our classes, and keeps what was made for them as it should be. API servers remove it with the Gateway, which owns it. Whatever
/// they refuse is in the Gateway's status.
/// </summary>
/// <param name="scope">What is deployed, and with what.</param>
internal sealed partial class GatewayDeployments(KubeClient client, DeploymentScope scope, PushEngine engine, TimeProvider time, ILogger log)
{
    private const int Workers = 4;

    private readonly MadeObjects _made = new(client, time);
    private readonly ParameterMaps _parameters = new(client, scope.SystemNamespace, time);
    private readonly WorkQueue<ObjectKey> _queue = new(time);

    /// <summary>What the Gateways were deployed with.</summary>
    private readonly ConcurrentDictionary<ObjectKey, Basis> _done = [];

    private readonly Rounds _rounds = new(time, TimeSpan.FromMilliseconds(200));

    /// <summary>Which Gateways are ours may have changed. From any thread.</summary>
    public void Again() => _rounds.Tell();

    public async Task RunAsync(CancellationToken stop)
    {
        await Together.RunAsync(stop,
            token => _made.RunAsync(item => Again(item.Namespace, item.Label), token), token => _parameters.RunAsync(_rounds.Tell, token),
            token => _rounds.AfterAsync([Trigger.Commit(engine)], CompareAsync, token), token => _queue.RunAsync(Workers, DeployAsync, Failed, token))
            .ConfigureAwait(false);
    }

    /// <summary>Somebody else has changed an object of a Gateway, or it is ours that arrives.</summary>
    private void Again(string ns, string label)
    {
        foreach (var key in _done.Keys.Where(key => key.Namespace == ns && GatewayNaming.LabelOf(key.Name) == label)) _queue.Add(key);
    }

    /// <summary>Finds the Gateways that differ from what they were deployed with.</summary>
    private async Task<NextRound> CompareAsync(CancellationToken stop)
    {
        if (!engine.IsReady) return NextRound.Soon;
        await Task.WhenAll(_made.Answered, _parameters.Answered).WaitAsync(stop).ConfigureAwait(false);
        var orders = GatewayOrders.Of(engine.Mesh).Where(order => scope.MayWrite(order.Gateway)).ToDictionary(order => order.Key);
        if ((_made.Refusal ?? _parameters.Refusal) is { } refusal)
        {
            // Roles of an earlier installation do not include the objects.
            foreach (var key in orders.Keys) await TellAsync(key, Of(refusal), stop).ConfigureAwait(false);
            return NextRound.Soon;
        }
        foreach (var key in orders.Keys.Where(key => !_done.TryGetValue(key, out var done) || done != BasisOf(orders[key]))) _queue.Add(key);
        foreach (var key in _done.Keys.Where(key => !orders.ContainsKey(key)).ToList())
        {
            _done.TryRemove(key, out _);
            await TellAsync(key, null, stop).ConfigureAwait(false);
        }
        foreach (var key in LeftBehind(orders)) _queue.Add(key);
        return NextRound.AtChange;
    }

    /// <summary>Gateways for which something was made, and that are not to be deployed any more.</summary>
    private IEnumerable<ObjectKey> LeftBehind(Dictionary<ObjectKey, GatewayOrder> orders) => _made.Owners
        .Select(owner => new ObjectKey(scope.Cluster, owner.Namespace, owner.Name)).Where(key => !orders.ContainsKey(key) && Retired(key) is not null);

    /// <summary>A Gateway of this control plane whose class is another controller's now, or that is bound to a Service of somebody else. Null: it is not one.
    /// A class that does not exist says nothing: it may come back, and Pods that were removed would be missing until then.</summary>
    private ApiGateway? Retired(ObjectKey key)
    {
        var sources = engine.Mesh.Sources;
        if (!sources.ApiGateways.Items.TryGetValue(key, out var gateway) || !scope.MayWrite(gateway)) return null;
        // A host that is no Service serves nothing in its place.
        if (GatewayNaming.BoundService(gateway) is { } bound)
            return bound.Name.Length == 0 || _made.HasService(bound.Namespace, bound.Name, gateway) ? null : gateway;
        return sources.GatewayClasses.Items.TryGetValue(new(key.Cluster, "", gateway.Class), out var known) && !GatewayClasses.Deploys(known.Controller)
            ? gateway
            : null;
    }

    /// <summary>Removes what was made for a Gateway that is not to be deployed any more.</summary>
    private async Task ClearAsync(ObjectKey key, CancellationToken stop)
    {
        if (Retired(key) is not { } known) return;
        // What the API server says now: an event about it may be on its way.
        if (await client.FindAsync(scope.Gateways, key.Namespace, key.Name, stop).ConfigureAwait(false) is not { } gateway
            || ApiGatewayReader.Read(key.Cluster, gateway) is var read
            && (read.Class != known.Class || read.Addresses != known.Addresses)) return;
        await _made.RemoveOthersAsync(known, gateway["metadata"]!["uid"]!.ToString(), [], stop).ConfigureAwait(false);
    }

    private Basis BasisOf(GatewayOrder order)
    {
        var current = scope.Values();
        var sources = engine.Mesh.Sources;
        try
        {
            order = order with
            {
                Parameters = _parameters.For(order.Gateway, sources.GatewayClasses.Items.GetValueOrDefault(new(order.Key.Cluster, "", order.Gateway.Class)))
            };
            var labels = GatewayObjects.PodLabels(order).Select(label => KeyValuePair.Create(label.Key, label.Value?.ToString() ?? "")).ToValueMap();
            var configs = ProxyConfig.For(sources.ProxyConfigs.Items.Values, current.RootNamespace, order.Gateway.Namespace, labels).ToValueList();
            return new(order, current, configs, null);
        }
        catch (ProblemException e)
        {
            return new(order, current, [], e.Problem);
        }
    }

    private async Task DeployAsync(ObjectKey key, CancellationToken stop)
    {
        if (GatewayOrders.Of(engine.Mesh, key) is not { } order)
        {
            await ClearAsync(key, stop).ConfigureAwait(false);
            return;
        }
        if (!scope.MayWrite(order.Gateway)) return;
        var basis = BasisOf(order);
        _done[key] = basis;
        if (await client.FindAsync(scope.Gateways, key.Namespace, key.Name, stop).ConfigureAwait(false) is not { } gateway
            || gateway["metadata"]?["deletionTimestamp"] is not null)
            return;
        var uid = gateway["metadata"]!["uid"]!.ToString();
        try
        {
            if (basis.Problem is { } invalid) throw new ProblemException(invalid);
            var objects = GatewayObjects.Of(basis.Order, uid, basis.Values.With(basis.Configs));
            string? trouble = null;
            foreach (var item in objects) trouble = await _made.PutAsync(item, stop).ConfigureAwait(false) ?? trouble;
            await _made.RemoveOthersAsync(basis.Order.Gateway, uid, objects, stop).ConfigureAwait(false);
            var failure = _made.FailureOf(key.Namespace, basis.Order.ServiceName);
            await TellAsync(key, trouble is not null ? new(false, "Invalid", trouble) : failure is not null ? Of(failure) : null, stop).ConfigureAwait(false);
        }
        catch (ProblemException e)
        {
            await TellAsync(key, new(true, "InvalidParameters", e.Problem.ToString()), stop).ConfigureAwait(false);
        }
        catch (KubeException e) when (e is { IsConflict: false, IsBusy: false, Code: < 500 } || IsMistyped(e))
        {
            await TellAsync(key, Of(e.Message), stop).ConfigureAwait(false);
            // A quota or a right may change without a sign.
            throw;
        }
    }

    /// <summary>A ConfigMap has a value of another type than the field: API servers answer an apply of it with status 500.</summary>
    private static bool IsMistyped(KubeException e) => e.Code == 500 && e.Message.Contains("failed to create typed patch object", StringComparison.Ordinal);

    /// <summary>An API server that refuses says why.</summary>
    private static GatewayTrouble Of(string refusal) => new(false,
        refusal.Contains("quota", StringComparison.Ordinal) ? "NoResources"
            : refusal.Contains("spec.clusterIP", StringComparison.Ordinal) ? GatewayTrouble.NoAddress : "Invalid", refusal);

    private async Task TellAsync(ObjectKey key, GatewayTrouble? trouble, CancellationToken stop)
    {
        if (engine.Mesh.Sources.GatewayTroubles.Items.GetValueOrDefault(key) == trouble) return;
        await engine.PostAsync(writer =>
        {
            if (trouble is null) writer.Mesh.Sources.GatewayTroubles.Remove(key);
            else writer.Mesh.Sources.GatewayTroubles.Put(key, trouble);
        }, stop).ConfigureAwait(false);
    }

    private void Failed(ObjectKey key, Exception e) => NotDeployed(log, $"{key.Namespace}/{key.Name}", e.Message);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Gateway {Name} is not deployed; retrying: {Reason}")]
    private static partial void NotDeployed(ILogger log, string name, string reason);

    /// <summary>All that the objects of a Gateway follow from.</summary>
    /// <param name="Problem">Why it cannot be deployed.</param>
    private sealed record Basis(GatewayOrder Order, InjectorValues Values, ValueList<ProxyConfig> Configs, Problem? Problem);
}

/// <param name="Gateways">The kind Gateway, in a version that is served.</param>
/// <param name="Cluster">The cluster of the control plane.</param>
/// <param name="SystemNamespace">Its namespace.</param>
/// <param name="MayWrite">Whether a Gateway is this control plane's.</param>
/// <param name="Values">The settings of the injector.</param>
internal sealed record DeploymentScope(ResourceKind Gateways, string Cluster, string SystemNamespace, Func<ApiGateway, bool> MayWrite,
    Func<InjectorValues> Values);

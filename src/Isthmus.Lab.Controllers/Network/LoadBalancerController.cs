using System.Collections.Immutable;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Lab.Controllers.Framework;

namespace Isthmus.Lab.Controllers.Network;

/// <summary>Assigns addresses to LoadBalancer Services. It has one worker: two concurrent choices could take the same
/// address.</summary>
internal sealed class LoadBalancerController : Controller
{
    private readonly WatchedList<JsonObject> _pools;
    private readonly AddressPool _default;

    /// <summary>Assigned addresses that the list of Services does not show yet.</summary>
    private readonly Dictionary<string, (ValueList<string> Addresses, string Uid)> _given = new(StringComparer.Ordinal);

    internal LoadBalancerController(Runtime runtime) : base("load-balancer-controller", runtime)
    {
        _default = new("default", [AddressRange.Parse(runtime.Settings.LoadBalancerPool)
            ?? throw new ProblemException("load balancer pool", $"'{runtime.Settings.LoadBalancerPool}' is not a range of IPv4 addresses",
                "use a CIDR or FIRST-LAST")],
            AvoidBuggyIPs: true);
        _pools = View.WatchIfServed<JsonObject>(MetalLbKinds.Pool, new() { Namespace = MetalLbKinds.Namespace, LongestBackoff = TimeSpan.FromSeconds(2) });
        _pools.Listen(_ => EnqueueAll());
        View.Services.Listen(change =>
        {
            if (change.Object is not null) Enqueue(change.Key);
            // Another Service may be waiting for the address that one Service releases.
            if (change.Before is { Status.LoadBalancer.Ingress.Count: > 0 } && change.Object is not { Status.LoadBalancer.Ingress.Count: > 0 }) EnqueueAll();
        });
    }

    protected override int Workers => 1;

    internal override async Task RunAsync(CancellationToken stop)
    {
        // Before the pools are known, every address outside the default pool would look invalid and be removed.
        try { await _pools.Synced.WaitAsync(stop); }
        catch (OperationCanceledException) when (stop.IsCancellationRequested) { return; }
        await base.RunAsync(stop);
    }

    private void EnqueueAll()
    {
        foreach (var service in View.Services.Items)
            if (service.Spec.Type == "LoadBalancer") Enqueue(service.Key);
    }

    protected override async Task ReconcileAsync(string key, CancellationToken stop)
    {
        if (View.Services.Find(key) is not { } service)
        {
            _given.Remove(key);
            return;
        }
        var plan = LoadBalancerPlan.For(Seen(service), View.Services.Items.Select(Seen), Pools());
        if (plan.Writes.Count > 0)
        {
            await Runtime.DoAsync(plan.Writes[0], stop);
            var ingress = plan.Writes[0].Body?["status"]?["loadBalancer"]?["ingress"] as JsonArray ?? [];
            _given[key] = (ingress.Select(item => item!["ip"]!.ToString()).ToValueList(), service.Metadata.Uid);
        }
        foreach (var note in plan.Notes) Runtime.Record(Name, note);
    }

    /// <summary>The Service with its last assigned addresses, whether or not the list shows it yet.</summary>
    private Service Seen(Service service)
    {
        if (!_given.TryGetValue(service.Key, out var given)) return service;
        if (given.Uid != service.Metadata.Uid || service.Status.LoadBalancer.Ingress.Select(ingress => ingress.Ip).SequenceEqual(given.Addresses))
        {
            _given.Remove(service.Key);
            return service;
        }
        return new()
        {
            ApiVersion = service.ApiVersion, Kind = service.Kind, Metadata = service.Metadata, Spec = service.Spec,
            Status = new() { LoadBalancer = new() { Ingress = [.. given.Addresses.Select(address => new LoadBalancerIngress { Ip = address })] } },
        };
    }

    private List<AddressPool> Pools()
    {
        var pools = _pools.Items.Select(MetalLbKinds.ReadPool).OrderBy(pool => pool.Name, StringComparer.Ordinal).ToList();
        return pools.Count > 0 ? pools : [_default];
    }
}

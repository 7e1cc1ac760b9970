using System.Collections.Concurrent;
using System.ComponentModel;
using System.Net;
using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Core.Tasks;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Lab.Machine.Network;
using Microsoft.Extensions.Logging;

namespace Isthmus.Lab.Nodes.ServiceProxy;

/// <summary>The settings of one node's Service proxy.</summary>
/// <param name="LoadBalancerPool">The range that is always local to the node. Load balancer addresses outside it are made
/// local one by one.</param>
public sealed record ServiceProxySettings(string NodeName, IPAddress NodeAddress, Cidr PodRange, Cidr LoadBalancerPool)
{
    public static ServiceProxySettings Of(ClusterSettings cluster) => new(cluster.NodeName, cluster.Address, cluster.PodRange, cluster.LoadBalancerPool);
}

/// <summary>
/// The role of kube-proxy for the network namespace of this process. The rules are in the kernel, so they stay when this
/// process stops. After a restart, the first transaction replaces them once the lists from the API server are complete.
/// </summary>
public sealed partial class NodeServiceProxy(KubeClient client, ServiceProxySettings settings, TimeProvider time, ILogger log)
{
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<string, Service> _services = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, EndpointSlice> _slices = new(StringComparer.Ordinal);
    private readonly Signal _changed = new();
    private ValueList<ServicePortRule>? _applied;

    /// <summary>Runs until stopped; needs CAP_NET_ADMIN, <c>nft</c> and <c>conntrack</c>.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        var services = new Informer<Service>(client, Kinds.Service, new(), time);
        var slices = new Informer<EndpointSlice>(client, Kinds.EndpointSlice, new(), time);
        var watches = Task.WhenAll(
            services.RunAsync(changes => Keep(_services, changes), stop),
            slices.RunAsync(changes => Keep(_slices, changes), stop));
        try
        {
            // With incomplete lists, Services that worked before a restart would stop working.
            await Task.WhenAll(services.Synced, slices.Synced).WaitAsync(stop);
            while (true)
            {
                await _changed.NextAsync(stop);
                await ApplyAsync(stop);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
        }
        await watches;
    }

    private ValueTask Keep<T>(ConcurrentDictionary<string, T> items, IReadOnlyList<Change<T>> changes) where T : class
    {
        foreach (var change in changes)
        {
            if (change.Object is { } item) items[change.Key] = item;
            else items.TryRemove(change.Key, out _);
        }
        _changed.Tell();
        return ValueTask.CompletedTask;
    }

    private async Task ApplyAsync(CancellationToken stop)
    {
        var wanted = ServiceTable.Build(_services.Values, _slices.Values, settings.NodeName);
        if (wanted == _applied) return;
        try
        {
            var begun = time.GetTimestamp();
            await NftTransaction.LoadAsync(ServiceRules.Render(new(settings.NodeAddress, settings.PodRange, wanted)), stop);
            OwnAddresses(wanted);
            var stale = StaleFlows.Between(_applied, wanted, settings.NodeAddress);
            _applied = wanted;
            foreach (var flow in stale) await StaleFlows.ForgetAsync(flow, stop);
            LogApplied(wanted.Count, stale.Count, time.GetElapsedTime(begun).TotalMilliseconds);
        }
        catch (Exception e) when (e is IOException or Win32Exception)
        {
            LogFailed(e.Message);
            _applied = null;
            await Task.Delay(Retry, time, stop);
            _changed.Tell();
        }
    }

    private void OwnAddresses(ValueList<ServicePortRule> ports)
    {
        var wanted = ports.SelectMany(port => port.OuterAddresses)
            .Where(address => ClusterSettings.OuterRange.Contains(address) && !settings.LoadBalancerPool.Contains(address)
                && !address.Equals(settings.NodeAddress))
            .Select(address => Cidr.Parse($"{address}/32")).ToHashSet();
        using var netlink = RouteNetlink.Open();
        var have = netlink.LocalRanges().Where(range => range.PrefixLength == 32).ToHashSet();
        foreach (var gone in have.Except(wanted)) netlink.DeleteLocalRange(gone);
        foreach (var added in wanted.Except(have)) netlink.SetLocalRange(added);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Services applied: {Ports} ports, {Stale} stale UDP flows, {Milliseconds:0.0} ms")]
    private partial void LogApplied(int ports, int stale, double milliseconds);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Services cannot be applied; the last rules stay in place: {Error}")]
    private partial void LogFailed(string error);
}

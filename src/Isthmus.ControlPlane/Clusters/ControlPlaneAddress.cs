using System.Collections.Concurrent;
using Isthmus.ControlPlane.Resolve;
using Isthmus.Core.Names;
using Isthmus.Core.Tasks;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Remote;
using Isthmus.Kubernetes.Watch;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Clusters;

/// <summary>
/// In a remote cluster that reaches its control plane by a host name: keeps the name's addresses behind the Service through which proxies
/// and the API server call it. An ExternalName does not work: API servers do not call webhooks through one, and it maps no ports.
/// </summary>
public sealed partial class ControlPlaneAddress(KubeClient client, string ns, INameClient names, TimeProvider time, ILogger log)
{
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan ShortestLife = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestLife = TimeSpan.FromHours(1);
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(2);

    private readonly ConcurrentDictionary<string, Exception> _failed = new(StringComparer.Ordinal);
    private volatile WatchedList<Service>? _services;

    /// <summary>The last error that has not been resolved; null when there is none.</summary>
    public Exception? LastError => _services?.Informer.LastError ?? _failed.Values.FirstOrDefault();

    public async Task RunAsync(CancellationToken stop)
    {
        _failed.Clear();
        var changed = new Signal();
        var services = _services = new WatchedList<Service>(client, Kinds.Service,
            new InformerSettings { Namespace = ns, LabelSelector = $"app={WellKnown.Istiod}" }, time).Listen(_ => changed.Tell());
        await Task.WhenAll(services.RunAsync(stop), FollowAsync(services, changed, stop));
    }

    private async Task FollowAsync(WatchedList<Service> services, Signal changed, CancellationToken stop)
    {
        var due = new Dictionary<string, (string Host, DateTimeOffset At)>(StringComparer.Ordinal);
        try
        {
            while (true)
            {
                // Most clusters have no such Service.
                if (due.Count == 0) await changed.NextAsync(stop);
                await Task.Delay(Tick, time, stop);
                foreach (var service in services.Items)
                {
                    var host = service.Metadata.Annotations.GetValueOrDefault(Annotations.ControlPlaneHost) ?? "";
                    if (host.Length == 0 || (due.TryGetValue(service.Key, out var last) && last.Host == host && last.At > time.GetUtcNow())) continue;
                    due[service.Key] = (host, time.GetUtcNow() + await UpdateAsync(service.Metadata.Name, service.Key, host, stop));
                }
                foreach (var gone in due.Keys.Where(key => services.Find(key) is null).ToList())
                {
                    due.Remove(gone);
                    _failed.TryRemove(gone, out _);
                }
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
        }
    }

    /// <summary>When to resolve again. A name that cannot be resolved keeps its last addresses.</summary>
    private async Task<TimeSpan> UpdateAsync(string name, string key, string host, CancellationToken stop)
    {
        var answer = await names.AskAsync(host, stop);
        if (answer.Addresses.IsEmpty)
        {
            Fail(key, host, new IOException($"the control plane's host name {host} cannot be resolved: {answer.Error}"));
            return Retry;
        }
        try
        {
            if (await client.FindAsync(Kinds.Service, ns, name, stop) is not { } service) return Retry;
            if (await ControlPlaneSlices.WriteAsync(client, service, answer.Addresses, stop))
                Written(log, client.Access.Name, host, string.Join(", ", answer.Addresses));
            _failed.TryRemove(key, out _);
            return answer.Life < ShortestLife ? ShortestLife : answer.Life > LongestLife ? LongestLife : answer.Life;
        }
        catch (Exception e) when (e is KubeException or HttpRequestException or IOException
            || (e is OperationCanceledException && !stop.IsCancellationRequested))
        {
            Fail(key, host, e);
            return Retry;
        }
    }

    private void Fail(string key, string host, Exception error)
    {
        if (!_failed.TryGetValue(key, out var known) || known.Message != error.Message) NotWritten(log, client.Access.Name, host, error.Message);
        _failed[key] = error;
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Cluster {Cluster} reaches this control plane as {Host} at {Addresses}")]
    private static partial void Written(ILogger log, string cluster, string host, string addresses);

    [LoggerMessage(Level = LogLevel.Warning,
        Message = "The addresses of {Host}, by which cluster {Cluster} reaches this control plane, could not be updated: {Error}")]
    private static partial void NotWritten(ILogger log, string cluster, string host, string error);
}

using Isthmus.Core.Tasks;
using Isthmus.Proxy.Clusters;
using Microsoft.Extensions.Logging;

namespace Isthmus.Proxy.Health;

/// <summary>Checks the hosts of clusters (Envoy: active health checking), each with a task of its own, which ends with the host or its cluster.</summary>
internal sealed partial class HealthChecks(HealthWays ways, BackgroundTasks background, ILogger log)
{
    /// <summary>A check waits when so many run: each may have a connection, and hosts that do not answer keep theirs until the timeout.</summary>
    private const int MostAtOnce = 1024;

    private readonly SemaphoreSlim _places = new(MostAtOnce);

    /// <summary>Checks the hosts of a cluster, as they come and go.</summary>
    /// <param name="warmed">Called once, when each of the first hosts was checked.</param>
    public async Task RunAsync(ClusterState cluster, Action warmed, CancellationToken stop)
    {
        var health = cluster.Health ?? throw new ArgumentException("a cluster without health checks", nameof(cluster));
        var running = new Dictionary<Host, CancellationTokenSource>();
        try
        {
            var first = Task.WhenAll(Follow(cluster, health, running, stop));
            background.Start($"first health checks of {cluster.Config.Name}", async () =>
            {
                await first.ConfigureAwait(false);
                if (!stop.IsCancellationRequested) warmed();
            });
            while (true)
            {
                await health.Changed.NextAsync(stop).ConfigureAwait(false);
                Follow(cluster, health, running, stop);
            }
        }
        catch (OperationCanceledException)
        {
            // The cluster is gone. What follows ends its checks.
        }
        finally
        {
            foreach (var checks in running.Values) Stop(checks);
        }
    }

    /// <summary>Begins the checks of hosts that have joined, and ends those of hosts that have left.</summary>
    /// <returns>The first check of each that has joined.</returns>
    private List<Task> Follow(ClusterState cluster, ActiveHealth health, Dictionary<Host, CancellationTokenSource> running, CancellationToken stop)
    {
        var hosts = cluster.Hosts.All.Where(host => host.Check is not null).ToHashSet();
        foreach (var gone in running.Keys.Except(hosts).ToList())
        {
            running.Remove(gone, out var checks);
            Stop(checks!);
        }
        var first = new List<Task>();
        foreach (var host in hosts.Except(running.Keys).ToList())
        {
            var source = running[host] = CancellationTokenSource.CreateLinkedTokenSource(stop);
            var (token, isChecked) = (source.Token, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
            background.Start($"health checks of a host of {cluster.Config.Name}", () => CheckAsync(cluster, health, host, isChecked, token));
            first.Add(isChecked.Task);
        }
        return first;
    }

    private static void Stop(CancellationTokenSource checks)
    {
        checks.Cancel();
        checks.Dispose();
    }

    private async Task CheckAsync(ClusterState cluster, ActiveHealth health, Host host, TaskCompletionSource isChecked, CancellationToken stop)
    {
        var intervals = health.Settings.Intervals;
        var (time, random) = (ways.Ports.Time, ways.Ports.Random);
        using var checks = new HostChecks(cluster, host, health.Settings, ways);
        try
        {
            for (var wait = intervals.BeforeFirst(random); ;)
            {
                if (wait > TimeSpan.Zero) await Task.Delay(wait, time, stop).ConfigureAwait(false);
                var result = await CheckAsync(cluster, checks, stop).ConfigureAwait(false);
                stop.ThrowIfCancellationRequested();
                var transition = health.Record(host, result);
                Log(cluster, host, result, transition);
                isChecked.TrySetResult();
                wait = intervals.After(result.IsPassed, transition, Interlocked.Read(ref cluster.Counters.Connects) > 0, random);
            }
        }
        catch (OperationCanceledException)
        {
            // The host is gone.
        }
        finally
        {
            isChecked.TrySetResult();
        }
    }

    private async Task<CheckResult> CheckAsync(ClusterState cluster, HostChecks checks, CancellationToken stop)
    {
        await _places.WaitAsync(stop).ConfigureAwait(false);
        try
        {
            Interlocked.Increment(ref cluster.Counters.Checks.Attempts);
            return await checks.CheckAsync().ConfigureAwait(false);
        }
        finally
        {
            _places.Release();
            // What follows must not run on an event loop.
            await Task.Yield();
        }
    }

    private void Log(ClusterState cluster, Host host, CheckResult result, HealthTransition transition)
    {
        if (transition == HealthTransition.Changed && result.IsPassed) LogHealthy(log, cluster.Config.Name, host.Endpoint.AddressText);
        else if (transition == HealthTransition.Changed) LogUnhealthy(log, cluster.Config.Name, host.Endpoint.AddressText, result.Reason);
        else if (!result.IsPassed && cluster.Config.HealthCheck is { LogsFailures: true })
            LogFailure(log, cluster.Config.Name, host.Endpoint.AddressText, result.Reason);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "{Cluster}: {Host} passes its health checks")]
    private static partial void LogHealthy(ILogger log, string cluster, string host);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Cluster}: {Host} fails its health checks: {Reason}")]
    private static partial void LogUnhealthy(ILogger log, string cluster, string host, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Cluster}: a health check of {Host} failed: {Reason}")]
    private static partial void LogFailure(ILogger log, string cluster, string host, string reason);
}

using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Lab.Machine.Network;
using Microsoft.Extensions.Logging;

namespace Isthmus.Lab.Supervisor;

/// <summary>The settings of a supervisor.</summary>
/// <param name="Image">The image of the system components.</param>
internal sealed record SupervisorSettings(LabHome Home, LabModeKind Mode, int ProxyPort, SelfCommand Self, string Image);

/// <summary>The lab: the outer network and the clusters on it. Runs inside the lab's namespaces.</summary>
internal sealed partial class LabSupervisor : IAsyncDisposable
{
    private static readonly TimeSpan StepLimit = TimeSpan.FromSeconds(180);
    private static readonly TimeSpan PodGrace = TimeSpan.FromSeconds(2);

    private readonly SupervisorSettings _settings;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly OuterNetwork _outer;
    private readonly NamespaceHandle _own;
    // One change of the set of clusters at a time. Waiting for a cluster to become ready happens outside of it.
    private readonly SemaphoreSlim _change = new(1);
    private readonly ConcurrentDictionary<string, LabCluster> _clusters = new(StringComparer.Ordinal);
    private LabState _state;

    private LabSupervisor(SupervisorSettings settings, OuterNetwork outer, NamespaceHandle own, LabState state, TimeProvider time, ILogger log)
    {
        _settings = settings;
        _outer = outer;
        _own = own;
        _state = state;
        _time = time;
        _log = log;
    }

    /// <summary>Builds the outer network and resumes the clusters of an earlier supervisor.</summary>
    internal static async Task<LabSupervisor> StartAsync(SupervisorSettings settings, TimeProvider time, ILogger log, CancellationToken stop)
    {
        var state = LabState.Load(settings.Home) with { ProxyPort = settings.ProxyPort };
        var outer = OuterNetwork.Create(NamespacePaths.Switch);
        var own = NamespaceHandle.OfThread(NamespaceKinds.Network);
        outer.Attach(own, ClusterSettings.SupervisorAddress);
        var supervisor = new LabSupervisor(settings, outer, own, state, time, log);
        supervisor.DropStrayDirectories();
        await supervisor.AddAsync(state.Clusters, _ => Task.CompletedTask, stop);
        await supervisor.JoinAsync(stop);
        state.Save(settings.Home);
        return supervisor;
    }

    /// <summary>Creates missing clusters and waits for the API servers of all requested clusters.</summary>
    /// <param name="mustBeNew">Whether an existing cluster is an error.</param>
    /// <exception cref="ProblemException">A request is invalid, or an API server did not become ready.</exception>
    internal async Task CreateAsync(IReadOnlyList<ClusterRequest> requests, bool mustBeNew, Func<LabStep, Task> report, CancellationToken stop)
    {
        await _change.WaitAsync(stop);
        try
        {
            var planned = PlanAll(requests, mustBeNew);
            // The state is written first, so that the next supervisor finds a cluster even if its creation was killed.
            _state = _state with { Clusters = [.. _state.Clusters, .. planned] };
            _state.Save(_settings.Home);
            await AddAsync(planned, report, stop);
            await JoinAsync(stop);
        }
        finally
        {
            _change.Release();
        }
        var begun = _time.GetTimestamp();
        await Task.WhenAll(requests.Select(async request =>
        {
            var cluster = Running(request.Name);
            await StepAsync(cluster, "API server ready", "apiserver", token => Readiness.ApiServerAsync(cluster.Client, token), begun, report, stop);
            await StepAsync(cluster, "system components applied", "apiserver",
                token => SystemComponents.EnsureAsync(cluster.Client, cluster.Settings, _settings.Image, token), begun, report, stop);
        }));
    }

    /// <summary>Waits until the clusters can run Pods that find each other by name.</summary>
    /// <exception cref="ProblemException">A cluster did not become ready in time, or is gone.</exception>
    internal Task WaitAsync(IEnumerable<string> names, Func<LabStep, Task> report, CancellationToken stop)
    {
        var begun = _time.GetTimestamp();
        return Task.WhenAll(names.Select(async name =>
        {
            var cluster = Running(name);
            if (!cluster.Settings.HasNode) return;
            await StepAsync(cluster, "node ready", "node", token => Readiness.NodeAsync(cluster.Client, cluster.Settings, cluster.Since, token), begun, report,
                stop);
            await StepAsync(cluster, "DNS ready", "node",
                token => Readiness.PodAsync(cluster.Client, SystemComponents.Namespace, SystemComponents.DnsLabels, cluster.Since, token), begun, report, stop);
        }));
    }

    /// <exception cref="ProblemException">There is no such cluster.</exception>
    internal async Task DeleteAsync(string name, CancellationToken stop)
    {
        await _change.WaitAsync(stop);
        try
        {
            if (!_clusters.TryRemove(name, out var cluster))
            {
                var known = _state.Clusters.IsEmpty ? "there is none" : $"there are: {string.Join(", ", _state.Clusters.Select(other => other.Name))}";
                throw new ProblemException($"cluster {name}", $"does not exist ({known})", "isthmus lab status lists the clusters");
            }
            await cluster.StopAsync(PodGrace, _time);
            await cluster.DisposeAsync();
            Forget(name);
            cluster.DeleteFiles();
            await JoinAsync(stop);
            LogDeleted(name);
        }
        finally
        {
            _change.Release();
        }
    }

    /// <summary>Stops a part of a cluster, to test how a mesh reacts.</summary>
    /// <exception cref="ProblemException">There is no such cluster.</exception>
    internal async Task BreakAsync(string name, LabPart part, CancellationToken stop)
    {
        await Running(name).BreakAsync(part, _time, stop);
        LogBroken(name, part);
    }

    /// <summary>Starts the part that <see cref="BreakAsync"/> stopped. Returns when it answers.</summary>
    /// <exception cref="ProblemException">There is no such cluster, the part was not stopped, or it does not start.</exception>
    internal async Task MendAsync(string name, LabPart part, Func<LabStep, Task> report, CancellationToken stop)
    {
        var cluster = Running(name);
        if (!cluster.Mend(part, _time))
            throw new ProblemException($"cluster {name}", "was not stopped",
                $"stop it with 'isthmus lab stop {part.ToString().ToLowerInvariant()} --cluster {name}'");
        LogMended(name, part);
        await StepAsync(cluster, "API server ready", "apiserver", token => Readiness.ApiServerAsync(cluster.Client, token), _time.GetTimestamp(), report, stop);
        if (part == LabPart.Cluster) await WaitAsync([name], report, stop);
    }

    /// <summary>Serves a cluster's API server on a listener of the machine's loopback. Closes the listener if there already is one.</summary>
    /// <param name="take">Returns the listener, which belongs to the cluster from then on. Not called if there is no such cluster.</param>
    /// <returns>The port where the API server is reached.</returns>
    /// <exception cref="ProblemException">There is no such cluster.</exception>
    internal async Task<int> ExposeAsync(string name, Func<Socket> take, CancellationToken stop)
    {
        await _change.WaitAsync(stop);
        try
        {
            var port = Running(name).Expose(take(), _log);
            _state = _state.WithLoopbackPort(name, port);
            _state.Save(_settings.Home);
            return port;
        }
        finally
        {
            _change.Release();
        }
    }

    internal async Task<JsonObject> StatusAsync(CancellationToken stop)
    {
        var clusters = new JsonArray();
        var states = await Task.WhenAll(_state.Clusters.Select(settings => _clusters.GetValueOrDefault(settings.Name)).OfType<LabCluster>()
            .Select(cluster => cluster.StatusAsync(stop)));
        foreach (var state in states) clusters.Add((JsonNode)state);
        return new JsonObject
        {
            ["running"] = true,
            ["mode"] = _settings.Mode.ToString().ToLowerInvariant(),
            ["home"] = _settings.Home.Directory,
            ["proxy"] = $"http://127.0.0.1:{_settings.ProxyPort}",
            ["clusters"] = clusters,
        };
    }

    /// <summary>Ends all Pods and processes. The caller decides what happens to the files.</summary>
    internal async Task StopAsync()
    {
        await _change.WaitAsync();
        try
        {
            await Task.WhenAll(_clusters.Values.Select(cluster => cluster.StopAsync(PodGrace, _time)));
        }
        finally
        {
            _change.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var cluster in _clusters.Values) await cluster.DisposeAsync();
        _own.Dispose();
        _outer.Dispose();
        _change.Dispose();
    }

    private LabCluster Running(string name) =>
        _clusters.GetValueOrDefault(name) ?? throw new ProblemException($"cluster {name}", "does not exist", "isthmus lab status lists the clusters");

    private List<ClusterSettings> PlanAll(IReadOnlyList<ClusterRequest> requests, bool mustBeNew)
    {
        var planned = _state.Clusters;
        var fresh = new List<ClusterSettings>();
        foreach (var request in requests)
        {
            var existing = planned.FirstOrDefault(cluster => cluster.Name == request.Name);
            if (existing is not null && !mustBeNew)
            {
                CheckSame(request, existing);
                continue;
            }
            var settings = ClusterPlan.Plan(request, planned);
            planned = [.. planned, settings];
            fresh.Add(settings);
        }
        return fresh;
    }

    private static void CheckSame(ClusterRequest wanted, ClusterSettings existing)
    {
        Check("network", wanted.Network, existing.Network);
        Check("region", wanted.Region, existing.Region);
        Check("zone", wanted.Zone, existing.Zone);
        if (wanted.NoNode && existing.HasNode)
        {
            throw new ProblemException($"cluster {existing.Name}", "exists with a node",
                $"delete it first with 'isthmus lab delete cluster --name {existing.Name}'");
        }

        void Check(string what, string wants, string has)
        {
            if (wants.Length == 0 || wants == has) return;
            throw new ProblemException($"cluster {existing.Name}", $"exists with {what} '{has}', not '{wants}'",
                $"remove the lab first with 'isthmus lab down', or this cluster alone with 'isthmus lab delete cluster --name {existing.Name}'");
        }
    }

    // Concurrently. A cluster that fails is removed; the others stay.
    private async Task AddAsync(IReadOnlyList<ClusterSettings> clusters, Func<LabStep, Task> report, CancellationToken stop)
    {
        var starting = clusters.ToDictionary(settings => settings.Name, settings => StartOneAsync(settings, report, stop));
        try
        {
            await Task.WhenAll(starting.Values);
        }
        finally
        {
            foreach (var (name, task) in starting)
            {
                if (task.IsCompletedSuccessfully) _clusters[name] = await task;
                else Forget(name);
            }
        }
    }

    private async Task<LabCluster> StartOneAsync(ClusterSettings settings, Func<LabStep, Task> report, CancellationToken stop)
    {
        var begun = _time.GetTimestamp();
        var cluster = await LabCluster.StartAsync(_settings.Home, settings, _outer, _settings.Self, _time, _log, stop);
        LogStarted(settings.Name, settings.Address.ToString(), settings.Network);
        await report(new(settings.Name, "network and keys", Since(begun), true));
        return cluster;
    }

    private async Task JoinAsync(CancellationToken stop)
    {
        foreach (var cluster in _clusters.Values) await cluster.SetPeersAsync(ClusterPlan.Peers(cluster.Settings, _state.Clusters), stop);
    }

    private void Forget(string name)
    {
        _state = _state.Without(name);
        _state.Save(_settings.Home);
    }

    // A supervisor that was killed before it wrote the state file left these.
    private void DropStrayDirectories()
    {
        foreach (var directory in Directory.EnumerateDirectories(_settings.Home.Clusters))
        {
            if (_state.Clusters.All(cluster => cluster.Name != Path.GetFileName(directory))) Directory.Delete(directory, recursive: true);
        }
    }

    private async Task StepAsync(
        LabCluster cluster, string text, string log, Func<CancellationToken, Task> action, long begun, Func<LabStep, Task> report, CancellationToken stop)
    {
        var name = cluster.Settings.Name;
        await report(new(name, text, 0, false));
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(stop);
        patience.CancelAfter(StepLimit);
        try
        {
            await action(patience.Token);
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            throw new ProblemException($"cluster {name}", $"'{text}' did not complete within {StepLimit.TotalSeconds:0} s",
                $"see {_settings.Home.Log($"{name}-{log}")}; isthmus lab down removes everything");
        }
        await report(new(name, text, Since(begun), true));
    }

    private double Since(long begun) => _time.GetElapsedTime(begun).TotalMilliseconds;

    [LoggerMessage(Level = LogLevel.Information, Message = "Cluster {Name} started at {Address}, network {Network}")]
    private partial void LogStarted(string name, string address, string network);

    [LoggerMessage(Level = LogLevel.Information, Message = "Cluster {Name}: {Part} stopped by request")]
    private partial void LogBroken(string name, LabPart part);

    [LoggerMessage(Level = LogLevel.Information, Message = "Cluster {Name}: {Part} started again by request")]
    private partial void LogMended(string name, LabPart part);

    [LoggerMessage(Level = LogLevel.Information, Message = "Cluster {Name} deleted")]
    private partial void LogDeleted(string name);
}

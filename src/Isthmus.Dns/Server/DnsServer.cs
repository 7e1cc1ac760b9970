using System.Net;
using System.Net.Sockets;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Dns.Cluster;
using Isthmus.Dns.Config;
using Isthmus.Dns.Plugins;
using Isthmus.Kubernetes.Client;

namespace Isthmus.Dns.Server;

/// <summary>A running DNS server: applies a plan, and later ones, without losing a query in between.</summary>
public sealed class DnsServer : IAsyncDisposable
{
    private readonly Dictionary<(IPAddress Address, int Port), (DnsListener Listener, ZoneServer Zones)> _listeners = [];
    private readonly Dictionary<string, (IPEndPoint Address, StatusPage Page)> _pages = new(StringComparer.Ordinal);
    private readonly List<ClusterSource> _clusters = [];
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly Action<string> _log;
    private readonly Func<KubernetesPlan, ClusterAccess> _access;
    private volatile bool _leaving;
    private volatile IReadOnlyList<ZoneServer> _serving = [];

    /// <param name="access">How the plugin <c>kubernetes</c> reaches its API server.</param>
    public DnsServer(TimeProvider time, Random random, Func<KubernetesPlan, ClusterAccess> access, Action<string> log) =>
        (_time, _random, _access, _log) = (time, random, access, log);

    public DnsMetrics Metrics { get; } = new();

    public ServerPlan? Plan { get; private set; }

    /// <summary>Ports in use, for callers that requested port 0.</summary>
    public IEnumerable<int> Ports => _listeners.Values.Select(entry => entry.Listener.Port);

    /// <summary>True when every configured cluster has been read, and every gRPC server has answered.</summary>
    public bool Ready => !_leaving && _clusters.All(cluster => cluster.Synced) && _serving.All(zones => zones.Ready);

    /// <summary>Applies the plan. If that fails, everything stays as it was.</summary>
    /// <exception cref="CorefileException">A plugin cannot be created from its settings.</exception>
    /// <exception cref="ProblemException">A port is not available, or the cluster's address is unknown.</exception>
    public async Task ApplyAsync(ServerPlan plan, string source)
    {
        var wanted = new List<ClusterSource>();
        var fresh = new List<ClusterSource>();
        ClusterSource Cluster(KubernetesPlan kubernetes)
        {
            var cluster = _clusters.Concat(fresh).FirstOrDefault(known => Same(known.Plan, kubernetes));
            if (cluster is null) fresh.Add(cluster = new ClusterSource(kubernetes, _access(kubernetes), _time));
            if (!wanted.Contains(cluster)) wanted.Add(cluster);
            return cluster;
        }
        var around = new ZoneServer.Surroundings(_time, _random, Metrics, _log, source, Cluster);
        var made = new Dictionary<(IPAddress Address, int Port), ZoneServer>();
        var opened = new Dictionary<(IPAddress Address, int Port), DnsListener>();
        try
        {
            foreach (var group in plan.Zones.SelectMany(zone => (zone.Bind.IsEmpty ? [IPAddress.IPv6Any] : zone.Bind)
                .Select(address => (Key: (address, zone.Port), Zone: zone)))
                .GroupBy(entry => entry.Key, entry => entry.Zone))
                made[group.Key] = new ZoneServer(group, around);
            foreach (var (key, zones) in made)
                if (!_listeners.ContainsKey(key)) opened[key] = Open(key, zones);
            await PagesAsync(plan);
        }
        catch
        {
            foreach (var zones in made.Values) zones.Dispose();
            foreach (var listener in opened.Values) await listener.DisposeAsync();
            foreach (var cluster in fresh) await cluster.DisposeAsync();
            throw;
        }
        await SwitchAsync(made, opened);
        _serving = [.. _listeners.Values.Select(entry => entry.Zones)];
        foreach (var cluster in _clusters.Where(cluster => !wanted.Contains(cluster))) await cluster.DisposeAsync();
        _clusters.Clear();
        _clusters.AddRange(wanted);
        Plan = plan;
    }

    /// <summary>Reports that it is shutting down, and keeps answering for the Corefile's lameduck period.</summary>
    public async Task LeaveAsync()
    {
        _leaving = true;
        if (Plan is { Lameduck: var lameduck } && lameduck > TimeSpan.Zero) await Task.Delay(lameduck, _time);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var (_, page) in _pages.Values) await page.DisposeAsync();
        foreach (var (listener, zones) in _listeners.Values)
        {
            await listener.DisposeAsync();
            zones.Dispose();
        }
        foreach (var cluster in _clusters) await cluster.DisposeAsync();
        _pages.Clear();
        _listeners.Clear();
        _clusters.Clear();
    }

    /// <summary>Whether the same source serves: a line number that moved changes nothing.</summary>
    private static bool Same(KubernetesPlan left, KubernetesPlan right) => left == right with { Line = left.Line };

    private DnsListener Open((IPAddress Address, int Port) key, ZoneServer zones)
    {
        try
        {
            return new DnsListener(new IPEndPoint(key.Address, key.Port), zones.AnswerAsync, _log);
        }
        catch (SocketException e)
        {
            throw new ProblemException($"dns://{key.Address}:{key.Port}", $"cannot listen: {e.Message}",
                "end the program that has the port, or choose another with -dns.port", e);
        }
    }

    private async Task SwitchAsync(Dictionary<(IPAddress Address, int Port), ZoneServer> made, Dictionary<(IPAddress Address, int Port), DnsListener> opened)
    {
        foreach (var key in _listeners.Keys.Where(key => !made.ContainsKey(key)).ToList())
        {
            var (listener, zones) = _listeners[key];
            _listeners.Remove(key);
            await listener.DisposeAsync();
            zones.Dispose();
        }
        foreach (var (key, zones) in made)
        {
            if (_listeners.TryGetValue(key, out var present))
            {
                present.Listener.Handler = zones.AnswerAsync;
                present.Zones.Dispose();
                _listeners[key] = (present.Listener, zones);
                continue;
            }
            _listeners[key] = (opened[key], zones);
            opened[key].Start();
        }
    }

    private async Task PagesAsync(ServerPlan plan)
    {
        await PageAsync("health", plan.Health, path => path != "/health" ? (404, "Not Found\n") : _leaving ? (503, "leaving") : (200, "OK"));
        await PageAsync("ready", plan.Ready, path => path != "/ready" ? (404, "Not Found\n") : Ready ? (200, "OK") : (503, "kubernetes"));
        await PageAsync("metrics", plan.Metrics, path => path == "/metrics" ? (200, Metrics.Print()) : (404, "Not Found\n"));
    }

    private async Task PageAsync(string name, IPEndPoint? address, Func<string, (int, string)> answer)
    {
        if (_pages.TryGetValue(name, out var present))
        {
            if (present.Address.Equals(address)) return;
            _pages.Remove(name);
            await present.Page.DisposeAsync();
        }
        if (address is null) return;
        try
        {
            _pages[name] = (address, new StatusPage(address, answer));
        }
        catch (SocketException e)
        {
            throw new ProblemException($"{name} page at {address}", $"cannot listen: {e.Message}", "choose another port in the Corefile", e);
        }
    }
}

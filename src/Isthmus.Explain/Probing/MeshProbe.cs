using System.Globalization;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Diagnose.History;

namespace Isthmus.Explain.Probing;

/// <summary>Proves that the clusters of a mesh reach each other: it starts a Pod in each, and lets each call each over HTTP, gRPC and TCP.
/// Whatever happens, it removes what it made.</summary>
public sealed class MeshProbe : IDisposable
{
    private static readonly TimeSpan Settling = TimeSpan.FromSeconds(10), Pause = TimeSpan.FromMilliseconds(100), Removal = TimeSpan.FromSeconds(15);

    private readonly List<ProbedCluster> _clusters;
    private const string NamePrefix = "isthmus-probe-";

    private readonly List<ClusterFacts> _members;
    private readonly TimeProvider _time;
    private readonly string _id;

    /// <param name="clusters">The clusters of the mesh; those that cannot be read, or have no mesh, are left out.</param>
    public MeshProbe(IReadOnlyList<ClusterFacts> clusters, IReadOnlyList<ClusterAccess> access, TimeProvider time, Random random)
    {
        _time = time;
        _id = random.NextInt64().ToString("x16", CultureInfo.InvariantCulture);
        Namespace = $"{NamePrefix}{_id[8..]}";
        _members = [.. clusters.Where(cluster => cluster is { Error: "", HasIstio: true })];
        _clusters = [.. _members.Select((facts, index) => new ProbedCluster(facts, access.First(one => one.Name == facts.Context), Namespace, index + 1,
            time))];
    }

    /// <summary>Whether a probe has made the namespace.</summary>
    public static bool IsOwnNamespace(string name) => name.StartsWith(NamePrefix, StringComparison.Ordinal);

    /// <summary>Whether a change is of what a probe has made, or removed again.</summary>
    public static bool HasMade(MeshChange change) => IsOwnNamespace(change.Kind switch
    {
        "Namespace" => change.Name,
        "Endpoints" => change.Name.Split('.').ElementAtOrDefault(1) ?? "", // the name is a host
        _ => change.Namespace,
    });

    /// <summary>The namespace that it makes in each cluster.</summary>
    public string Namespace { get; }

    public void Dispose()
    {
        foreach (var cluster in _clusters) cluster.Dispose();
    }

    /// <param name="patience">How long Pods may take to start.</param>
    /// <exception cref="ProblemException">A Pod cannot be started.</exception>
    public async Task<IReadOnlyList<ProbedCall>> RunAsync(TimeSpan patience, CancellationToken stop)
    {
        try
        {
            await Task.WhenAll(_clusters.Select(cluster => cluster.RemoveLeftoversAsync(stop)));
            await Task.WhenAll(_clusters.Select(cluster => cluster.CreateAsync(_clusters.Select(other => other.Number), stop)));
            var until = _time.GetUtcNow() + patience;
            await Task.WhenAll(_clusters.Select(cluster => cluster.ReadyAsync(until, stop)));
            return await CallAllAsync(_time.GetUtcNow() + Settling, stop);
        }
        finally
        {
            // Also after an interruption: the namespaces must not stay.
            using var limit = new CancellationTokenSource(Removal, _time);
            await Task.WhenAll(_clusters.Select(cluster => cluster.RemoveAsync(limit.Token)));
        }
    }

    private async Task<IReadOnlyList<ProbedCall>> CallAllAsync(DateTimeOffset until, CancellationToken stop)
    {
        var pairs = from caller in _clusters
                    from callee in _clusters
                    where caller == callee
                        || (MeshVerification.AreOneMesh(caller.Facts, callee.Facts, _members)
                            && !(caller.Facts.IsJoinedByNames && callee.Facts.IsJoinedByNames))
                    from protocol in ProbeProtocol.All
                    select (Caller: caller, Callee: callee, Protocol: protocol);
        var cells = pairs.ToList();
        var answers = await Task.WhenAll(cells.Select(cell => PersistAsync(cell.Caller, cell.Callee.Number, cell.Protocol, until, stop)));
        var seen = new Dictionary<ProbedCluster, IReadOnlyList<(int Port, string Peer)>>();
        foreach (var (callee, callers) in await Task.WhenAll(_clusters.Select(async cluster => (cluster, await cluster.CallersAsync(_id, stop)))))
            seen[callee] = callers;
        return [.. cells.Zip(answers, (cell, answer) => new ProbedCall(cell.Caller.Facts.Context, cell.Callee.Facts.Context, cell.Protocol.Name,
            answer.Error.Length == 0 ? PathOf(answer.Upstream) : "", answer.Milliseconds,
            seen[cell.Callee]
                .FirstOrDefault(caller => caller.Port == cell.Protocol.Port
                    && caller.Peer.EndsWith($"/ns/{Namespace}/sa/{ProbeObjects.AccountOf(cell.Caller.Number)}", StringComparison.Ordinal)).Peer
                ?? "",
            answer.Error))];
    }

    /// <summary>The other clusters learn of a new Pod only after a moment: the call is made again until it is answered, or it is too late for
    /// that.</summary>
    private async Task<ProbeAnswer> PersistAsync(ProbedCluster caller, int callee, ProbeProtocol protocol, DateTimeOffset until, CancellationToken stop)
    {
        while (true)
        {
            var answer = await caller.CallAsync(callee, protocol, _id, stop);
            // The first call opens connections; the second one shows how long calls take.
            if (answer.Error.Length == 0) return await caller.CallAsync(callee, protocol, _id, stop) is { Error: "" } warm ? warm : answer;
            if (_time.GetUtcNow() >= until) return answer;
            await Task.Delay(Pause, _time, stop);
        }
    }

    private string PathOf(string upstream)
    {
        var gateway = _members.SelectMany(cluster => cluster.Gateways.Select(gateway => (cluster, gateway)))
            .FirstOrDefault(found => found.gateway.Addresses.Any(address => upstream == $"{address}:{found.gateway.Port}"));
        return gateway.gateway is null ? $"direct, {upstream}" : $"gateway {upstream} of {gateway.gateway.Network}";
    }
}

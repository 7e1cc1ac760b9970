using System.Text.Json;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Packing;

/// <summary>What to pack.</summary>
/// <param name="Context">The current context.</param>
/// <param name="Proxies">Whose proxies are asked.</param>
/// <param name="Since">How far back logs go; null: as far as they are bounded anyway.</param>
/// <param name="Timeout">How long a cluster may take: what is not read by then is missing.</param>
/// <param name="MadeBy">The version of the program.</param>
public sealed record BugReportRequest(string Context, string IstioNamespace, PodSelection Proxies, TimeSpan? Since, TimeSpan Timeout, string MadeBy);

/// <summary>Packs what <c>trace</c>, <c>verify</c> and <c>analyze</c> read of the clusters of a mesh, without secrets. It changes nothing in them.</summary>
/// <param name="onStep">Told what is under way in a cluster, one call at a time.</param>
public sealed class BugReport(IReadOnlyList<ClusterAccess> clusters, BugReportRequest request, TimeProvider time, Action<PackStep> onStep)
{
    private const int AtOnce = 8;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);
    private readonly Lock _steps = new();

    /// <summary>Whether a proxy runs in the Pod and is asked.</summary>
    public static bool IsAsked(Pod pod, PodSelection proxies) => HasProxy(pod) && proxies.Covers(pod);

    /// <summary>Writes the pack. A cluster that does not answer is missing in it, with the reason.</summary>
    public async Task<PackManifest> WriteAsync(Stream file, CancellationToken stop)
    {
        var taken = time.GetUtcNow();
        await using var pack = new PackWriter(file, taken);
        var clients = clusters.Select(access => new KubeClient(access, "isthmus-bug-report") { RequestTimeout = Patience }).ToList();
        try
        {
            return await WriteAsync(pack, taken, [.. clients.Select(client => new ClusterLists(client, stop))], stop);
        }
        finally
        {
            foreach (var client in clients) client.Dispose();
        }
    }

    private async Task<PackManifest> WriteAsync(PackWriter pack, DateTimeOffset taken, IReadOnlyList<ClusterLists> lists, CancellationToken stop)
    {
        var entries = await Task.WhenAll(lists.Select(cluster => ReadAsync(cluster, pack, stop)));
        await AddReachAsync([.. lists.Zip(entries).Where(one => one.Second is { Error: "", Objects: > 0 }).Select(one => one.First)], pack, stop);
        var manifest = new PackManifest(taken, request.MadeBy, request.Context, request.IstioNamespace, entries, pack.Count);
        await pack.AddAsync(PackLayout.Manifest, manifest.Tree(), stop);
        return manifest;
    }

    /// <summary>Asks proxies to connect to the gateways of other networks: a snapshot cannot.</summary>
    private async Task AddReachAsync(IReadOnlyList<ClusterLists> answering, PackWriter pack, CancellationToken stop)
    {
        if (answering.Count < 2) return;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(request.Timeout);
        try
        {
            var reader = new MeshFactsReader(request.IstioNamespace);
            var reached = await StepAsync("mesh", "connections to gateways", async () =>
                await GatewayReachReader.ReadAsync(await Task.WhenAll(answering.Select(cluster => reader.ReadPatientlyAsync(cluster, limit.Token))),
                    [.. answering.Select(cluster => cluster.Client)], limit.Token));
            foreach (var near in reached.Where(reach => reach.Proxy.Length > 0).GroupBy(reach => reach.From, StringComparer.Ordinal))
                await pack.AddAsync(PackLayout.Reach(near.Key),
                    JsonSerializer.SerializeToNode([.. near.Select(PackedReach.Of)], PackJson.Default.IReadOnlyListPackedReach)!, stop);
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            // Then 'verify' says that the snapshot does not hold the answer.
        }
    }

    private async Task<PackedClusterEntry> ReadAsync(ClusterLists lists, PackWriter pack, CancellationToken stop)
    {
        var access = lists.Client.Access;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(request.Timeout);
        var objects = new ObjectCollector(lists, pack);
        var reports = new PodCollector(lists.Client, pack, request.Since);
        var (planes, proxies, error, isLate) = (new List<Pod>(), new List<Pod>(), "", false);
        try
        {
            var pods = await StepAsync(access.Name, "objects", () => objects.RunAsync(limit.Token));
            planes = [.. pods.Where(pod => pod.Metadata.Labels.GetValueOrDefault("app") == WellKnown.Istiod)];
            proxies = [.. pods.Where(pod => IsAsked(pod, request.Proxies))];
            await StepAsync(access.Name, "control planes", () => EachAsync(planes, pod => reports.AddControlPlaneAsync(pod, limit.Token)));
            await StepAsync(access.Name, Counted.Of(proxies.Count, "proxy", "proxies"),
                () => EachAsync(proxies, pod => reports.AddProxyAsync(pod, limit.Token)));
            await StepAsync(access.Name, "CNI agents",
                () => EachAsync(pods.Where(pod => pod.Metadata.Labels.GetValueOrDefault("k8s-app") == "istio-cni-node"),
                    pod => reports.AddLogsAsync(pod, "install-cni", limit.Token)));
        }
        catch (Exception e) when (e is HttpRequestException or KubeException)
        {
            error = e is HttpRequestException http ? Unreachable.Describe(http) : e.Message;
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            isLate = true;
        }
        var late = isLate ? [$"everything that was not read within {request.Timeout.TotalSeconds:0} s"] : Array.Empty<string>();
        return new(access.Name, access.Server.ToString(), access.Namespace, objects.Count == 0 ? error.Length == 0 && isLate ? late[0] : error : "",
            objects.Count, planes.Count, proxies.Count)
        {
            Missing = [.. objects.Missing, .. reports.Missing, .. late, .. objects.Count > 0 && error.Length > 0 ? [error] : Array.Empty<string>()],
        };
    }

    private static async Task EachAsync(IEnumerable<Pod> pods, Func<Pod, Task> work)
    {
        foreach (var some in pods.Chunk(AtOnce)) await Task.WhenAll(some.Select(work));
    }

    private static bool HasProxy(Pod pod) =>
        pod.Status.Phase == "Running" && pod.Spec.Containers.Concat(pod.Spec.InitContainers).Any(container => container.Name == "istio-proxy");

    private Task StepAsync(string cluster, string what, Func<Task> work) => StepAsync(cluster, what, async () =>
    {
        await work();
        return true;
    });

    private async Task<T> StepAsync<T>(string cluster, string what, Func<Task<T>> work)
    {
        var start = time.GetTimestamp();
        Tell(new(cluster, what, TimeSpan.Zero, false));
        var result = await work();
        Tell(new(cluster, what, time.GetElapsedTime(start), true));
        return result;
    }

    private void Tell(PackStep step)
    {
        lock (_steps) onStep(step);
    }
}

/// <summary>A part of the work in one cluster, done or under way.</summary>
public sealed record PackStep(string Cluster, string What, TimeSpan Took, bool IsDone);

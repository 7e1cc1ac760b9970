using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Reports;

namespace Isthmus.Operate.Diagnose.Packing;

/// <summary>Packs what the Pods of the mesh in one cluster report, and their logs.</summary>
/// <param name="since">How far back logs go; null for as far as they are bounded anyway.</param>
internal sealed class PodCollector(KubeClient client, PackWriter pack, TimeSpan? since)
{
    /// <summary>Bounds of one log: the last lines, and their bytes.</summary>
    private const int MostLines = 5000, MostBytes = 4 << 20;

    /// <summary>Pages that need a question, repeat what others say, or do something.</summary>
    private static readonly HashSet<string> Asking = new(StringComparer.Ordinal)
    {
        "/debug/config_dump", "/debug/sourcez", "/debug/distribution", "/debug/preview", "/debug/ecdsz", "/debug/edsz", "/debug/ndsz", "/debug/sidecarz",
        "/debug/config_distribution", "/debug/adsz", "/debug/endpointz", "/debug/list", "/debug/metricsz",
        "/debug/force_disconnect"
    };

    /// <summary>What trace and verify ask. Of a control plane that does not tell its pages, these are read.</summary>
    private static readonly string[] Needed = ["/debug/clusterz", "/debug/problemz", "/debug/history", "/debug/syncz"];

    private readonly List<string> _missing = [];

    /// <summary>What could not be read, and why.</summary>
    internal IEnumerable<string> Missing => _missing;

    internal async Task AddControlPlaneAsync(Pod pod, CancellationToken stop)
    {
        var folder = Folder(pod, "discovery");
        try
        {
            var pages = await PagesAsync(pod, stop);
            var lacking = Needed.Except(pages).ToList();
            foreach (var page in pages)
                if (!await AddPageAsync(pod, folder, page, stop)) lacking.Add(page);
            await pack.AddAsync($"{folder}/{PackLayout.Lacking}",
                JsonSerializer.SerializeToNode(lacking, PackJson.Default.IReadOnlyListString)!, stop);
        }
        catch (Exception e) when (IsSilence(e, stop))
        {
            await AddErrorAsync(pod, folder, e, stop);
        }
        await AddLogsAsync(pod, "discovery", stop);
    }

    internal async Task AddProxyAsync(Pod pod, CancellationToken stop)
    {
        var folder = Folder(pod, "istio-proxy");
        var query = new MeshQuery(client, pod.Metadata.Namespace);
        try
        {
            var (ns, name) = (pod.Metadata.Namespace, pod.Metadata.Name);
            var all = await query.InspectAsync(ns, name, "names=true", stop);
            await pack.AddAsync($"{folder}/{PackLayout.Dump}", all.ConfigDump ?? [], stop);
            await pack.AddAsync($"{folder}/{PackLayout.Clusters}", all.Clusters ?? [], stop);
            if (all.Pod is { } known)
                await pack.AddAsync($"{folder}/{PackLayout.Pod}", JsonSerializer.SerializeToNode(known, ProxyReports.Default.PodReport)!, stop);
            await pack.AddAsync($"{folder}/{PackLayout.Stats}", await query.AskProxyTextAsync(ns, name, "GET", "/stats", stop), stop);
        }
        catch (Exception e) when (IsSilence(e, stop))
        {
            await AddErrorAsync(pod, folder, e, stop);
        }
        await AddLogsAsync(pod, "istio-proxy", stop);
    }

    /// <summary>The log of a container and, when it was restarted, that of the one before.</summary>
    internal async Task AddLogsAsync(Pod pod, string container, CancellationToken stop)
    {
        await AddLogAsync(pod, container, isPrevious: false, stop);
        if (pod.Status.ContainerStatuses.Concat(pod.Status.InitContainerStatuses).Any(status => status.Name == container && status.RestartCount > 0))
            await AddLogAsync(pod, container, isPrevious: true, stop);
    }

    private async Task<IReadOnlyCollection<string>> PagesAsync(Pod pod, CancellationToken stop)
    {
        try
        {
            // Entries with a query change what istiod has: they clear its cache, or push to all proxies.
            var pages = DebugPages.Names(StrictJson.Parse(await AskAsync(pod, DebugPages.Prefix + "list", stop)))
                .Where(name => !name.Contains('?', StringComparison.Ordinal)).Select(name => DebugPages.Prefix + name).Except(Asking).ToList();
            // One that tells its pages has no others: those of Istio lack some of Isthmus.
            return pages.Count > 0 ? pages : Needed;
        }
        catch (Exception e) when (e is JsonException or ProblemException)
        {
            return Needed;
        }
    }

    /// <returns>Whether the control plane has the page.</returns>
    private async Task<bool> AddPageAsync(Pod pod, string folder, string page, CancellationToken stop)
    {
        try
        {
            var answer = await AskAsync(pod, page, stop);
            await pack.AddAsync($"{folder}{page}.json", StrictJson.Parse(answer) ?? new JsonObject(), stop);
            return true;
        }
        catch (Exception e) when (e is ProblemException or JsonException)
        {
            Miss($"{NameOf(pod)}: {page}: {e.Message}");
            return e is not NoSuchPageException;
        }
    }

    private async Task<string> AskAsync(Pod pod, string path, CancellationToken stop)
    {
        var (status, body) = await client.Pods.SendAsync(pod.Metadata.Namespace, pod.Metadata.Name, Ports.DiscoveryHttp, new("GET", path), stop);
        if (status == 404) throw new NoSuchPageException(NameOf(pod), path);
        return status is >= 200 and < 300 ? body : throw new ProblemException(NameOf(pod), $"responded to {path} with status {status}");
    }

    private async Task AddLogAsync(Pod pod, string container, bool isPrevious, CancellationToken stop)
    {
        var path = string.Create(CultureInfo.InvariantCulture,
            $"{Kinds.Pod.Path(pod.Metadata.Namespace, pod.Metadata.Name, "log")}?container={container}&timestamps=true"
                + $"&tailLines={MostLines}&limitBytes={MostBytes}"
                + $"{(since is { } back ? $"&sinceSeconds={(long)Math.Max(1, back.TotalSeconds)}" : "")}{(isPrevious ? "&previous=true" : "")}");
        try
        {
            await pack.AddAsync($"{Folder(pod, container)}/{(isPrevious ? PackLayout.Previous : PackLayout.Log)}",
                Encoding.UTF8.GetString(await client.RawAsync(HttpMethod.Get, path, null, stop)), stop);
        }
        catch (Exception e) when (IsSilence(e, stop))
        {
            Miss($"{NameOf(pod)}: log of {container}: {e.Message}");
        }
    }

    private async Task AddErrorAsync(Pod pod, string folder, Exception e, CancellationToken stop)
    {
        var why = e is ProblemException problem ? problem.Problem.Message : e.Message;
        Miss($"{NameOf(pod)}: {why}");
        await pack.AddAsync($"{folder}/{PackLayout.Error}", why, stop);
    }

    private void Miss(string what)
    {
        lock (_missing) _missing.Add(what);
    }

    private string Folder(Pod pod, string container) => PackLayout.Container(client.Access.Name, pod.Metadata.Namespace, pod.Metadata.Name, container);

    private static string NameOf(Pod pod) => $"Pod {pod.Key}";

    private static bool IsSilence(Exception e, CancellationToken stop) =>
        e is ProblemException or KubeException or HttpRequestException or InvalidOperationException
            || (e is OperationCanceledException && !stop.IsCancellationRequested);
}

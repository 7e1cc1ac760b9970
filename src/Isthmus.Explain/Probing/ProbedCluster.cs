using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Diagnose;
using Isthmus.Reports;

namespace Isthmus.Explain.Probing;

/// <summary>One cluster of a probe: it makes the objects there, waits for its Pod, makes calls from it, and removes everything.</summary>
/// <param name="number">The number of the cluster in the names of objects.</param>
internal sealed class ProbedCluster(ClusterFacts facts, ClusterAccess access, string ns, int number, TimeProvider time) : IDisposable
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100), CallPatience = TimeSpan.FromSeconds(2);

    private readonly KubeClient _client = new(access, "isthmus-verify") { RequestTimeout = TimeSpan.FromSeconds(15) };
    private readonly ProbeObjects _objects = new(ns, number);
    private readonly Dictionary<int, string> _addresses = [];
    private string _pod = "";

    public ClusterFacts Facts => facts;

    public int Number => number;

    /// <summary>Where the Pods of the mesh run this program.</summary>
    private string Image => facts.ProgramImage.Length > 0 ? facts.ProgramImage
        : throw new ProblemException($"cluster {facts.Context}", "its mesh's image is not known, so no Pod can be started for the probe",
            "install Isthmus there, or leave out --probe");

    public void Dispose() => _client.Dispose();

    /// <summary>Removes what a run left behind that was killed.</summary>
    public async Task RemoveLeftoversAsync(CancellationToken stop)
    {
        var found = await _client.ListAllAsync<Namespace>(Kinds.Namespace, null, new ListOptions { LabelSelector = $"{ProbeObjects.Label}=true" }, stop);
        await Task.WhenAll(found.Where(other => other.Metadata.DeletionTimestamp is null && other.Metadata.Name != ns
            && ProbeOwner.IsGone(other, time.GetUtcNow()))
            .Select(other => _client.DeleteAsync(Kinds.Namespace, null, other.Metadata.Name, stop)));
    }

    public async Task CreateAsync(IEnumerable<int> all, CancellationToken stop)
    {
        var image = Image;
        // Not interrupted: a request that nobody waits for may take effect after the removal, and its namespace would stay.
        await _client.CreateAsync(Kinds.Namespace, null, _objects.Namespace(facts.Revision, ProbeOwner.Own, time.GetUtcNow() + ProbeOwner.Longest),
            CancellationToken.None);
        stop.ThrowIfCancellationRequested();
        await _client.CreateAsync(Kinds.ServiceAccount, _objects.Account, stop);
        var services = all.Select(async cluster => (cluster, await _client.CreateAsync(Kinds.Service, _objects.Service(cluster), stop)));
        await _client.CreateAsync(Kinds.Job, _objects.Job(image), stop);
        foreach (var (cluster, service) in await Task.WhenAll(services)) _addresses[cluster] = service["spec"]?["clusterIP"]?.ToString() ?? "";
    }

    public Task RemoveAsync(CancellationToken stop) => _client.DeleteAsync(Kinds.Namespace, null, ns, stop);

    /// <summary>Waits until the Pod can call and be called.</summary>
    /// <exception cref="ProblemException">It was not ready in time.</exception>
    public async Task ReadyAsync(DateTimeOffset until, CancellationToken stop)
    {
        while (true)
        {
            var pod = (await _client.ListAllAsync<Pod>(Kinds.Pod, ns, new ListOptions(), stop))
                .FirstOrDefault(pod => pod.Metadata.Labels.GetValueOrDefault("app") == ProbeObjects.ServiceOf(number));
            if (pod is { Status.IsReady: true })
            {
                if (ClusterObjects.Sidecar(pod) is null)
                    throw new ProblemException($"cluster {facts.Context}",
                        "a Pod in a namespace that asks for sidecars got none, so no Pod of the mesh can be tried",
                        $"check the injection webhook: kubectl --context={facts.Context} get mutatingwebhookconfigurations");
                _pod = pod.Metadata.Name;
                return;
            }
            if (time.GetUtcNow() >= until)
                throw new ProblemException($"cluster {facts.Context}",
                    $"the Pod of the probe is not ready: {(pod is null ? await WhyNoPodAsync(stop) : ServicePods.Why(pod))}",
                    "what the mesh itself lacks, without --probe: isthmus verify");
            await Task.Delay(Pause, time, stop);
        }
    }

    /// <summary>Calls the Pod of a cluster once.</summary>
    public async Task<ProbeAnswer> CallAsync(int callee, ProbeProtocol protocol, string id, CancellationToken stop)
    {
        var (host, to) = (ProbeObjects.ServiceOf(callee), $"{_addresses[callee]}:{protocol.Port}");
        var question = new CallQuestion(to)
        {
            Kind = protocol.Kind, Authority = string.Create(CultureInfo.InvariantCulture, $"{host}.{ns}:{protocol.Port}"), Path = protocol.Path,
            Method = protocol.Method, Id = id, Timeout = CallQuestion.Milliseconds(CallPatience),
        };
        try
        {
            return ProbeAnswer.Read(await Query.CallAnywhereAsync(ns, _pod, question, stop), protocol);
        }
        catch (Exception e) when (e is ProblemException or KubeException or HttpRequestException)
        {
            return new(0, "", $"the caller's proxy cannot be asked: {e.Message}");
        }
    }

    /// <summary>Who called the Pod on a port, by the certificates that its proxy saw; empty for calls in plain text.</summary>
    public async Task<IReadOnlyList<(int Port, string Peer)>> CallersAsync(string id, CancellationToken stop)
    {
        try
        {
            return [.. (await Query.RecentAsync(ns, _pod, id, stop)).Where(seen => seen.Direction == "inbound")
                .Select(seen => (PortOf(seen.Cluster ?? ""), seen.DownstreamPeer ?? ""))];
        }
        catch (Exception e) when (e is ProblemException or KubeException or HttpRequestException)
        {
            return []; // Only the identities are missing then.
        }
    }

    private MeshQuery Query => new(_client, facts.SystemNamespace) { Patience = CallPatience + PodRequest.UsualPatience };

    private async Task<string> WhyNoPodAsync(CancellationToken stop)
    {
        var events = await _client.ListAllAsync<JsonObject>(Kinds.Event, ns, new ListOptions(), stop);
        return events.Where(item => item["type"]?.ToString() == "Warning").Select(item => item["message"]?.ToString() ?? "")
            .LastOrDefault(text => text.Length > 0)
            ?? "it was not created";
    }

    /// <summary>The port in the name of an inbound cluster, <c>inbound|8080||</c>.</summary>
    private static int PortOf(string cluster) =>
        cluster.Split('|') is [_, var port, ..] && int.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0;
}

using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Install;
using Isthmus.Operate.MeshFile;

namespace Isthmus.Quickstart;

/// <summary>The samples of the quickstart in their clusters, and the calls between them.</summary>
internal sealed class QuickstartMesh(IReadOnlyList<QuickstartCluster> clusters, TimeProvider time)
{
    private const string SampleNamespace = "sample";
    private static readonly TimeSpan Readiness = TimeSpan.FromMinutes(2);

    /// <summary>Version N of the callee runs in the Nth cluster only; its Service and the caller are everywhere.</summary>
    internal async Task DeploySamplesAsync(string name, CancellationToken stop)
    {
        var cluster = clusters.First(candidate => candidate.Name == name);
        await cluster.Client.ApplyAsync(Kinds.Namespace, new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "Namespace",
            ["metadata"] = new JsonObject { ["name"] = SampleNamespace, ["labels"] = new JsonObject { [Labels.Injection] = "enabled" } },
        }, stop);
        var version = $"v{cluster.Ordinal}";
        await ApplyAsync(cluster, "helloworld/helloworld.yaml",
            value => value["kind"]?.ToString() == "Service" || value["metadata"]?["labels"]?["version"]?.ToString() == version, stop);
        await ApplyAsync(cluster, "sleep/sleep.yaml", _ => true, stop);
    }

    /// <summary>Waits for the Pods of the samples, and learns where each cluster's gateway is.</summary>
    internal Task ReadyAsync(CancellationToken stop) => Task.WhenAll(clusters.Select(async cluster =>
    {
        var deployments = await cluster.Client.ListAllAsync<JsonObject>(Kinds.Deployment, SampleNamespace, new ListOptions(), stop);
        await new Applier(cluster.Client, time).ReadyAsync([.. deployments], Readiness, stop);
        cluster.GatewayAddress = await GatewayAddress.AwaitAsync(cluster.Link, Readiness, time, stop);
    }));

    /// <summary>The caller of a cluster asks <paramref name="times"/> times, on one connection after the other; what it got, line by line.</summary>
    internal async Task<string> CallAsync(QuickstartCluster cluster, int times, string agent, CancellationToken stop)
    {
        var pods = await cluster.Client.ListAllAsync<Pod>(Kinds.Pod, SampleNamespace, new ListOptions { LabelSelector = "app=sleep" }, stop);
        var pod = pods.FirstOrDefault(candidate => candidate.Status.IsReady)
            ?? throw new ProblemException($"{cluster.Name}: Pod with app=sleep", "is not ready");
        var script = $"for i in $(seq {times}); do curl -sS -m 5 -A {agent} helloworld.{SampleNamespace}:5000/hello 2>&1 || echo; done";
        var result = await PodExec.RunAsync(cluster.Client.Access, SampleNamespace, pod.Metadata.Name, "sleep", ["sh", "-c", script], stop);
        return result.Output;
    }

    /// <summary>What the callee's sidecars and the gateway of a cluster wrote.</summary>
    internal async Task<ClusterLogs> LogsAsync(QuickstartCluster cluster, CancellationToken stop)
    {
        var callees = new List<(string, AccessLogLine)>();
        foreach (var pod in await cluster.Client.ListAllAsync<Pod>(Kinds.Pod, SampleNamespace, new ListOptions { LabelSelector = "app=helloworld" }, stop))
            callees.AddRange((await LinesAsync(cluster, pod, stop)).Select(line => (pod.Metadata.Labels.GetValueOrDefault("version") ?? "", line)));
        var gateway = new List<AccessLogLine>();
        foreach (var pod in await cluster.Client.ListAllAsync<Pod>(Kinds.Pod, WellKnown.SystemNamespace,
            new ListOptions { LabelSelector = "istio=eastwestgateway" }, stop))
            gateway.AddRange(await LinesAsync(cluster, pod, stop));
        return new(cluster.Name, callees, gateway, cluster.GatewayAddress);
    }

    private static async Task<IEnumerable<AccessLogLine>> LinesAsync(QuickstartCluster cluster, Pod pod, CancellationToken stop)
    {
        var log = await cluster.Client.RawAsync(HttpMethod.Get, Kinds.Pod.Path(pod.Metadata.Namespace, pod.Metadata.Name, "log") + "?container=istio-proxy",
            null, stop);
        return System.Text.Encoding.UTF8.GetString(log).Split('\n').Select(AccessLogLine.Parse).OfType<AccessLogLine>();
    }

    /// <summary>Control planes alone, whose proxies write what the closing table is made of.</summary>
    internal static JsonObject Install() => new()
    {
        ["profile"] = "minimal",
        ["meshConfig"] = new JsonObject { ["accessLogFile"] = "/dev/stdout", ["accessLogFormat"] = AccessLogLine.Format },
    };

    private static async Task ApplyAsync(QuickstartCluster cluster, string sample, Func<JsonObject, bool> wanted, CancellationToken stop)
    {
        foreach (var value in YamlText.ParseAll(Sample(sample), sample).OfType<JsonObject>().Where(wanted))
        {
            value["metadata"]!["namespace"] = SampleNamespace;
            RecordApplied(value);
            await cluster.Client.ApplyAsync(Manifests.KindOf(value) ?? throw new NotSupportedException($"{sample}: kind {value["kind"]}"), value, stop);
        }
    }

    /// <summary>Leaves the trace that <c>kubectl apply</c> leaves, so that the next one, typed by hand, goes on from here without a warning.</summary>
    private static void RecordApplied(JsonObject value)
    {
        var applied = value.ToJsonString() + "\n";
        var metadata = value["metadata"]!.AsObject();
        if (metadata["annotations"] is not JsonObject annotations) metadata["annotations"] = annotations = new JsonObject();
        annotations["kubectl.kubernetes.io/last-applied-configuration"] = applied;
    }

    private static string Sample(string name)
    {
        using var stream = typeof(QuickstartMesh).Assembly.GetManifestResourceStream($"samples/{name}")
            ?? throw new InvalidOperationException($"samples/{name} is not part of this build");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}

/// <summary>One cluster of the quickstart.</summary>
/// <param name="ordinal">1 for the first.</param>
internal sealed class QuickstartCluster(ClusterLink link, int ordinal)
{
    internal ClusterLink Link => link;

    internal string Name => link.Name;

    internal int Ordinal => ordinal;

    internal KubeClient Client => link.Client;

    internal string GatewayAddress { get; set; } = "";
}

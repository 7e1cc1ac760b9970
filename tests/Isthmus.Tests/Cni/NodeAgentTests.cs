using System.Text.Json.Nodes;
using Isthmus.Cni;
using Isthmus.Cni.Pods;
using Isthmus.Cni.Repair;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.Cni;

/// <summary>The agent's life on a node, with an API server.</summary>
public sealed class NodeAgentTests : IAsyncLifetime
{
    private const string List = """{"name": "a", "plugins": [{"type": "bridge"}]}""";

    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-agent-").FullName;
    private readonly LoopbackCluster _cluster = new();
    private KubeClient _client = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private string Chain => Path.Combine(_directory, "net.d/10-net.conflist");

    public async ValueTask InitializeAsync()
    {
        _client = await _cluster.StartAsync();
        Directory.CreateDirectory(Path.Combine(_directory, "net.d"));
        await File.WriteAllTextAsync(Chain, List, Stop);
        await File.WriteAllTextAsync(Path.Combine(_directory, "plugin"), "program", Stop);
    }

    public async ValueTask DisposeAsync()
    {
        await _cluster.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
        GC.SuppressFinalize(this);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_chain_stays_for_the_next_agent_and_is_restored_after_the_last(bool replaced)
    {
        await _client.CreateAsync(Kinds.DaemonSet, Object("""
            apiVersion: apps/v1
            kind: DaemonSet
            metadata: {name: istio-cni-node, namespace: kube-system}
            spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}
            """), Stop);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        var agent = new NodeAgent(Settings(), _client, TimeProvider.System, NullLogger.Instance);
        var running = agent.RunAsync(stop.Token);
        await Eventually.TrueAsync(() => agent.Waiting.Length == 0 || running.IsCompleted);
        Assert.Contains("istio-cni", await File.ReadAllTextAsync(Chain, Stop), StringComparison.Ordinal);
        if (!replaced) await _client.DeleteAsync(Kinds.DaemonSet, "kube-system", "istio-cni-node", Stop);
        await stop.CancelAsync();
        await running;
        Assert.Equal(replaced, File.Exists(Path.Combine(_directory, "bin/istio-cni")));
        Assert.Equal(replaced, await File.ReadAllTextAsync(Chain, Stop) != List);
    }

    [Fact]
    public async Task An_image_without_the_plugin_is_refused()
    {
        File.Delete(Path.Combine(_directory, "plugin"));
        var agent = new NodeAgent(Settings(), _client, TimeProvider.System, NullLogger.Instance);
        Assert.EndsWith("this image has no CNI plug-in (build the image with 'isthmus image build' on a machine with gcc and libc6-dev)",
            (await Assert.ThrowsAsync<ProblemException>(() => agent.RunAsync(Stop))).Message);
        Assert.Equal(List, await File.ReadAllTextAsync(Chain, Stop));
    }

    [Theory]
    [InlineData(false, true, false, null, null)]
    [InlineData(false, false, true, "true", null)]
    [InlineData(false, false, false, "", null)]
    [InlineData(true, true, true, "", "no network namespace")]
    public async Task A_Pod_that_started_without_capture_is_repaired_deleted_or_labelled(bool repair, bool delete, bool label, string? labelled, string? error)
    {
        await _client.CreateAsync(Kinds.ServiceAccount, Object("{apiVersion: v1, kind: ServiceAccount, metadata: {name: default, namespace: default}}"), Stop);
        var broken = Object("""
            apiVersion: v1
            kind: Pod
            metadata: {name: web, namespace: default, annotations: {sidecar.istio.io/status: "{}"}}
            spec:
              nodeName: n1
              initContainers: [{name: istio-validation, image: i, args: [istio-iptables]}]
              containers: [{name: istio-proxy, image: i}]
            """);
        var other = (JsonObject)broken.DeepClone();
        other["metadata"]!["name"] = "other-node";
        other["spec"]!["nodeName"] = "n2";
        foreach (var pod in (JsonObject[])[broken, other])
        {
            pod["spec"]!["serviceAccountName"] = "default";
            pod["spec"]!["automountServiceAccountToken"] = false;
            await _client.CreateAsync(Kinds.Pod, pod, Stop);
            await _client.PatchAsync(Kinds.Pod, "default", pod["metadata"]!["name"]!.ToString(), (JsonObject)JsonNode.Parse("""
                {"status": {"podIP": "192.0.2.7", "initContainerStatuses": [{"name": "istio-validation", "image": "i", "imageID": "", "ready": false,
                    "restartCount": 1, "state": {"waiting": {}}, "lastState": {"terminated": {"exitCode": 126}}}]}}
                """)!, PatchType.Merge, Stop, "status");
        }
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        var log = new Lines();
        var running = new PodRepair(_client, "n1", new(repair, delete, label), new(_client, new(_directory), [], TimeProvider.System, log), TimeProvider.System,
            log).RunAsync(stop.Token);
        if (repair || delete || label)
            await Eventually.TrueAsync(
                () => running.IsCompleted || log.Any(line => line.StartsWith("default/web: started without capture", StringComparison.Ordinal)));
        await stop.CancelAsync();
        await running;
        var left = await _client.FindAsync<Pod>(Kinds.Pod, "default", "web", Stop);
        // Without a kubelet, a Pod that is bound to a node ends when somebody confirms it.
        Assert.Equal(labelled is null, left is null or { Metadata.DeletionTimestamp: not null });
        if (left is not null && labelled is not null) Assert.Equal(labelled, left.Metadata.Labels.GetValueOrDefault("cni.istio.io/uninitialized", ""));
        if (error is not null) Assert.Contains(log, line => line.Contains(error, StringComparison.Ordinal));
        Assert.Null((await _client.GetAsync<Pod>(Kinds.Pod, "default", "other-node", Stop)).Metadata.DeletionTimestamp);
    }

    [Theory]
    [InlineData("/etc/passwd")]
    [InlineData("/var/run/netns/")]
    [InlineData("/var/run/netns/..")]
    [InlineData("/var/run/netns/a/../b")]
    [InlineData("/proc/self/ns/net")]
    [InlineData("/proc/1/ns/mnt")]
    [InlineData("/proc//ns/net")]
    public void Only_network_namespaces_are_entered(string path) =>
        Assert.Contains("is not the path of a network namespace", Assert.Throws<ProblemException>(() => new NodeNamespaces("").Run(path, () => 0)).Message,
            StringComparison.Ordinal);

    private CniSettings Settings() => new()
    {
        NodeName = "n1", Namespace = "kube-system", ConfigurationDirectory = Path.Combine(_directory, "net.d"),
        BinaryDirectory = Path.Combine(_directory, "bin"),
        Binary = Path.Combine(_directory, "plugin"), Socket = Path.Combine(_directory, "run/agent.sock"),
    };

    private static JsonObject Object(string yaml) => YamlText.Parse(yaml, "test")!.AsObject();

    private sealed class Lines : System.Collections.Concurrent.ConcurrentQueue<string>, Microsoft.Extensions.Logging.ILogger
    {
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(Microsoft.Extensions.Logging.LogLevel logLevel) => true;

        public void Log<TState>(Microsoft.Extensions.Logging.LogLevel logLevel, Microsoft.Extensions.Logging.EventId eventId, TState state,
            Exception? exception, Func<TState, Exception?, string> formatter) => Enqueue(formatter(state, exception));
    }
}

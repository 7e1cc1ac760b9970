using System.Globalization;
using System.Net.WebSockets;
using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Testing;
using Isthmus.Tests.Mesh.Faults;
using Isthmus.Tests.Mesh.Lab;
using Xunit;

namespace Isthmus.Tests.Mesh.Meshes;

/// <summary>Two clusters on two networks, joined as in the quickstart. They are created for the first test and shared by
/// all tests of a class.</summary>
public class MeshRig : IAsyncLifetime
{
    internal static readonly string[] Clusters = ["cluster1", "cluster2"];

    /// <summary>Only a test that fails waits so long, whatever else the machine does.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private LabRig? _lab;

    /// <summary>The options of <c>lab up</c> before the quickstart joins the clusters.</summary>
    protected virtual string[] Up => [];

    /// <summary>Every control plane of the mesh.</summary>
    internal virtual IReadOnlyList<ControlPlanePlace> ControlPlanes => [.. Clusters.Select(cluster => new ControlPlanePlace(cluster))];

    /// <summary>The options with which <c>isthmus verify</c> checks the whole mesh.</summary>
    internal virtual string[] Verified => ["--contexts", string.Join(',', Clusters)];

    internal virtual CallPath Calls => CallPath.Quickstart;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        if (_lab is not null) await _lab.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    /// <summary>The tests start the lab, not the fixture, because only a test can be skipped.</summary>
    internal async Task<LabRig> LabAsync()
    {
        if (_lab is not null) return _lab;
        _lab = await LabRig.CreateAsync();
        await JoinAsync(_lab);
        return _lab;
    }

    private protected virtual async Task JoinAsync(LabRig lab)
    {
        if (Up.Length > 0) (await lab.IsthmusAsync(["lab", "up", .. Up])).Expect(0);
        (await lab.IsthmusAsync("quickstart", "--yes")).Expect(0);
    }

    internal async Task<string> KubectlAsync(string cluster, string words) =>
        (await (await LabAsync()).KubectlAsync([$"--context={cluster}", .. words.Split(' ')])).Expect(0);

    /// <summary>The output of a script in a container. A failing script fails the test.</summary>
    /// <param name="workload">A Pod, or <c>deploy/NAME</c>: one of its Pods.</param>
    internal async Task<string> ScriptAsync(string cluster, string ns, string workload, string container, string script)
    {
        var stop = TestContext.Current.CancellationToken;
        using var client = (await LabAsync()).Client(cluster);
        ExecResult result;
        try
        {
            result = await PodExec.RunAsync(client.Access, ns, await PodAsync(client, ns, workload), container, ["bash", "-c", script], stop)
                .WaitAsync(TimeSpan.FromMinutes(6), stop);
        }
        catch (Exception e) when (e is KubeException or HttpRequestException or IOException or WebSocketException)
        {
            throw new Xunit.Sdk.XunitException($"{cluster}: {workload} in {ns} could not be asked: {e.Message}");
        }
        return new Outcome(result.ExitCode, result.Output, result.Error).Expect(0);
    }

    /// <summary>As <c>kubectl exec</c> chooses: a Pod that is ready, if there is one.</summary>
    private static async Task<string> PodAsync(KubeClient client, string ns, string workload)
    {
        var stop = TestContext.Current.CancellationToken;
        if (workload.Split('/') is not ["deploy" or "deployment", var name]) return workload;
        var labels = (await client.GetAsync(Kinds.Deployment, ns, name, stop))["spec"]!["selector"]!["matchLabels"]!.AsObject();
        var pods = await client.ListAllAsync<Pod>(Kinds.Pod, ns,
            new() { LabelSelector = string.Join(',', labels.Select(label => $"{label.Key}={label.Value}")) }, stop);
        return pods.OrderBy(pod => pod.Metadata.DeletionTimestamp is not null).ThenByDescending(pod => pod.Status.IsReady).FirstOrDefault()?.Metadata.Name
            ?? throw new Xunit.Sdk.XunitException($"{workload} in {ns} has no Pods");
    }

    /// <summary>Applies the documents of a file next to the tests that belong to the cluster: an annotation of a document
    /// can name one.</summary>
    internal async Task ApplyAsync(string cluster, string file, [CallerFilePath] string caller = "")
    {
        var documents = (await File.ReadAllTextAsync(Path.Combine(Path.GetDirectoryName(caller)!, file))).Split("\n---\n")
            .Where(text => Clusters.All(name => name == cluster || !text.Contains($"in-cluster: {name}", StringComparison.Ordinal)));
        await WithFileAsync(string.Join("\n---\n", documents), path => KubectlAsync(cluster, $"apply -f {path}"));
    }

    internal async Task WithFileAsync(string text, Func<string, Task> use)
    {
        var path = Path.Combine((await LabAsync()).Home.Directory, $"{Guid.NewGuid():N}.yaml");
        await File.WriteAllTextAsync(path, text);
        await use(path);
        File.Delete(path);
    }

    /// <summary>Waits for the workloads of a namespace, as <c>kubectl rollout status</c> does.</summary>
    internal async Task ReadyAsync(string cluster, string ns)
    {
        var stop = TestContext.Current.CancellationToken;
        using var client = (await LabAsync()).Client(cluster);
        await Eventually.AnswerAsync(async () =>
        {
            var waiting = new List<string>();
            foreach (var kind in (ResourceKind[])[Kinds.Deployment, Kinds.StatefulSet])
                waiting.AddRange((await client.ListAllAsync<JsonObject>(kind, ns, new(), stop)).Where(one => !IsRolledOut(one))
                    .Select(one => $"{kind.Kind} {one["metadata"]!["name"]}: {one["status"]?.ToJsonString()}"));
            return waiting;
        }, waiting => waiting.Count == 0, waiting => $"in {cluster}, namespace {ns}: {string.Join("; ", waiting)}", Patience);
    }

    /// <summary>Whether all replicas of a Deployment or StatefulSet are those of its present template, and available.</summary>
    private static bool IsRolledOut(JsonObject workload)
    {
        var status = workload["status"];
        var wanted = (int?)workload["spec"]!["replicas"] ?? 1;
        var (all, updated, available) = ((int?)status?["replicas"] ?? 0, (int?)status?["updatedReplicas"] ?? 0, (int?)status?["availableReplicas"] ?? 0);
        return (long?)status?["observedGeneration"] >= (long)workload["metadata"]!["generation"]! && (all, updated, available) == (wanted, wanted, wanted);
    }

    /// <summary>Repeats a query for a while until the answer is as expected: changes take a moment to pass between
    /// clusters. A failed query is repeated too.</summary>
    internal static async Task<string> UntilAsync(Func<Task<string>> ask, Func<string, bool> wanted, string what)
    {
        var (text, _) = await Eventually.AnswerAsync(async () =>
        {
            try
            {
                var answer = await ask();
                return (Text: answer, IsWanted: wanted(answer));
            }
            catch (Xunit.Sdk.XunitException e)
            {
                return (Text: e.Message, IsWanted: false);
            }
        }, answer => answer.IsWanted, answer => $"{what}\nthe last answer: {answer.Text}", Patience);
        return text;
    }

    internal static void Note(string text) => TestContext.Current.TestOutputHelper?.WriteLine(text);

    internal static string Seconds(TimeSpan time) => time.TotalSeconds.ToString("0.00 s", CultureInfo.InvariantCulture);
}

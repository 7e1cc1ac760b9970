using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using Isthmus.Tests.Mesh.Lab;
using Xunit;

namespace Isthmus.Tests.Mesh.Mesh;

/// <summary>Two clusters on two networks, joined as in the quickstart. They are created for the first test and shared by
/// all tests of a class.</summary>
public class MeshRig : IAsyncLifetime
{
    internal static readonly string[] Clusters = ["cluster1", "cluster2"];

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
    internal async Task<string> ScriptAsync(string cluster, string ns, string workload, string container, string script) =>
        (await (await LabAsync()).KubectlAsync($"--context={cluster}", "-n", ns, "exec", workload, "-c", container, "--", "bash", "-c", script)).Expect(0);

    /// <summary>Applies the documents of a file next to the tests that belong to the cluster: an annotation of a document
    /// can name one.</summary>
    internal async Task ApplyAsync(string cluster, string file)
    {
        var documents = (await File.ReadAllTextAsync(Path.Combine(Folder(), file))).Split("\n---\n")
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

    /// <summary>Waits for the workloads of a namespace.</summary>
    internal async Task ReadyAsync(string cluster, string ns)
    {
        foreach (var name in (await KubectlAsync(cluster, $"-n {ns} get deployments,statefulsets -o name")).Split('\n', StringSplitOptions.RemoveEmptyEntries))
            await KubectlAsync(cluster, $"-n {ns} rollout status {name} --timeout=90s");
    }

    /// <summary>Repeats a query for a short time until the answer is as expected: changes take a moment to pass between
    /// clusters. A failed query is repeated too.</summary>
    internal static async Task<string> UntilAsync(Func<Task<string>> ask, Func<string, bool> wanted, string what)
    {
        var begun = Stopwatch.GetTimestamp();
        while (true)
        {
            string answer;
            var asked = Stopwatch.GetTimestamp();
            try
            {
                answer = await ask();
                if (wanted(answer)) return answer;
            }
            catch (Xunit.Sdk.XunitException e)
            {
                answer = e.Message;
            }
            Assert.True(Stopwatch.GetElapsedTime(begun) < TimeSpan.FromSeconds(30), $"not within 30 s: {what}\nthe last answer: {answer}");
            // As long again as the question took: questions that are processes must not take the CPU from what they wait for.
            await Task.Delay(TimeSpan.FromMilliseconds(100) + Stopwatch.GetElapsedTime(asked), TestContext.Current.CancellationToken);
        }
    }

    internal static void Note(string text) => TestContext.Current.TestOutputHelper?.WriteLine(text);

    internal static string Seconds(TimeSpan time) => time.TotalSeconds.ToString("0.00 s", CultureInfo.InvariantCulture);

    private static string Folder([CallerFilePath] string path = "") => Path.GetDirectoryName(path)!;
}

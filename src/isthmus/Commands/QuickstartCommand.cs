using System.CommandLine;
using System.Globalization;
using System.Runtime.Versioning;
using Isthmus.Core.Problems;
using Isthmus.Lab.Supervisor;
using Isthmus.Operate.MeshFile;
using Isthmus.Options;
using Isthmus.Output;
using Isthmus.Quickstart;

namespace Isthmus.Commands;

/// <summary><c>isthmus quickstart</c>: from nothing to two clusters that answer each other, with the proof.</summary>
[SupportedOSPlatform("linux")]
internal static class QuickstartCommand
{
    private const int CallsPerCluster = 20;
    private const int PathColumn = 4;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    internal static Command Build()
    {
        var yes = ConfirmationOption.InstallMissing();
        var command = new Command("quickstart", "Start two clusters on this machine, join them into one mesh, and show that they can call each other.") { yes };
        command.SetAction(async (line, stop) =>
        {
            var begun = TimeProvider.System.GetTimestamp();
            var control = LabCommand.Control(line.GetValue(yes));
            var mesh = LabMesh.Write(control.Client.Home, Topologies.Write("multi-primary-multi-network", 2, QuickstartMesh.Install()));
            await LabProgress.RunAsync(onStep => control.UpAsync(new(LabMesh.Requests(mesh), MustBeNew: false, Wait: false,
                line.GetValue(GlobalOptions.Kubeconfig), MakeCurrent: true),
                onStep, stop));
            return await Interruption.TellAsync(async () =>
            {
                using var links = await MeshInput.OpenAsync(mesh, line.GetValue(GlobalOptions.Kubeconfig), stop);
                return await RunAsync(mesh, links, begun, stop);
            },
            () =>
                "The clusters keep running, with the mesh as far as it was set up. Run 'isthmus quickstart' again to continue, or remove everything with "
                    + "'isthmus lab down'.",
            Console.Error, stop);
        });
        return command;
    }

    private static async Task<int> RunAsync(MeshSpec mesh, MeshLinks links, long begun, CancellationToken stop)
    {
        var clusters = links.All.Select((link, index) => new QuickstartCluster(link, index + 1)).ToList();
        var samples = new QuickstartMesh(clusters, TimeProvider.System);
        var design = new MeshDesign(mesh);
        var plan = await new MeshPlanner(design, links, TimeProvider.System).PlanAsync(stop);
        // The first answers say more than the control planes could.
        var settings = new MeshRunSettings(Patience, (link, stopped) => samples.DeploySamplesAsync(link.Name, stopped), AwaitWatches: false);
        await MeshSteps.RunAsync(progress => new MeshRun(design, links, plan, settings, progress, TimeProvider.System).RunAsync(stop));
        await StepDisplay.RunAsync(async onStep =>
        {
            await StepAsync("helloworld and sleep", () => samples.ReadyAsync(stop), onStep);
            await StepAsync("first answers from both clusters", () => FirstAnswersAsync(samples, clusters, stop), onStep);
            onStep(new("", "total", TimeProvider.System.GetElapsedTime(begun).TotalMilliseconds, true));
        }, whole: "mesh");
        Console.WriteLine();
        var complete = await ShowAsync(samples, clusters, stop);
        Console.WriteLine("""

            Everything keeps running. To look around:
              kubectl --context=cluster1 get pods -A
              ./isthmus remote-clusters --context=cluster1
              ./isthmus proxy-config endpoints deploy/sleep.sample --context=cluster1
            To remove everything:
              ./isthmus lab down
            """);
        return complete ? 0 : 1;
    }

    private static async Task StepAsync(string text, Func<Task> work, Action<Step> onStep)
    {
        var begun = TimeProvider.System.GetTimestamp();
        onStep(new("", text, 0, false));
        await work();
        onStep(new("", text, TimeProvider.System.GetElapsedTime(begun).TotalMilliseconds, true));
    }

    /// <summary>Asks until each cluster has heard of every version: endpoints of the other cluster take a moment to arrive.</summary>
    private static async Task FirstAnswersAsync(QuickstartMesh mesh, List<QuickstartCluster> clusters, CancellationToken stop)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(TimeSpan.FromSeconds(60));
        await Task.WhenAll(clusters.Select(async cluster =>
        {
            var seen = new HashSet<string>(StringComparer.Ordinal);
            var last = "";
            try
            {
                while (seen.Count < clusters.Count)
                {
                    last = await mesh.CallAsync(cluster, 4, CallEvidence.WaitingAgent, limit.Token);
                    seen.UnionWith(CallEvidence.Versions(last).Keys);
                }
            }
            catch (OperationCanceledException e) when (!stop.IsCancellationRequested)
            {
                throw new ProblemException($"calls from {cluster.Name}",
                    $"were answered by {(seen.Count == 0 ? "no version" : string.Join(", ", seen))} within 60 s; the last answer: {last.Trim()}",
                    $"see ./isthmus remote-clusters --context={cluster.Name} and kubectl --context={cluster.Name} -n sample logs deploy/sleep -c istio-proxy",
                    e);
            }
        }));
    }

    private static async Task<bool> ShowAsync(QuickstartMesh mesh, List<QuickstartCluster> clusters, CancellationToken stop)
    {
        // The logs still have the calls of earlier runs.
        var run = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds();
        var answers = await Task.WhenAll(clusters.Select(cluster => mesh.CallAsync(cluster, CallsPerCluster, CallEvidence.Agent(cluster.Name, run), stop)));
        var logs = await Task.WhenAll(clusters.Select(cluster => mesh.LogsAsync(cluster, stop)));
        var rows = clusters.SelectMany(cluster => CallEvidence.Rows(cluster.Name, run, logs)).ToList();
        TextTable.Write(["FROM", "ANSWERED BY", "IN", "CALLS", "PATH", "CALLER SEEN BY THE CALLEE"], [.. rows.Select(row => (string[])
            [row.From, row.Version, row.In, row.Calls.ToString(CultureInfo.InvariantCulture), row.Path, row.Caller])], mayCut: PathColumn);
        Console.WriteLine();
        var complete = true;
        foreach (var (cluster, text) in clusters.Zip(answers))
        {
            var versions = CallEvidence.Versions(text);
            var counts = versions.OrderBy(version => version.Key, StringComparer.Ordinal).Select(version => $"{version.Value} × {version.Key}");
            Console.WriteLine($"{cluster.Name}: {versions.Values.Sum()} of {CallsPerCluster} calls answered: {string.Join(", ", counts)}");
            // That each caller reaches all versions has been seen before. In so few calls, by chance, it need not.
            complete &= versions.Values.Sum() == CallsPerCluster;
        }
        return complete;
    }
}

using Isthmus.Images.Description;
using Isthmus.Lab.Nodes.Containers;
using Isthmus.Lab.Nodes.Processes;
using Isthmus.Lab.Nodes.Root;
using Microsoft.Extensions.Logging;

namespace Isthmus.Lab.Nodes.Pods;

/// <summary>
/// Runs one container that does nothing while the API server is still starting. The first Pod then does not wait until all
/// of this is compiled, and a machine that denies a step reports it at once.
/// </summary>
internal static partial class WarmUp
{
    internal static async Task RunAsync(NodeContext node)
    {
        var directory = Path.Combine(node.Settings.State, "warm-up");
        var files = new RunFiles(directory, directory, 0);
        var terminals = node.Groups.Contains(LaunchPlan.TerminalGroup) ? LaunchPlan.TerminalGroup : (int?)null;
        var root = new RootSpec(node.Settings.RootDirectory, [], LaunchPlan.Links(), node.Settings.Hidden, true, terminals);
        var identity = ContainerIdentity.Decide(null, null, ImageUser.Of(0), node.Users, node.Groups);
        try
        {
            ContainerStarter.MakePipes(files, input: false);
            var process = await ContainerLauncher.StartAsync(new(
                root, ["true"], new([new("PATH", ProgramLayout.SearchPath)]), "/", identity, node.CanSetGroups, "warm-up", null, files, false, false));
            using var started = ContainerProcess.Started(ProcessIdentity.Of(process), files.Exit);
            var code = await started.WaitAsync(node.Reactor, CancellationToken.None);
            if (code != 0) Failed(node.Log, $"exit code {code}: {await File.ReadAllTextAsync(files.Exit)}");
        }
        catch (Exception e) when (e is LaunchException or IOException or UnauthorizedAccessException)
        {
            Failed(node.Log, e.Message);
        }
        if (Directory.Exists(directory)) Directory.Delete(directory, recursive: true);
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "the first test container did not run, so no Pod will: {Error}")]
    private static partial void Failed(ILogger log, string error);
}

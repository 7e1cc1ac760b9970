using System.CommandLine;
using System.Runtime.Versioning;
using Isthmus.Lab.Supervisor;
using Isthmus.Options;
using Isthmus.Output;

namespace Isthmus.Commands;

/// <summary><c>isthmus lab stop</c> and <c>isthmus lab start</c>: parts of clusters that fail and return.</summary>
[SupportedOSPlatform("linux")]
internal static class LabFaultCommand
{
    internal static Command BuildStop() => new("stop", "Stop part of a cluster, to simulate a failure.")
    {
        Part("apiserver", "Kill the API server and its controllers; Pods keep running.", LabPart.ApiServer, StopAsync),
        Part("cluster", "Kill the whole cluster, as in a power failure.", LabPart.Cluster, StopAsync),
    };

    internal static Command BuildStart() => new("start", "Start what 'lab stop' stopped.")
    {
        Part("apiserver", "Start the API server again and wait until it responds.", LabPart.ApiServer, StartAsync),
        Part("cluster", "Start the cluster again and wait until its node and DNS are ready.", LabPart.Cluster, StartAsync),
    };

    private static Command Part(string name, string description, LabPart part, Func<string, LabPart, CancellationToken, Task> run)
    {
        var cluster = new ClusterName("--cluster", "Name of the cluster");
        var command = new Command(name, description);
        cluster.AddTo(command);
        command.SetAction(async (line, stop) =>
        {
            await run(cluster.Of(line), part, stop);
            return 0;
        });
        return command;
    }

    private static async Task StopAsync(string cluster, LabPart part, CancellationToken stop)
    {
        await LabCommand.Control(yes: true).Client.BreakAsync(cluster, part, stop);
        Console.WriteLine(part == LabPart.Cluster ? $"Cluster {cluster} is down." : $"The API server of cluster {cluster} is down; its Pods keep running.");
    }

    private static async Task StartAsync(string cluster, LabPart part, CancellationToken stop) =>
        await LabProgress.RunAsync(onStep => LabCommand.Control(yes: true).Client.MendAsync(cluster, part, onStep, stop));
}

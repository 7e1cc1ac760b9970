using System.CommandLine;
using System.Runtime.Versioning;
using Isthmus.Core.Problems;
using Isthmus.Lab.Supervisor;

namespace Isthmus.Commands;

/// <summary><c>isthmus lab shell</c>: a shell or a program in the lab's networks.</summary>
[SupportedOSPlatform("linux")]
internal static class LabShellCommand
{
    internal static Command Build()
    {
        var cluster = new Option<string?>("--cluster")
        {
            Description = "Open the shell in the network of this cluster's node; by default, in the outer network"
        };
        var program = new Argument<string[]>("command") { Description = "Program to run instead of a shell, after --", Arity = ArgumentArity.ZeroOrMore };
        var command = new Command("shell",
            "Open a shell inside the lab, or run a program there. It reaches API servers, nodes and load balancer addresses, and KUBECONFIG names all "
                + "clusters.")
            {
                cluster, program
            };
        command.SetAction((line, _) => Task.FromResult(Run(line.GetValue(cluster), line.GetValue(program) ?? [])));
        return command;
    }

    private static int Run(string? cluster, string[] program)
    {
        var control = LabCommand.Control(yes: true);
        if (control.Client.FindSupervisor() is not { } supervisor) throw new ProblemException("lab", "is not running", "start it with 'isthmus lab up'");
        var clusters = control.State.Clusters;
        if (cluster is not null && clusters.All(known => known.Name != cluster))
        {
            throw new ProblemException($"cluster {cluster}", "does not exist", $"existing clusters: {string.Join(", ", clusters.Select(known => known.Name))}");
        }
        LabShell.Enter(supervisor, control.Client.Home, clusters, cluster, program);
        return 1;
    }
}

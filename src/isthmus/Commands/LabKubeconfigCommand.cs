using System.CommandLine;
using System.Runtime.Versioning;
using Isthmus.Core.Problems;
using Isthmus.Lab.Machine.Network;
using Isthmus.Lab.Supervisor;
using Isthmus.Options;

namespace Isthmus.Commands;

/// <summary><c>isthmus lab kubeconfig</c>: credentials for other clients than kubectl.</summary>
[SupportedOSPlatform("linux")]
internal static class LabKubeconfigCommand
{
    internal static Command Build()
    {
        var cluster = new Option<string?>("--cluster", "--name") { Description = "Only this cluster; by default, all clusters" };
        var loopback = new Option<bool>("--loopback")
        {
            Description = "Use addresses on 127.0.0.1 in place of the lab's proxy, for clients that ignore 'proxy-url'"
        };
        var command = new Command("kubeconfig",
            "Print the lab's kubeconfig or, with --kubeconfig FILE, add it to a file. 'lab down' removes it from that file again.") { cluster, loopback };
        command.SetAction(async (line, stop) =>
        {
            var control = LabCommand.Control(yes: true);
            if (control.Client.FindSupervisor() is null) throw new ProblemException("lab", "is not running", "start it with 'isthmus lab up'");
            var entries = new List<KubeconfigEntry>();
            foreach (var one in Clusters(control, line.GetValue(cluster)))
                entries.Add(line.GetValue(loopback) ? await control.ExposeAsync(one, stop) : KubeconfigEntry.ThroughProxy(one, control.State.ProxyPort));
            if (line.GetValue(GlobalOptions.Kubeconfig) is not { Length: > 0 } file)
            {
                Console.Write(await control.RenderKubeconfigAsync(entries, stop));
                return ExitCode.Success;
            }
            await control.ExportKubeconfigAsync(entries, file, stop);
            Console.WriteLine($"{file}: {string.Join(", ", entries.Select(entry => $"{entry.Cluster.Context} ({entry.Server.OriginalString})"))}");
            return ExitCode.Success;
        });
        return command;
    }

    private static List<ClusterSettings> Clusters(LabControl control, string? name)
    {
        var known = control.State.Clusters;
        if (known.IsEmpty) throw new ProblemException("lab", "has no clusters", "create one with 'isthmus lab create cluster --name cluster1'");
        if (name is null) return [.. known];
        return [known.FirstOrDefault(one => one.Name == name)
            ?? throw new ProblemException($"cluster {name}", "does not exist", $"existing clusters: {string.Join(", ", known.Select(one => one.Name))}")];
    }
}

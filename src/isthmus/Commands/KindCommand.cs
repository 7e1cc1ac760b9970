using System.CommandLine;
using System.Runtime.Versioning;
using Isthmus.Core.Flags;
using Isthmus.Core.Problems;
using Isthmus.Lab.Supervisor;
using Isthmus.Options;

namespace Isthmus.Commands;

/// <summary>The verbs of kind, for scripts that were written for it: the same clusters, with contexts named <c>kind-NAME</c>.</summary>
[SupportedOSPlatform("linux")]
internal static class KindCommand
{
    private const string ContextPrefix = "kind-";

    internal static RootCommand BuildRoot()
    {
        var root = new RootCommand("Manage lab clusters with the commands of kind; see also: isthmus lab");
        PrintVersion.AddTo(root);
        root.Subcommands.Add(new Command("create", "Create a cluster") { Create() });
        root.Subcommands.Add(new Command("delete", "Delete clusters") { Delete(), DeleteAll() });
        root.Subcommands.Add(new Command("get", "Show clusters, nodes or a kubeconfig") { Clusters(), Nodes(), Kubeconfig() });
        root.Subcommands.Add(new Command("export", "Write a kubeconfig") { Export() });
        root.Subcommands.Add(new Command("load", "Accepted but ignored: images need no loading") { Load("docker-image"), Load("image-archive") });
        root.Subcommands.Add(Version());
        return root;
    }

    private static Option<string> Name() => new("--name", "-n") { Description = "Cluster name", DefaultValueFactory = _ => "kind" };

    private static Option<string?> KubeconfigFile() => new("--kubeconfig") { Description = "Path of the kubeconfig file to use" };

    private static Command Create()
    {
        var name = Name();
        var image = new Option<string?>("--image") { Description = "Accepted but ignored: nodes are processes on this machine" };
        var config = new Option<string?>("--config") { Description = "Not supported" };
        var wait = new Option<string?>("--wait") { Description = "How long to wait for the node to be ready; 0s does not wait" };
        var retain = new Option<bool>("--retain") { Description = "Accepted but ignored" };
        var file = KubeconfigFile();
        var command = new Command("cluster", "Create a cluster") { name, image, config, wait, retain, file };
        command.SetAction(async (line, stop) =>
        {
            if (line.GetValue(config) is { } given)
            {
                throw new WrongUseException("--config", $"'{given}': kind configuration files are not supported",
                    "omit it; for networks and regions, see: isthmus lab create cluster --help");
            }
            if (line.GetValue(image) is { } ignored)
                await Console.Error.WriteLineAsync($"note: --image {ignored} is ignored: nodes are processes on this machine");
            var cluster = line.GetValue(name)!;
            await Console.Error.WriteLineAsync($"Creating cluster \"{cluster}\" ...");
            var waits = line.GetValue(wait) is not { Length: > 0 } text || Duration.Parse(text, "--wait") > TimeSpan.Zero;
            var settings = new LabUpSettings([new ClusterRequest(cluster, ContextPrefix + cluster)], MustBeNew: true, waits, line.GetValue(file),
                MakeCurrent: true);
            await LabCommand.Control(yes: true).UpAsync(settings, step =>
            {
                if (step.IsDone) Console.Error.WriteLine($" ✓ {char.ToUpperInvariant(step.Text[0])}{step.Text[1..]}");
            }, stop);
            await Console.Error.WriteLineAsync(
                $"Set kubectl context to \"{ContextPrefix}{cluster}\"\nYou can now use your cluster with:\n\nkubectl cluster-info --context "
                    + $"{ContextPrefix}{cluster}");
            return 0;
        });
        return command;
    }

    private static Command Delete()
    {
        var name = Name();
        var command = new Command("cluster", "Delete a cluster") { name, KubeconfigFile() };
        command.SetAction(async (line, stop) =>
        {
            await DeleteAsync(line.GetValue(name)!, stop);
            return 0;
        });
        return command;
    }

    private static Command DeleteAll()
    {
        var names = new Argument<string[]>("names") { Arity = ArgumentArity.ZeroOrMore };
        var all = new Option<bool>("--all", "-A") { Description = "Delete all clusters" };
        var command = new Command("clusters", "Delete several clusters") { names, all, KubeconfigFile() };
        command.SetAction(async (line, stop) =>
        {
            var known = LabCommand.Control(yes: true).State.Clusters.Select(cluster => cluster.Name);
            foreach (var cluster in line.GetValue(all) ? known : line.GetValue(names) ?? []) await DeleteAsync(cluster, stop);
            return 0;
        });
        return command;
    }

    private static async Task DeleteAsync(string cluster, CancellationToken stop)
    {
        await Console.Error.WriteLineAsync($"Deleting cluster \"{cluster}\" ...");
        var control = LabCommand.Control(yes: true);
        // Scripts delete before they create: as with kind, a missing cluster is not an error.
        if (control.State.Clusters.FirstOrDefault(known => known.Name == cluster) is not { } found) return;
        await control.DeleteClusterAsync(cluster, stop);
        await Console.Error.WriteLineAsync($"Deleted nodes: [\"{found.NodeName}\"]");
    }

    private static Command Clusters()
    {
        var command = new Command("clusters", "List clusters");
        command.SetAction(line =>
        {
            var clusters = LabCommand.Control(yes: true).State.Clusters;
            if (clusters.IsEmpty) Console.Error.WriteLine("No kind clusters found.");
            foreach (var cluster in clusters) Console.WriteLine(cluster.Name);
        });
        return command;
    }

    private static Command Nodes()
    {
        var name = Name();
        var all = new Option<bool>("--all-clusters", "-A") { Description = "List the nodes of all clusters" };
        var command = new Command("nodes", "List nodes") { name, all };
        command.SetAction(line =>
        {
            var clusters = LabCommand.Control(yes: true).State.Clusters.Where(cluster => line.GetValue(all) || cluster.Name == line.GetValue(name)).ToList();
            if (clusters.Count == 0) Console.Error.WriteLine($"No kind nodes found for cluster \"{line.GetValue(name)}\".");
            foreach (var cluster in clusters) Console.WriteLine(cluster.NodeName);
        });
        return command;
    }

    private static Command Kubeconfig()
    {
        var name = Name();
        var isInternal = new Option<bool>("--internal") { Description = "Use the address inside the lab, without the proxy" };
        var command = new Command("kubeconfig", "Print a cluster's kubeconfig") { name, isInternal };
        command.SetAction(async (line, stop) =>
        {
            var control = LabCommand.Control(yes: true);
            var cluster = Find(control, line.GetValue(name)!);
            Console.Write(line.GetValue(isInternal)
                ? await File.ReadAllTextAsync(Path.Combine(control.Client.Home.Cluster(cluster.Name), "kubeconfig"), stop)
                : await control.RenderKubeconfigAsync(cluster, stop));
        });
        return command;
    }

    private static Command Export()
    {
        var name = Name();
        var file = KubeconfigFile();
        var command = new Command("kubeconfig", "Write a cluster's entries into the kubeconfig") { name, file };
        command.SetAction(async (line, stop) =>
        {
            var control = LabCommand.Control(yes: true);
            await control.ExportKubeconfigAsync(Find(control, line.GetValue(name)!), line.GetValue(file), stop);
            await Console.Error.WriteLineAsync($"Set kubectl context to \"{Find(control, line.GetValue(name)!).Context}\"");
        });
        return command;
    }

    private static Command Load(string what)
    {
        var command = new Command(what, "Accepted but ignored: images are resolved on this machine") { TreatUnmatchedTokensAsErrors = false };
        command.SetAction(_ => Console.Error.WriteLine("note: images are resolved on this machine and need no loading"));
        return command;
    }

    private static Command Version()
    {
        var command = new Command("version", "Print the version");
        command.SetAction(_ => Console.WriteLine("kind (isthmus lab)"));
        return command;
    }

    private static Lab.Machine.Network.ClusterSettings Find(LabControl control, string name) =>
        control.State.Clusters.FirstOrDefault(cluster => cluster.Name == name)
        ?? throw new ProblemException($"cluster {name}", "not found", "list clusters with 'kind get clusters'");
}

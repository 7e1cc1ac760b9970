using System.CommandLine;
using System.Globalization;
using Isthmus.Core.Flags;
using Isthmus.Core.Problems;
using Isthmus.Operate.Install;
using Isthmus.Operate.MeshFile;
using Isthmus.Options;
using Isthmus.Output;

namespace Isthmus.Commands;

/// <summary><c>isthmus mesh</c>: many clusters as described in one file.</summary>
internal static class MeshCommand
{
    internal static Command Build() => new("mesh", "Plan, apply, compare and remove a mesh described in one file.")
    {
        BuildPlan(), BuildUp(), BuildDiff(), BuildDown(), BuildTemplate(),
    };

    private static Option<string> File() => new("--filename", "-f") { Description = "Path to the mesh file; '-' reads standard input", Required = true };

    private static DurationOption Timeout() => new("--timeout", "How long the command may take in total, for example 90s or 5m", "5m");

    internal static Option<bool> TakeOver() =>
        new("--take-over") { Description = "Also change clusters that belong to another mesh or whose workloads trust another root" };

    private static Command BuildPlan()
    {
        var (file, takeOver, output) = (File(), TakeOver(), new OutputOption());
        var command = new Command("plan", "Show what 'mesh up' would change, without changing anything.") { file, takeOver, output.Option };
        command.SetAction(async (line, stop) =>
        {
            var (mesh, plan) = await CompareAsync(line, file, line.GetValue(takeOver), stop);
            output.Write(line, () => plan.ToJson(mesh), () =>
            {
                MeshPlanTable.Show(mesh, plan);
                Console.WriteLine(plan.IsEmpty
                    ? "Nothing to do: the clusters match the file."
                    : $"{Counted.Of(plan.Changes.Count, "change")}; -o yaml lists each one. To apply them: isthmus mesh up -f {line.GetValue(file)}");
            });
            return 0;
        });
        return command;
    }

    private static Command BuildDiff()
    {
        var (file, output) = (File(), new OutputOption());
        var command = new Command("diff", "Show the live objects that differ from the file. Exits with 1 if there are any.") { file, output.Option };
        command.SetAction(async (line, stop) =>
        {
            var (mesh, plan) = await CompareAsync(line, file, takesOver: true, stop);
            output.Write(line, () => plan.ToJson(mesh), () =>
            {
                MeshPlanTable.ShowDifferences(plan);
                Console.WriteLine(plan.IsEmpty ? "✔ No differences: the clusters match the file."
                    : $"✘ {Counted.Of(plan.Changes.Count, "object differs", "objects differ")} from the file.");
            });
            return plan.IsEmpty ? 0 : 1;
        });
        return command;
    }

    private static Command BuildUp()
    {
        var (file, takeOver, timeout, yes) = (File(), TakeOver(), Timeout(), ConfirmationOption.Skip());
        var command = new Command("up", "Bring the clusters to the state in the file; leave the rest unchanged.") { file, takeOver, timeout.Option, yes };
        command.SetAction(async (line, stop) =>
        {
            var limit = timeout.Of(line);
            NobodyToAsk(line, file, yes);
            var mesh = MeshInput.Read(line.GetValue(file)!);
            using var links = await MeshInput.OpenAsync(mesh, line.GetValue(GlobalOptions.Kubeconfig), stop);
            var agreed = false;
            return await Interruption.TellAsync(() => UpAsync(mesh, links, new(limit, TakesOver: line.GetValue(takeOver)), async plan =>
            {
                MeshPlanTable.Show(mesh, plan);
                return agreed = plan.IsEmpty || line.GetValue(yes)
                    || await Question.AskAsync(
                        $"{Counted.Of(plan.Changes.Count, "change")} will be made to {string.Join(", ", mesh.Clusters.Select(cluster => cluster.Context))}. "
                            + "Proceed?",
                        stop);
            }, stop), () => !agreed ? "Nothing was changed."
                : $"The changes made so far remain. Run the command again to continue, or undo them with 'isthmus mesh down -f {line.GetValue(file)}'.",
                Console.Error, stop);
        });
        return command;
    }

    /// <summary>Plans, asks for confirmation, applies, and reports.</summary>
    /// <param name="agreed">Shown the plan; false ends it.</param>
    internal static async Task<int> UpAsync(MeshSpec mesh, MeshLinks links, MeshRunSettings settings, Func<MeshPlan, Task<bool>> agreed, CancellationToken stop)
    {
        var begun = TimeProvider.System.GetTimestamp();
        var design = new MeshDesign(mesh);
        var plan = await new MeshPlanner(design, links, TimeProvider.System, settings.TakesOver).PlanAsync(stop);
        var asked = TimeProvider.System.GetTimestamp();
        if (!await agreed(plan))
        {
            Console.WriteLine("Cancelled.");
            return 1;
        }
        // The time that the user takes to answer does not count.
        begun += TimeProvider.System.GetTimestamp() - asked;
        await MeshSteps.RunAsync(progress => new MeshRun(design, links, plan, settings, progress, TimeProvider.System).RunAsync(stop));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"✔ Mesh {mesh.Name} matches the file ({TimeProvider.System.GetElapsedTime(begun).TotalSeconds:0.0} s)"));
        return 0;
    }

    private static Command BuildDown()
    {
        var (file, timeout, yes) = (File(), Timeout(), ConfirmationOption.Skip());
        var clusters = new Option<string[]>("--cluster") { Description = "Remove only this cluster from the mesh; may be repeated" };
        var purge = new Option<bool>("--purge")
        {
            Description = "Also remove what holds objects of yours: namespaces of the mesh, and CRDs with all their custom resources"
        };
        var command = new Command("down",
            "Remove the mesh from its clusters. CRDs and namespaces that hold objects of yours stay, unless --purge is set.")
            {
                file, timeout.Option, yes, clusters, purge
            };
        command.SetAction(async (line, stop) =>
        {
            var limit = timeout.Of(line);
            NobodyToAsk(line, file, yes);
            var mesh = MeshInput.Read(line.GetValue(file)!);
            var named = line.GetValue(clusters) ?? [];
            MeshDeparture.Check(mesh, named);
            string[] all = [.. mesh.Clusters.Select(cluster => cluster.Name)];
            string[] leaving = named.Length == 0 ? all : [.. named.Distinct()];
            using var links = await MeshInput.OpenAsync(mesh, line.GetValue(GlobalOptions.Kubeconfig), stop);
            MeshRemoval Removal(IMeshProgress progress) =>
                new(new MeshDesign(mesh), links, new(leaving, line.GetValue(purge)), limit, progress, TimeProvider.System);
            var plan = await Removal(new MeshSteps(_ => { })).PlanAsync(stop);
            var count = plan.Sum(cluster => cluster.Removals.Count);
            if (count == 0)
            {
                Console.WriteLine(
                    $"Nothing to remove: there is no mesh in "
                        + $"{string.Join(", ", mesh.Clusters.Where(cluster => leaving.Contains(cluster.Name)).Select(cluster => cluster.Context))}.");
                SayKept(plan, line.GetValue(file)!);
                return 0;
            }
            if (!line.GetValue(yes))
            {
                TextTable.Write(["CLUSTER", "OBJECTS"],
                    [.. plan.SelectMany(cluster => Summary(cluster.Removals).Select(text => (string[])[cluster.Link.Name, text]))]);
                foreach (var (cluster, text) in Others(plan)) Console.WriteLine($"{cluster}: {(line.GetValue(purge) ? "also goes" : "stays")}: {text}");
                if (!await Question.ConfirmAsync(
                    $"{Counted.Of(count, "object")} will be removed"
                        + (line.GetValue(purge)
                            ? $", and with {(count == 1 ? "it" : "them")} {Counted.Of(plan.Sum(cluster => Bystander.Objects(cluster.Others).Count()), "other")}"
                            : "")
                        + ". Proceed?",
                    stop))
                    return ExitCode.Failure;
            }
            await MeshSteps.RunAsync(progress => Removal(progress).RunAsync(plan, stop));
            Console.WriteLine(leaving.Length == all.Length
                ? $"✔ Mesh {mesh.Name} removed ({Counted.Of(count, "object")})"
                : $"✔ {string.Join(", ", leaving)} left mesh {mesh.Name} ({Counted.Of(count, "object")} removed). "
                    + $"Take {(leaving.Length == 1 ? "it" : "them")} out of {mesh.Source} too, or the next 'mesh up' brings "
                    + $"{(leaving.Length == 1 ? "it" : "them")} back.");
            if (!line.GetValue(purge)) SayKept(plan, line.GetValue(file)!);
            if (mesh.Join == JoinKind.Names && leaving.Length < all.Length)
                Console.WriteLine(
                    "ServiceEntries that 'isthmus global export' created for its services remain in the other clusters: list them with 'isthmus global list', "
                        + "remove them with 'isthmus global remove'.");
            return 0;
        });
        return command;
    }

    /// <summary>What stays because it holds objects of others.</summary>
    private static void SayKept(IReadOnlyList<ClusterRemoval> plan, string file)
    {
        foreach (var cluster in plan.Where(cluster => cluster.Others.Count > 0))
            Console.WriteLine(
                $"{cluster.Link.Name} keeps {string.Join(", ", Summary([.. cluster.Others.Select(other => other.With).Distinct()]))}, because of:");
        foreach (var (cluster, text) in Others(plan)) Console.WriteLine($"  {cluster}: {text}");
        if (plan.Any(cluster => cluster.Others.Count > 0)) Console.WriteLine($"To remove these too: isthmus mesh down -f {file} --purge");
    }

    private static IEnumerable<(string Cluster, string Text)> Others(IReadOnlyList<ClusterRemoval> plan) =>
        plan.SelectMany(cluster => Bystander.Describe(cluster.Others).Select(text => (cluster.Link.Name, text)));

    private static Command BuildTemplate()
    {
        var name = new Argument<string>("topology") { Description = string.Join(", ", Topologies.Names) };
        var clusters = new Option<int>("--clusters") { Description = "Number of clusters", DefaultValueFactory = _ => 2 };
        var profile = new Option<string?>("--profile") { Description = "Profile of the control planes, for example minimal" };
        var command = new Command("template", "Print a starter mesh file for a topology.") { name, clusters, profile };
        command.SetAction(line =>
        {
            Console.Write(Topologies.Template(line.GetValue(name)!, line.GetValue(clusters), line.GetValue(profile) ?? ""));
            return 0;
        });
        return command;
    }

    private static IEnumerable<string> Summary(IReadOnlyList<Removal> removals) =>
        removals.GroupBy(removal => removal.Kind.Kind).Select(kind => kind.Count() == 1 ? kind.First().ToString() : $"{kind.Count()} × {kind.Key}");

    private static void NobodyToAsk(ParseResult line, Option<string> file, Option<bool> yes)
    {
        if (line.GetValue(file) == "-" && !line.GetValue(yes))
            throw new WrongUseException("-f -", "cannot ask for confirmation when the file comes from standard input", "add -y");
    }

    private static async Task<(MeshSpec, MeshPlan)> CompareAsync(ParseResult line, Option<string> file, bool takesOver, CancellationToken stop)
    {
        var mesh = MeshInput.Read(line.GetValue(file)!);
        using var links = await MeshInput.OpenAsync(mesh, line.GetValue(GlobalOptions.Kubeconfig), stop);
        return (mesh, await new MeshPlanner(new MeshDesign(mesh), links, TimeProvider.System, takesOver).PlanAsync(stop));
    }
}

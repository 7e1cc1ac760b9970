using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Diagnose.Packing;
using Isthmus.Operate.Install.Operator;
using Isthmus.Options;
using Isthmus.Output;

namespace Isthmus.Commands;

/// <summary><c>isthmus bug-report</c>: packs what explains the state of a mesh, without secrets, so that others can look at it elsewhere.</summary>
internal static class BugReportCommand
{
    private const string FileName = "bug-report.tar.gz";

    private const string Examples = """
        The archive has objects, events, what control planes and proxies report, and their logs. It has no
        Secrets, keys, tokens or environment of applications. --include and --exclude choose the proxies:
        NAMESPACES/DEPLOYMENTS/PODS/LABELS/ANNOTATIONS, each a list with commas; empty and * mean all.

        Examples:
          isthmus bug-report
          isthmus bug-report --contexts cluster1,cluster2 --include shop,payments --duration 1h
          isthmus bug-report --include '*/checkout*' --exclude kube-system --exclude '*//*-canary-*'
          isthmus trace --snapshot bug-report.tar.gz deployment/buyer.shop orders/health
          isthmus verify --snapshot bug-report.tar.gz

        """;

    internal static Command Build()
    {
        var contexts = new MeshContexts();
        var include = new Option<string[]>("--include") { Description = "Whose proxies to ask, default: all. May be repeated", DefaultValueFactory = _ => [] };
        var exclude = new Option<string[]>("--exclude")
        {
            Description = "Whose proxies not to ask. May be repeated", DefaultValueFactory = _ => [PodSelection.ExcludedByDefault]
        };
        var duration = new Option<string?>("--duration") { Description = "How far back logs go, for example 1h; default: the last 5000 lines" };
        var timeout = new DurationOption("--timeout", "How long each cluster may take; what is not read by then is missing", "30m");
        var dir = new Option<string>("--dir", "--output-dir") { Description = "Directory to write the archive to", DefaultValueFactory = _ => "." };
        var dryRun = new Option<bool>("--dry-run") { Description = "Only list whose proxies and logs would be read" };
        var file = new Option<string?>("--filename", "-f") { Description = "YAML file with include, exclude, duration and timeout; flags come first" };
        var output = new OutputOption();
        duration.Checked(value => Duration.Parse(value, duration.Name));
        var command = new Command("bug-report", "Pack what explains the state of the mesh into an archive, without secrets. Read-only.")
        {
            contexts.Option, include, exclude, duration, timeout.Option, dir, dryRun, file, output.Option,
        };
        HelpExamples.AddTo(command, Examples);
        command.SetAction(async (line, stop) =>
        {
            var settings = line.GetValue(file) is { } path ? ReportSettings.Read(path) : new();
            bool IsGiven(Option option) => line.GetResult(option) is { Implicit: false };
            var proxies = PodSelection.Parse(IsGiven(include) ? line.GetValue(include)! : settings.Include,
                IsGiven(exclude) ? line.GetValue(exclude)! : settings.Exclude ?? line.GetValue(exclude)!);
            var since = (line.GetValue(duration) ?? settings.Duration) is { } text ? Duration.Parse(text, duration.Name) : (TimeSpan?)null;
            var limit = !IsGiven(timeout.Option) && settings.Timeout is { } set ? Duration.Parse(set, timeout.Option.Name) : timeout.Of(line);
            var clusters = contexts.Names(line).Select(name => MeshContexts.Load(line, name) with { Name = name }).ToList();
            if (line.GetValue(dryRun)) return await ListAsync(clusters, proxies, line, output, stop);
            var request = new BugReportRequest(CurrentContext(line, clusters), line.GetValue(GlobalOptions.IstioNamespace)!, proxies, since, limit,
                BuildVersion.Current);
            return await PackAsync(clusters, request, line.GetValue(dir)!, line, output, stop);
        });
        return command;
    }

    private static async Task<int> PackAsync(IReadOnlyList<ClusterAccess> clusters, BugReportRequest request, string dir, ParseResult line, OutputOption output,
        CancellationToken stop)
    {
        var path = Path.Combine(dir, FileName);
        var unfinished = $"{path}.part";
        PackManifest manifest;
        try
        {
            Directory.CreateDirectory(dir);
            await using (var target = Create(unfinished))
                manifest = await RunAsync(clusters, request, target, isShown: output.IsTable(line), stop);
            File.Move(unfinished, path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ProblemException($"file {path}", $"cannot be written: {e.Message}", "choose another directory with --dir", e);
        }
        finally
        {
            File.Delete(unfinished);
        }
        output.Write(line, () => Tree(path, manifest), () => Show(path, manifest));
        // Whoever relies on the archive must notice that it is not complete.
        return manifest.Clusters.Any(cluster => cluster.Error.Length > 0) ? ExitCode.Failure : ExitCode.Success;
    }

    /// <summary>A file that only its owner can read, as far as the system knows owners.</summary>
    private static FileStream Create(string path)
    {
        var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        return new(path, options);
    }

    private static async Task<PackManifest> RunAsync(IReadOnlyList<ClusterAccess> clusters, BugReportRequest request, Stream target, bool isShown,
        CancellationToken stop)
    {
        PackManifest? manifest = null;
        if (!isShown) return await new BugReport(clusters, request, TimeProvider.System, _ => { }).WriteAsync(target, stop);
        await StepDisplay.RunAsync(async onStep => manifest = await new BugReport(clusters, request, TimeProvider.System,
            step => onStep(new(step.Cluster, step.What, step.Took.TotalMilliseconds, step.IsDone))).WriteAsync(target,
            stop),
            whole: "mesh");
        return manifest!;
    }

    private static async Task<int> ListAsync(IReadOnlyList<ClusterAccess> clusters, PodSelection proxies, ParseResult line, OutputOption output,
        CancellationToken stop)
    {
        var found = await Task.WhenAll(clusters.Select(async access =>
        {
            using var client = new KubeClient(access, "isthmus-bug-report");
            return (access.Name,
                Pods: (await client.ListAllAsync<Pod>(Kinds.Pod, null, new(), stop)).Where(pod => BugReport.IsAsked(pod, proxies)).Select(pod => pod.Key)
                    .ToList());
        }));
        output.Write(line,
            () => new JsonArray(
                [.. found.SelectMany(cluster => cluster.Pods.Select(pod => (JsonNode)new JsonObject { ["cluster"] = cluster.Name, ["pod"] = pod }))]),
            () => TextTable.Write(["CLUSTER", "PROXY"], [.. found.SelectMany(cluster => cluster.Pods.Select(pod => (string[])[cluster.Name, pod]))]));
        return ExitCode.Success;
    }

    /// <summary>Where <c>trace --snapshot</c> looks for callers.</summary>
    private static string CurrentContext(ParseResult line, IReadOnlyList<ClusterAccess> clusters)
    {
        try
        {
            return GlobalOptions.Access(line).Name;
        }
        catch (ProblemException)
        {
            return clusters[0].Name; // No context is current.
        }
    }

    private static void Show(string path, PackManifest manifest)
    {
        Console.WriteLine();
        TextTable.Write(["CLUSTER", "OBJECTS", "CONTROL PLANES", "PROXIES", "MISSING"], [.. manifest.Clusters.Select(cluster => (string[])
            [cluster.Context, Text(cluster.Objects), Text(cluster.ControlPlanes), Text(cluster.Proxies),
                cluster.Error.Length > 0 ? "everything" : Text(cluster.Missing.Count)])]);
        Console.WriteLine();
        foreach (var cluster in manifest.Clusters)
            foreach (var missing in cluster.Missing.Prepend(cluster.Error).Where(missing => missing.Length > 0))
                Console.WriteLine($"Not in the archive: {cluster.Context}: {missing}");
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{path}: {new FileInfo(path).Length / 1024.0 / 1024.0:0.0} MiB. Look at it before you pass it on: it has names, addresses, configuration and logs "
                + $"of your mesh."));
        Console.WriteLine($"Answer from it: isthmus verify --snapshot {path}, isthmus analyze --snapshot {path}, isthmus trace --snapshot {path} POD HOST");
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static JsonObject Tree(string path, PackManifest manifest) => new()
    {
        ["file"] = path, ["bytes"] = new FileInfo(path).Length, ["takenAt"] = manifest.TakenAt.ToString("O", CultureInfo.InvariantCulture),
        ["clusters"] = new JsonArray([.. manifest.Clusters.Select(cluster => (JsonNode)new JsonObject
        {
            ["cluster"] = cluster.Context, ["error"] = cluster.Error, ["objects"] = cluster.Objects, ["controlPlanes"] = cluster.ControlPlanes,
            ["proxies"] = cluster.Proxies,
            ["missing"] = new JsonArray([.. cluster.Missing.Select(missing => (JsonNode)JsonValue.Create(missing)!)]),
        })]),
    };
}

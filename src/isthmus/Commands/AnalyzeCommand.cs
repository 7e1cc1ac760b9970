using System.CommandLine;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Inventory;
using Isthmus.Options;
using Isthmus.Output;

namespace Isthmus.Commands;

/// <summary><c>isthmus analyze [FILE…]</c>: what is wrong with the objects of clusters, alone and between them. Reads only.</summary>
internal static class AnalyzeCommand
{
    private const int MostProxies = 200;

    private const string Examples = """
        Without files, all clusters of --contexts are analyzed. Files are added to the objects of the cluster
        of the current context, as if they were applied; --use-kube=false analyzes the files alone.

        Examples:
          isthmus analyze
          isthmus analyze --contexts cluster1,cluster2 --failure-threshold Warning
          isthmus analyze --recursive new.yaml config/
          isthmus analyze --use-kube=false -o sarif config/ > analysis.sarif
          isthmus analyze -S "IST0103=Pod *.testing" -S "IST0102=Namespace default"
          isthmus analyze --list-analyzers

        """;

    internal static Command Build()
    {
        var options = new AnalyzeOptions();
        var command = new Command("analyze",
            "Report problems in the configuration of clusters, alone and between them. Read-only; exits with 79 if there are errors.");
        options.AddTo(command);
        HelpExamples.AddTo(command, Examples);
        command.SetAction(async (line, stop) =>
        {
            if (line.GetValue(options.List))
            {
                AnalysisReport.List(Analyzers.All);
                return ExitCode.Success;
            }
            var suppressions = options.Suppressions(line);
            using var limited = CancellationTokenSource.CreateLinkedTokenSource(stop);
            limited.CancelAfter(options.Timeout.Of(line));
            try
            {
                return await RunAsync(line, options, suppressions, limited.Token);
            }
            catch (OperationCanceledException) when (!stop.IsCancellationRequested)
            {
                throw new ProblemException(options.Timeout.Option.Name, $"the clusters were not read within {line.GetValue(options.Timeout.Option)}",
                    "allow more time, or choose fewer clusters with --contexts");
            }
        });
        return command;
    }

    /// <param name="proxies">How many proxies of each cluster to ask what they trust; 0 for none.</param>
    internal static Task<ClusterInventory[]> ReadAsync(ClusterSource source, IEnumerable<string> contexts, int proxies, CancellationToken stop)
    {
        var reader = new InventoryReader(source.IstioNamespace, proxies) { Certificates = proxies > 0, Time = source.Time };
        return Task.WhenAll(contexts.Select(name => reader.ReadAsync(name, source.Load(name), stop)));
    }

    private static async Task<int> RunAsync(ParseResult line, AnalyzeOptions options, IReadOnlyList<Suppression> suppressions, CancellationToken stop)
    {
        var ns = line.GetValue(options.AllNamespaces) ? null : line.GetValue(GlobalOptions.Namespace);
        var paths = line.GetValue(options.Files) ?? [];
        var files = ManifestFiles.Read(paths, line.GetValue(options.Recursive), ns ?? "default", Terminal.Input);
        foreach (var skipped in files.Skipped)
            Console.Error.WriteLine($"Skipping file {skipped}, recognized file extensions are: {string.Join(' ', ManifestFiles.Extensions)}");
        var isUnreadable = files.Problems.Count > 0 && !line.GetValue(options.IgnoreUnknown);
        if (isUnreadable)
            foreach (var problem in files.Problems) Console.Error.WriteLine($"Error: {problem}");

        var (clusters, changed) = await ClustersAsync(line, options, files, stop);
        if (ns is not null) MustExist(ns, clusters);
        if (line.GetValue(options.MeshConfig) is { } mesh)
        {
            var text = InputFile.Read($"{options.MeshConfig.Name} {mesh}", mesh);
            clusters = [.. clusters.Select(cluster => cluster.Error.Length > 0 ? cluster : cluster.WithMesh(text))];
        }
        var result = Analysis.Examine(clusters);
        foreach (var cluster in clusters.Where(cluster => cluster.Context != ManifestFiles.ClusterName && cluster.Unread.Any()))
            Console.Error.WriteLine(
                $"Warning: {cluster.Context}: {string.Join(", ", cluster.Unread)} may not be listed, so {result.Skipped.Count} analyzers are skipped (list "
                    + $"them with --verbose, or use a kubeconfig user who may)");
        if (result.LeftOut.Count > 0)
            Console.Error.WriteLine($"Warning: {string.Join(", ", result.LeftOut)}: not read, although control planes here read it, so nothing is said to be "
                + "missing that it may have (add it to --contexts)");
        if (clusters.Where(cluster => cluster.HidesRemoteSecrets).Select(cluster => cluster.Context).ToList() is { Count: > 0 } hiding)
            Console.Error.WriteLine($"Warning: {string.Join(", ", hiding)}: remote secrets may not be read, which tell the clusters of the mesh, so nothing is "
                + "said to be missing that another cluster may have (use a kubeconfig user who may read Secrets)");
        var findings = files.Located(result.Findings, changed)
            .Where(finding => suppressions.All(suppression => !suppression.Covers(finding)) && (ns is null || IsIn(ns, finding.Problem))).ToList();
        foreach (var cluster in clusters.Where(cluster => cluster.Error.Length > 0 && !findings.Exists(finding => IsUnread(finding, cluster))))
            Console.Error.WriteLine($"Warning: {cluster.Context} was not analyzed, because it cannot be read: {cluster.Error}");
        var report = new AnalysisReport([.. findings.Where(finding => finding.Problem.Severity >= options.OutputThreshold.Of(line))],
            [
                .. paths,
                .. clusters.Where(cluster => cluster.Error.Length == 0).Select(cluster => cluster.Context)
                    .Where(name => name != ManifestFiles.ClusterName),
            ], options.Color.Of(line));
        if (line.GetValue(options.Verbose)) AnalysisReport.Describe(result, report.Analyzed);
        report.Write(line.GetValue(options.Format)!);
        return findings.Exists(finding => finding.Problem.Severity >= options.FailureThreshold.Of(line))
            ? ExitCode.IssuesFound
            : isUnreadable
            ? ExitCode.Failure
            : ExitCode.Success;
    }

    /// <summary>The clusters with the objects of the files, and the name of the cluster that has these.</summary>
    private static async Task<(IReadOnlyList<ClusterInventory> Clusters, string Changed)> ClustersAsync(ParseResult line, AnalyzeOptions options,
        ManifestFiles files, CancellationToken stop)
    {
        if (!line.GetValue(options.UseKube)) return ([files.Alone(line.GetValue(GlobalOptions.IstioNamespace)!)], ManifestFiles.ClusterName);
        var source = options.Snapshot.Open(line);
        var contexts = options.Contexts(line, source);
        var clusters = await ReadAsync(source, contexts, MostProxies, stop);
        if (files.Objects.Count == 0) return (clusters, "");
        var current = source.Load(line.GetValue(GlobalOptions.Context)).Name;
        var changed = contexts.Contains(current) ? current : contexts[0];
        return ([.. clusters.Select(cluster => cluster.Context == changed && cluster.Error.Length == 0 ? files.AppliedTo(cluster) : cluster)], changed);
    }

    /// <summary>A namespace that is nowhere has no problems, and is most likely a mistake.</summary>
    internal static void MustExist(string ns, IReadOnlyList<ClusterInventory> clusters)
    {
        var read = clusters.Where(cluster => cluster.Error.Length == 0 && cluster.Context != ManifestFiles.ClusterName && cluster.Namespaces.Count > 0)
            .ToList();
        if (read.Count == 0 || read.Count < clusters.Count || read.Exists(cluster => cluster.Namespaces.Any(known => known.Metadata.Name == ns))) return;
        var names = read.SelectMany(cluster => cluster.Namespaces).Select(known => known.Metadata.Name).Distinct().Order(StringComparer.Ordinal);
        throw new ProblemException($"namespace \"{ns}\"", $"not found in {string.Join(", ", read.Select(cluster => cluster.Context))}",
            $"namespaces: {string.Join(", ", names)}");
    }

    private static bool IsUnread(Finding finding, ClusterInventory cluster) =>
        finding.Problem.Code == OwnCodes.ClusterNotReadable.Code && finding.Cluster == cluster.Context;

    /// <summary>Of a cluster that was not read, nobody knows what is wrong in its namespaces.</summary>
    private static bool IsIn(string ns, Problem problem) =>
        problem.Code == OwnCodes.ClusterNotReadable.Code || problem.Object.Contains($" {ns}/", StringComparison.Ordinal) || problem.Object == $"Namespace {ns}";
}

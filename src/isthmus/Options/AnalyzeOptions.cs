using System.CommandLine;
using Isthmus.Core.Flags;
using Isthmus.Core.Problems;
using Isthmus.Operate.Diagnose.Analysis;

namespace Isthmus.Options;

/// <summary>The options of <c>analyze</c>, spelt as in istioctl.</summary>
internal sealed class AnalyzeOptions
{
    private readonly MeshContexts _contexts = new();
    private readonly MeshContexts _remote = new("--remote-contexts",
        "Contexts of the clusters to analyze together with that of --context or the current one, separated by commas");
    private readonly Option<string[]> _suppress = new("--suppress",
        "-S") { Description = "Do not report a code for some objects, as CODE=KIND NAME.NAMESPACE; * matches any characters. May be repeated" };

    internal Argument<string[]> Files
    {
        get;
    } = new("file") { Description = "Files and directories to analyze; '-' reads standard input", Arity = ArgumentArity.ZeroOrMore };

    internal Option<bool> List
    {
        get;
    } = new("--list-analyzers", "-L") { Description = "List the analyzers, with the codes that they report, and do nothing else" };

    internal Option<bool> UseKube
    {
        get;
    } = new("--use-kube", "-k") { Description = "Analyze clusters, with the files applied; false analyzes the files alone", DefaultValueFactory = _ => true };

    internal Option<bool> AllNamespaces { get; } = new("--all-namespaces", "-A") { Description = "Report on all namespaces, as without --namespace" };

    internal Option<bool> Recursive { get; } = new("--recursive", "-R") { Description = "Read also the directories below the given ones" };

    internal Option<bool> IgnoreUnknown { get; } = new("--ignore-unknown") { Description = "Ignore documents of files that cannot be read" };

    internal Option<bool> Verbose
    {
        get;
    } = new("--verbose", "-v") { Description = "Print which analyzers were executed, and which were skipped for lack of objects" };

    internal ColorOption Color { get; } = new("the levels");

    internal Option<string?> MeshConfig
    {
        get;
    } = new("--meshConfigFile") { Description = "A file with the MeshConfig to use instead of that of the clusters" };

    internal ThresholdOption FailureThreshold
    {
        get;
    } = new("--failure-threshold", "The level from which messages make the command exit with 79: Info, Warning or Error", Severity.Error);

    internal ThresholdOption OutputThreshold
    {
        get;
    } = new("--output-threshold", "The level from which messages are printed: Info, Warning or Error", Severity.Info);

    internal DurationOption Timeout { get; } = new("--timeout", "How long reading the clusters may take", "30s");

    internal SnapshotOption Snapshot { get; } = new();

    internal Option<string> Format
    {
        get;
    } = new Option<string>("--output", "-o") { Description = "Output format: log, table (or short), json, yaml or sarif", DefaultValueFactory = _ => "log" }
        .OneOf(StringComparer.Ordinal, "is not an output format", "use log, table, json, yaml or sarif", "log", "table", "short", "json", "yaml", "sarif");

    internal void AddTo(Command command)
    {
        command.Arguments.Add(Files);
        foreach (var option in (Option[])[_contexts.Option, _remote.Option, Format, List, _suppress, FailureThreshold.Option, OutputThreshold.Option,
            AllNamespaces, Recursive, UseKube, IgnoreUnknown, MeshConfig, Timeout.Option, Snapshot.Option, Verbose, Color.Option])
            command.Options.Add(option);
        foreach (var (name, remedy) in ((string, string)[])[("--revision", "the objects of all revisions are analyzed: choose clusters with --contexts"),
            ("--multi-cluster", "clusters are always analyzed together: choose them with --contexts")])
            command.Options.Add(new Option<string?>(name) { Hidden = true, Arity = ArgumentArity.ZeroOrOne }.Refused(remedy));
    }

    /// <summary>The contexts to analyze.</summary>
    internal IReadOnlyList<string> Contexts(ParseResult line, ClusterSource source)
    {
        var context = line.GetValue(GlobalOptions.Context);
        if (line.GetResult(_remote.Option) is not null)
        {
            if (line.GetResult(_contexts.Option) is not null)
                throw new WrongUseException(_remote.Option.Name, $"cannot be combined with {_contexts.Option.Name}", "use one of them");
            return [.. _remote.Named(line).Prepend(source.Load(context).Name).Distinct()];
        }
        return context is not null && line.GetResult(_contexts.Option) is null ? [context] : source.Names(_contexts);
    }

    /// <summary>What not to report. A code that no analyzer has is not an error, because scripts may be for other versions.</summary>
    internal IReadOnlyList<Suppression> Suppressions(ParseResult line)
    {
        var all = (line.GetValue(_suppress) ?? []).Select(text => Suppression.Parse(text, _suppress.Name)).ToList();
        foreach (var unknown in all.Where(suppression => AnalysisCodes.Find(suppression.Code) is null))
            Console.Error.WriteLine(
                $"Warning: {_suppress.Name}: '{unknown.Code}' is not a code of an analyzer, and has no effect (list them with 'isthmus analyze "
                    + $"--list-analyzers')");
        return all;
    }
}

/// <summary>A flag with the name of a level.</summary>
internal sealed class ThresholdOption(string name, string description, Severity fallback)
{
    internal Option<string> Option { get; } = new Option<string>(name) { Description = description, DefaultValueFactory = _ => fallback.ToString() }
        .OneOf(StringComparer.OrdinalIgnoreCase, "is not a level", "use Info, Warning or Error", [.. Enum.GetNames<Severity>()]);

    internal Severity Of(ParseResult line) => Enum.Parse<Severity>(line.GetValue(Option)!, ignoreCase: true);
}

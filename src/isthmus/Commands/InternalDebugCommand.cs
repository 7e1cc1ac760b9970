using System.CommandLine;
using System.Text.Json.Nodes;
using Isthmus.Core.Flags;
using Isthmus.Core.Problems;
using Isthmus.Operate.Diagnose;
using Isthmus.Options;

namespace Isthmus.Commands;

/// <summary><c>isthmus experimental internal-debug PAGE</c>: a debug page of the control planes.</summary>
internal static class InternalDebugCommand
{
    internal static Command Build()
    {
        var page = new Argument<string>("page") { Description = "The page, with its query or without: list shows the pages" };
        var all = new Option<bool>("--all") { Description = "Show the answers of all control planes, by Pod; by default, that of the first that has the page" };
        var output = new Option<string>("--output", "-o") { Description = "Output format: json or yaml", DefaultValueFactory = _ => "json" }
            .OneOf(StringComparer.Ordinal, "is not an output format", "use json or yaml", "json", "yaml");
        var timeout = ControlPlaneAnswers.Timeout();
        var command = new Command("internal-debug",
            "Show a debug page of the control planes, such as syncz, registryz or config_dump?proxyID=POD.NAMESPACE.") { page, all, timeout.Option, output };
        command.SetAction(async (line, stop) =>
        {
            var name = line.GetRequiredValue(page).TrimStart('/');
            if (name.StartsWith("debug/", StringComparison.Ordinal)) name = name["debug/".Length..];
            if (name.Length == 0)
                throw new WrongUseException("internal-debug", "no page is given", "list them with 'isthmus experimental internal-debug list'");
            var answers = await ControlPlaneAnswers.AskAsync(line, DebugPages.Prefix + name, timeout.Of(line) + DebugPages.Duration(name), stop);
            var told = answers.Where(answer => answer.Answer is not null).ToList();
            if (told.Count == 0)
                throw new ProblemException(answers.FirstOrDefault(answer => !answer.IsForeign) is { } silent
                    ? new("", $"control plane {silent.Pod}", "", $"has no answer to {name}: {silent.Why}",
                        "give it more time with --timeout, or check that it runs: 'isthmus verify'")
                    : await MissingAsync(line, name, answers[0], timeout.Of(line), stop));
            foreach (var lacking in answers.Except(told))
                Console.Error.WriteLine($"Note: {lacking.Pod} {ControlPlaneAnswers.Lacks(lacking, DebugPages.Prefix + name)}");
            OutputOption.Print(line.GetValue(output)!, line.GetValue(all)
                ? new JsonObject(told.Select(answer => KeyValuePair.Create(answer.Pod, answer.Answer?.DeepClone())))
                : told[0].Answer!);
            return ExitCode.Success;
        });
        return command;
    }

    /// <summary>Why nobody has a page.</summary>
    private static async Task<Problem> MissingAsync(ParseResult line, string name, PlaneAnswer silent, TimeSpan patience, CancellationToken stop)
    {
        var lists = await ControlPlaneAnswers.AskAsync(line, DebugPages.Prefix + "list", patience, stop);
        var pages = lists.SelectMany(answer => DebugPages.Names(answer.Answer)).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).ToList();
        if (pages.Contains(name.Split('?')[0]))
            return new("", $"control plane {silent.Pod}", "", $"has no answer to {name}: {silent.Said}",
                "check what the query names; 'isthmus proxy-status' lists the proxies");
        return pages.Count == 0
            ? new("", $"control plane {silent.Pod}", "", ControlPlaneAnswers.Lacks(silent, DebugPages.Prefix + name),
                "allow debug pages with ENABLE_DEBUG_ON_HTTP=true in its environment")
            : new("", $"page '{name}'", "", "does not exist", $"use one of {string.Join(", ", pages)}");
    }
}

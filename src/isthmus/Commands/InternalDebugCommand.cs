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
        var all = new Option<bool>("--all") { Description = "Show the answers of all control planes, by Pod; by default, that of the first" };
        var output = new Option<string>("--output", "-o") { Description = "Output format: json or yaml", DefaultValueFactory = _ => "json" }
            .OneOf(StringComparer.Ordinal, "is not an output format", "use json or yaml", "json", "yaml");
        var command = new Command("internal-debug",
            "Show a debug page of the control planes, such as syncz, registryz or config_dump?proxyID=POD.NAMESPACE.") { page, all, output };
        command.SetAction(async (line, stop) =>
        {
            var name = line.GetRequiredValue(page).TrimStart('/');
            if (name.StartsWith("debug/", StringComparison.Ordinal)) name = name["debug/".Length..];
            if (name.Length == 0)
                throw new WrongUseException("internal-debug", "no page is given", "list them with 'isthmus experimental internal-debug list'");
            var answers = await AskAsync(line, name, stop);
            OutputOption.Print(line.GetValue(output)!, line.GetValue(all)
                ? new JsonObject(answers.Select(answer => KeyValuePair.Create(answer.Pod, (JsonNode?)answer.Answer.DeepClone())))
                : answers[0].Answer);
            return ExitCode.Success;
        });
        return command;
    }

    /// <exception cref="ProblemException">The page does not exist, or no control plane answers.</exception>
    private static async Task<IReadOnlyList<(string Pod, JsonNode Answer)>> AskAsync(ParseResult line, string name, CancellationToken stop)
    {
        try
        {
            return await ControlPlaneAnswers.AskAsync(line, DebugPages.Prefix + name, stop);
        }
        catch (ProblemException)
        {
            var pages = DebugPages.Names((await ControlPlaneAnswers.AskAsync(line, DebugPages.Prefix + "list", stop))[0].Answer);
            if (pages.Count == 0 || pages.Contains(name.Split('?')[0])) throw;
            throw new ProblemException($"page '{name}'", "does not exist", $"use one of {string.Join(", ", pages)}");
        }
    }
}

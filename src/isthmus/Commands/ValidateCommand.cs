using System.CommandLine;
using System.Text.Json.Nodes;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Options;
using Isthmus.Output;

namespace Isthmus.Commands;

/// <summary><c>isthmus validate -f FILE</c>: what admission would say, without a cluster.</summary>
internal static class ValidateCommand
{
    internal static Command Build()
    {
        var files = new Option<string[]>("--filename", "-f") { Description = "Files to validate; '-' reads standard input. May be repeated", Required = true };
        var referential = new Option<bool>("--referential",
            "-x") { Description = "Accepted for compatibility: 'isthmus analyze' checks what objects refer to", Hidden = true };
        var output = new OutputOption();
        var command = new Command("validate",
            "Validate the Istio objects of files as admission does, without a cluster.") { files, referential, output.Option };
        command.Aliases.Add("v");
        command.SetAction(line =>
        {
            var ns = line.GetValue(GlobalOptions.Namespace) ?? "default";
            var results = line.GetValue(files)!.SelectMany(list => list.Split(',', StringSplitOptions.RemoveEmptyEntries))
                .Select(file => ManifestValidation.Of(file, ns, Terminal.Input)).ToList();
            output.Write(line, () => new JsonArray([.. results.Select(result => (JsonNode)new JsonObject
            {
                ["file"] = result.File, ["objects"] = result.Objects, ["valid"] = result.IsValid, ["errors"] = List(result.Errors),
                ["warnings"] = List(result.Warnings),
            })]), () =>
            {
                foreach (var result in results) Show(result);
            });
            return results.TrueForAll(result => result.IsValid) ? ExitCode.Success : ExitCode.Failure;
        });
        return command;
    }

    private static JsonArray List(IEnumerable<string> texts) => new([.. texts.Select(text => (JsonNode)JsonValue.Create(text)!)]);

    private static void Show(ManifestValidation result)
    {
        if (result.Warnings.Count > 0) Console.WriteLine($"\"{result.File}\" has warnings:\n{Lines(result.Warnings)}");
        else if (result.IsValid) Console.WriteLine($"\"{result.File}\" is valid");
        if (!result.IsValid)
            Console.Error.WriteLine(
                $"Error: \"{result.File}\": {result.Errors.Count} error{(result.Errors.Count == 1 ? "" : "s")} occurred:\n{Lines(result.Errors)}");
    }

    private static string Lines(IEnumerable<string> texts) => string.Concat(texts.Select(text => $"\t* {text}\n"));
}

using System.CommandLine;
using System.Text.Json.Nodes;
using Isthmus.Core.Flags;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Diagnose;
using Isthmus.Options;

namespace Isthmus.Commands;

/// <summary><c>isthmus admin log</c>: the log levels of control planes.</summary>
internal static class AdminCommand
{
    private const string DefaultLevel = "info";

    internal static Command Build()
    {
        var command = new Command("admin", "Manage running control planes.") { Log() };
        command.Aliases.Add("istiod");
        return command;
    }

    private static Command Log()
    {
        var pod = new Argument<string?>("pod") { Description = "The control plane's Pod; by default, all that are ready", Arity = ArgumentArity.ZeroOrOne };
        var level = new Option<string?>("--level")
        {
            Description = $"Levels to set, as SCOPE:LEVEL separated by commas, where a level is one of {string.Join(", ", LogLevels.ControlPlaneWords)}"
        };
        level.Checked(text => Scoped(text));
        var reset = new Option<bool>("--reset", "--log-reset") { Description = $"Set all levels to the default ({DefaultLevel})" };
        var port = new Option<int>("--ctrlz_port") { Description = "The port of ControlZ", DefaultValueFactory = _ => Ports.ControlZ };
        var stack = new Option<string?>("--stack-trace-level")
        {
            Hidden = true
        }.Refused("the log has no stack traces: raise the level of a scope with --level");
        var revision = new Option<string?>("--revision", "-r") { Description = "Only the control planes of this revision" };
        var output = new OutputOption();
        var command = new Command("log",
            "Show the log levels of control planes, or change them until they restart.") { pod, revision, level, reset, port, stack, output.Option };
        command.Aliases.Add("l");
        command.SetAction(async (line, stop) =>
        {
            var wanted = line.GetValue(level);
            if (wanted is not null && line.GetValue(reset)) throw new WrongUseException("--level", "cannot be combined with --reset", "use one of them");
            using var client = GlobalOptions.Client(line);
            var system = line.GetValue(GlobalOptions.IstioNamespace)!;
            var logs = new LogLevels(client, system);
            IReadOnlyList<string> pods = line.GetValue(pod) is { } named
                ? [named.Split('.')[0]]
                : await OfAsync(line.GetValue(revision), new(client, system), stop);
            var answers = new List<(string Pod, IReadOnlyList<(string Scope, string Level)> Scopes)>();
            foreach (var name in pods)
            {
                var levels = wanted is not null ? Scoped(wanted)
                    : line.GetValue(reset)
                    ? [.. (await logs.OfControlPlaneAsync(name, line.GetValue(port), stop)).Select(scope => (scope.Scope, DefaultLevel))]
                    : [];
                await logs.SetControlPlaneAsync(name, line.GetValue(port), levels, stop);
                answers.Add((name, await logs.OfControlPlaneAsync(name, line.GetValue(port), stop)));
            }
            output.Write(line,
                () => new JsonArray(
                    [.. answers.SelectMany(answer => answer.Scopes.Select(scope => (JsonNode)new JsonObject
                    {
                        ["istiod"] = answer.Pod, ["scope_name"] = scope.Scope, ["log_level"] = scope.Level
                    }))]),
                () =>
            {
                foreach (var (name, scopes) in answers)
                {
                    Console.WriteLine(answers.Count == 1 ? "Active scopes:" : $"Active scopes of {name}:");
                    foreach (var (scope, found) in scopes) Console.WriteLine($"  {scope}:{found}");
                }
            });
            return ExitCode.Success;
        });
        return command;
    }

    /// <param name="revision">Null: all.</param>
    private static async Task<IReadOnlyList<string>> OfAsync(string? revision, MeshQuery query, CancellationToken stop)
    {
        var all = await query.ControlPlanesAsync(stop);
        var wanted = all.Where(one => revision is null || RevisionOf(one) == revision).ToList();
        return wanted.Count > 0 ? [.. wanted.Select(one => one.Metadata.Name)]
            : throw new ProblemException($"--revision {revision}", "no control plane that is ready has it",
                $"use one of {string.Join(", ", all.Select(RevisionOf).Distinct().Order(StringComparer.Ordinal))}");
    }

    private static string RevisionOf(Pod plane) => plane.Metadata.Labels.GetValueOrDefault(Labels.Revision) ?? "default";

    private static IReadOnlyList<(string Scope, string Level)> Scoped(string text)
    {
        var levels = LogLevels.Parse("--level", text, LogLevels.ControlPlaneWords);
        return levels.All(level => level.Logger.Length > 0)
            ? levels
            : throw new WrongUseException("--level", $"'{text}' names no scope",
                "write SCOPE:LEVEL, for example ca:debug; 'isthmus admin log' lists the scopes");
    }
}

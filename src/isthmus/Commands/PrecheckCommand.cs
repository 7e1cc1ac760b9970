using System.CommandLine;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Operate.Install;
using Isthmus.Options;

namespace Isthmus.Commands;

/// <summary><c>isthmus precheck</c>: what <c>install</c> checks before it changes anything.</summary>
internal static class PrecheckCommand
{
    internal static Command Build()
    {
        var options = new InstallOptions();
        var command = new Command("precheck",
            "Check whether a cluster can have an installation: version, rights, images, Pod Security, other control planes. Read-only. Problems of an "
                + "installation: 'isthmus verify' and 'isthmus analyze'.")
        {
            new Option<bool>("--skip-controlplane") { Hidden = true }.Refused("'isthmus analyze' checks the objects of namespaces"),
        };
        options.AddTo(command);
        var output = new OutputOption();
        command.Options.Add(output.Option);
        command.SetAction(async (line, stop) =>
        {
            var spec = options.Read(line);
            using var client = GlobalOptions.Client(line);
            Problem? found = null, slow = null;
            try
            {
                var preconditions = new Preconditions(client, TimeProvider.System, text => Console.Error.WriteLine($"  {text}")) { ChecksNames = false };
                await preconditions.CheckAsync(spec, Manifests.Render(spec), stop);
                slow = await preconditions.TlsLibraryAsync(TlsLibrary.Version, stop);
            }
            catch (ProblemException e) when (!output.IsTable(line))
            {
                found = e.Problem;
            }
            if (slow is not null && output.IsTable(line)) Console.Error.WriteLine($"⚠ {slow}");
            output.Write(line, () => Tree(client.Access.Name, found, slow),
                () => Console.WriteLine("✔ No issues found when checking the cluster. Isthmus is safe to install or upgrade!"));
            return found is null ? ExitCode.Success : ExitCode.Failure;
        });
        return command;
    }

    private static JsonObject Tree(string cluster, Problem? found, Problem? slow) =>
        new() { ["cluster"] = cluster, ["issues"] = List(found), ["warnings"] = List(slow) };

    private static JsonArray List(Problem? problem) => problem is null ? [] : [(JsonNode)new JsonObject
    {
        ["object"] = problem.Object, ["path"] = problem.Path, ["message"] = problem.Message, ["remedy"] = problem.Remedy,
    }];
}

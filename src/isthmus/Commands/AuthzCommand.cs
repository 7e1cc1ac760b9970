using System.CommandLine;
using System.Text.Json.Nodes;
using Isthmus.Operate.Diagnose;
using Isthmus.Options;
using Isthmus.Output;

namespace Isthmus.Commands;

/// <summary><c>isthmus authz check POD</c>: the AuthorizationPolicies that a proxy applies.</summary>
internal static class AuthzCommand
{
    internal static Command Build() => new("authz", "Inspect AuthorizationPolicies at proxies.") { Check() };

    private static Command Check()
    {
        var (source, output) = (new DumpSource("config_dump"), new OutputOption());
        var command = new Command("check",
            "List the AuthorizationPolicies that a proxy applies, with the number of their rules. Which rule decides a call: 'isthmus trace'.")
            {
                output.Option
            };
        source.AddTo(command);
        command.SetAction(async (line, stop) =>
        {
            var (header, rows) = PolicyTable.Of(new ConfigDump(await source.ReadAsync(line, stop)).Listeners);
            output.Write(line,
                () => new JsonArray([.. rows.Select(row => (JsonNode)new JsonObject
                {
                    ["action"] = row[0], ["policy"] = row[1], ["rules"] = int.Parse(row[2], System.Globalization.CultureInfo.InvariantCulture)
                })]),
                () => TextTable.Write(header, rows));
            return ExitCode.Success;
        });
        return command;
    }
}

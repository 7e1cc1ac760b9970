using System.CommandLine;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Operate.Diagnose;
using Isthmus.Options;
using Isthmus.Output;

namespace Isthmus.Commands;

/// <summary><c>proxy-config bootstrap</c> and <c>ecds</c>: the parts of a dump that are not made for services.</summary>
internal static class ProxyConfigBootstrap
{
    internal static Command Bootstrap()
    {
        var source = new DumpSource("config_dump");
        var output = new Option<string>("--output",
            "-o") { Description = "Output format: json, yaml, or short for the versions only", DefaultValueFactory = _ => "json" }
            .OneOf(StringComparer.Ordinal, "is not an output format", "use json, yaml or short", "json", "yaml", "short");
        var command = new Command("bootstrap", "Show what the proxy was started with.") { output };
        command.Aliases.Add("b");
        source.AddTo(command);
        command.SetAction(async (line, stop) =>
        {
            var parsed = new ConfigDump(await source.ReadAsync(line, stop));
            var bootstrap = parsed.Bootstrap
                ?? throw new ProblemException("configuration dump", "has no section BootstrapConfigDump",
                    "ask for the whole dump: http://localhost:15000/config_dump");
            if (line.GetValue(output) == "short")
            {
                var (istio, proxy) = parsed.Versions;
                Console.WriteLine($"Istio Version: {istio}\nProxy Version: {proxy}");
            }
            else OutputOption.Print(line.GetValue(output)!, new JsonObject { ["bootstrap"] = bootstrap.DeepClone() });
            return ExitCode.Success;
        });
        return command;
    }

    internal static Command Ecds()
    {
        var (source, output) = (new DumpSource("config_dump"), new OutputOption());
        var command = new Command("ecds",
            "Show the extensions that the proxy got by discovery. Proxies of Isthmus have none: WasmPlugins apply to Envoys only.") { output.Option };
        source.AddTo(command);
        command.SetAction(async (line, stop) =>
        {
            var filters = new ConfigDump(await source.ReadAsync(line, stop)).Extensions;
            output.Write(line, () => new JsonArray([.. filters.Select(filter => filter.DeepClone())]), () => TextTable.Write(["ECDS NAME", "TYPE"],
                [.. filters.Select(filter => (string[])[filter["name"]?.ToString() ?? "",
                    ConfigDump.At(filter, "typed_config", "@type")?.ToString().Split('.')[^1] ?? ""])]));
            return ExitCode.Success;
        });
        return command;
    }
}

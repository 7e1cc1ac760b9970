using System.CommandLine;
using System.Runtime.Versioning;
using System.Text.Json.Nodes;
using Isthmus.Lab.Supervisor;
using Isthmus.Options;
using Isthmus.Output;

namespace Isthmus.Commands;

/// <summary><c>isthmus lab status</c>.</summary>
[SupportedOSPlatform("linux")]
internal static class LabStatusCommand
{
    internal static Command Build()
    {
        var output = new OutputOption();
        var command = new Command("status", "Show the clusters, their addresses, ranges and processes.") { output.Option };
        command.SetAction(async (line, stop) =>
        {
            var control = LabCommand.Control(yes: true);
            var status = control.Client.FindSupervisor() is null ? Stopped(control) : await control.Client.StatusAsync(stop);
            output.Write(line, () => status, () => Show(status));
            return ExitCode.Success;
        });
        return command;
    }

    private static JsonObject Stopped(LabControl control)
    {
        var clusters = new JsonArray();
        foreach (var cluster in control.State.Clusters)
        {
            var json = cluster.ToJson();
            json["state"] = "stopped";
            json["server"] = cluster.Server.OriginalString;
            clusters.Add((JsonNode)json);
        }
        return new JsonObject { ["running"] = false, ["home"] = control.Client.Home.Directory, ["clusters"] = clusters };
    }

    private static void Show(JsonNode status)
    {
        var clusters = status["clusters"] as JsonArray ?? [];
        if (clusters.Count == 0)
        {
            Console.WriteLine((bool?)status["running"] == true ? "The lab is running without clusters." : "There is no lab. Start one with: isthmus lab up");
            return;
        }
        Console.WriteLine((bool?)status["running"] == true
            ? $"Lab: {status["mode"]}, proxy {status["proxy"]}, state in {status["home"]}"
            : $"The lab is not running (its supervisor ended); its state is in {status["home"]}. Resume it with 'isthmus lab up' or remove it with 'isthmus "
                + $"lab down'.");
        TextTable.Write(["NAME", "CONTEXT", "STATE", "SERVER", "NETWORK", "POD RANGE", "LOAD BALANCER POOL", "PODS", "PIDS"],
            [.. clusters.Select(cluster => (string[])
        [
            Text(cluster, "name"), Text(cluster, "context"), Text(cluster, "state"), Text(cluster, "server"), Text(cluster, "network"),
            Text(cluster, "podRange"), Text(cluster, "loadBalancerPool"), Text(cluster, "pods"), $"{Text(cluster, "apiServerPid")},{Text(cluster, "nodePid")}",
        ])]);
    }

    private static string Text(JsonNode? cluster, string field) => cluster?[field]?.ToString() is { Length: > 0 } text ? text : "-";
}

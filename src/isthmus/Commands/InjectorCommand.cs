using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Operate.Diagnose;
using Isthmus.Options;
using Isthmus.Output;

namespace Isthmus.Commands;

/// <summary><c>isthmus experimental injector list</c>: which revision injects which namespaces, and what sidecars run there.</summary>
internal static class InjectorCommand
{
    private const string None = "<none>";

    internal static Command Build() => new("injector", "Show the webhooks that inject sidecars.") { List() };

    private static Command List()
    {
        var output = new OutputOption();
        var command = new Command("list",
            "List the namespaces that get sidecars, the revisions of the sidecars that run there, and the injection webhooks.") { output.Option };
        command.SetAction(async (line, stop) =>
        {
            using var client = GlobalOptions.Client(line);
            var list = await InjectionList.ReadAsync(client, stop);
            output.Write(line, () => Tree(list), () =>
            {
                TextTable.Write(["NAMESPACE", "ISTIO-REVISION", "POD-REVISIONS"],
                    [.. list.Namespaces.Select(ns => (string[])[ns.Name, Or(ns.Revision), Or(string.Join(", ", ns.Pods.Select(Pods)))])]);
                Console.WriteLine();
                TextTable.Write(["NAMESPACES", "INJECTOR-HOOK", "ISTIO-REVISION", "SIDECAR-IMAGE"],
                    [.. list.Hooks.Select(hook => (string[])[Or(string.Join(',', hook.Namespaces)), hook.Name, Or(hook.Revision), Or(hook.Image)])]);
            });
            return ExitCode.Success;
        });
        return command;
    }

    private static string Pods(KeyValuePair<string, int> pods) =>
        string.Create(CultureInfo.InvariantCulture, $"{(pods.Key.Length > 0 ? pods.Key : "<no sidecar>")}: {pods.Value}");

    private static string Or(string text) => text.Length > 0 ? text : None;

    private static JsonObject Tree(InjectionList list) => new()
    {
        ["namespaces"] = new JsonArray([.. list.Namespaces.Select(ns => (JsonNode)new JsonObject
        {
            ["namespace"] = ns.Name, ["revision"] = ns.Revision,
            ["pods"] = new JsonArray([.. ns.Pods.Select(pods => (JsonNode)new JsonObject { ["revision"] = pods.Key, ["count"] = pods.Value })]),
        })]),
        ["webhooks"] = new JsonArray([.. list.Hooks.Select(hook => (JsonNode)new JsonObject
        {
            ["name"] = hook.Name, ["revision"] = hook.Revision, ["image"] = hook.Image,
            ["namespaces"] = new JsonArray([.. hook.Namespaces.Select(ns => (JsonNode)JsonValue.Create(ns)!)]),
        })]),
    };
}

using System.Text.Json.Nodes;

namespace Isthmus.Injection;

/// <summary>What injection has added to a Pod, for its annotation <c>sidecar.istio.io/status</c>.</summary>
internal sealed class InjectedParts
{
    internal List<string> InitContainers { get; } = [];

    internal List<string> Containers { get; } = [];

    internal List<string> Volumes { get; } = [];

    internal static string Revision(InjectorValues values) => values.Revision.Length == 0 ? "default" : values.Revision;

    internal string Text(InjectorValues values) => new JsonObject
    {
        ["initContainers"] = Names(InitContainers),
        ["containers"] = Names(Containers),
        ["volumes"] = Names(Volumes),
        ["imagePullSecrets"] = Names(values.PullSecrets),
        ["revision"] = Revision(values),
    }.ToJsonString();

    private static JsonArray? Names(IEnumerable<string> names) =>
        new JsonArray([.. names.Distinct().Select(name => (JsonNode)name)]) is { Count: > 0 } list ? list : null;
}

using System.Text.Json.Nodes;

using Isthmus.Core.Names;

namespace Isthmus.Operate.Diagnose;

/// <summary>Reads Envoy's <c>/config_dump</c> (admin v3, proto JSON) as trees, whichever proxy wrote it.</summary>
public sealed class ConfigDump(JsonNode dump)
{
    /// <summary>Asks a proxy only for its secrets: a whole dump has megabytes in a mesh with hundreds of services.</summary>
    public const string SecretsPath = $"config_dump?resource={ActiveSecrets}";

    private const string ActiveSecrets = "dynamic_active_secrets";

    private IEnumerable<JsonObject> Parts(string type) =>
        (dump["configs"] as JsonArray ?? []).OfType<JsonObject>()
            .Where(part => part["@type"]?.ToString().EndsWith($".{type}", StringComparison.Ordinal) ?? false);

    /// <summary>Reads a field by its name in snake case (Envoy) or camel case (protobuf's own JSON).</summary>
    private static JsonNode? Field(JsonNode? node, string snake)
    {
        if (node is not JsonObject map) return null;
        if (map[snake] is { } value) return value;
        var words = snake.Split('_');
        return map[words[0] + string.Concat(words.Skip(1).Select(word => char.ToUpperInvariant(word[0]) + word[1..]))];
    }

    /// <summary>The program of the proxy, if it is not Isthmus, with its version: <c>envoy 1.28.3</c>. Empty for Isthmus, and where the dump does
    /// not say.</summary>
    public string OtherProgram =>
        At(Bootstrap, "node", "user_agent_name")?.ToString() is { Length: > 0 } name and not "isthmus" ? $"{name} {Versions.Proxy}".Trim() : "";

    public static JsonNode? At(JsonNode? node, params ReadOnlySpan<string> path)
    {
        foreach (var step in path) node = int.TryParse(step, out var index) ? (node as JsonArray)?.ElementAtOrDefault(index) : Field(node, step);
        return node;
    }

    /// <summary>What the proxy was started with; null if the dump does not say.</summary>
    public JsonObject? Bootstrap => Parts("BootstrapConfigDump").Select(part => At(part, "bootstrap")).OfType<JsonObject>().FirstOrDefault();

    /// <summary>The release of Istio that the proxy says it is for, and its own version; empty where the dump does not say.</summary>
    public (string Istio, string Proxy) Versions
    {
        get
        {
            var build = At(Bootstrap, "node", "user_agent_build_version", "version");
            // Zeros are left out.
            var number = build is null
                ? ""
                : string.Join('.', ((string[])["major_number", "minor_number", "patch"]).Select(part => At(build, part)?.ToString() ?? "0"));
            return (Bootstrap?["node"]?["metadata"]?["ISTIO_VERSION"]?.ToString() ?? "", number);
        }
    }

    /// <summary>The filters that the proxy got by extension discovery.</summary>
    public IReadOnlyList<JsonObject> Extensions => [.. Items("EcdsConfigDump", ["ecds_filters"], "ecds_filter")];

    public IReadOnlyList<JsonObject> Clusters => [.. Items("ClustersConfigDump", ["static_clusters", "dynamic_active_clusters"], "cluster")];

    public IReadOnlyList<JsonObject> Routes => [.. Items("RoutesConfigDump", ["static_route_configs", "dynamic_route_configs"], "route_config")];

    public IReadOnlyList<JsonObject> Endpoints => [.. Items("EndpointsConfigDump", ["static_endpoint_configs", "dynamic_endpoint_configs"], "endpoint_config")];

    /// <summary>All but those that only the agent knows.</summary>
    public IReadOnlyList<JsonObject> Listeners =>
    [
        .. Items("ListenersConfigDump", ["static_listeners"], "listener"),
        .. Parts("ListenersConfigDump").SelectMany(part => At(part, "dynamic_listeners") as JsonArray ?? [])
            .Select(item => At(item, "active_state", "listener")).OfType<JsonObject>()
            .Where(listener => At(listener, "name")?.ToString().StartsWith(AgentListeners.Calls, StringComparison.Ordinal) != true),
    ];

    /// <summary>Secrets with their state, of a whole dump or of what <see cref="SecretsPath"/> asks for. A dump never contains keys.</summary>
    public IReadOnlyList<(JsonObject Secret, string State, string Updated)> Secrets =>
    [
        .. Parts("SecretsConfigDump")
            .SelectMany(part => (IEnumerable<(string List, string State)>)[(ActiveSecrets, "ACTIVE"), ("dynamic_warming_secrets", "WARMING"),
                ("static_secrets", "ACTIVE")]
            is var lists ? lists.SelectMany(list => (At(part, list.List) as JsonArray ?? []).Select(item => (Item: item, list.State))) : [])
            .Concat(Parts("SecretsConfigDump.DynamicSecret").Select(item => (Item: (JsonNode?)item, State: "ACTIVE")))
            .Select(item => (At(item.Item, "secret") as JsonObject, item.State, At(item.Item, "last_updated")?.ToString() ?? ""))
            .Where(item => item.Item1 is not null).Select(item => (item.Item1!, item.State, item.Item3)),
    ];

    private IEnumerable<JsonObject> Items(string type, string[] lists, string field) =>
        Parts(type).SelectMany(part => lists.SelectMany(list => At(part, list) as JsonArray ?? [])).Select(item => At(item, field)).OfType<JsonObject>();
}

using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;

namespace Isthmus.Mesh.Config;

/// <summary>
/// Reads what a patch of BOOTSTRAP merges into the bootstrap of an Envoy. Of that message, only Envoy knows all: names of its own fields are checked, and
/// those of what is below them are not. What the agent and its Envoy share is the agent's.
/// </summary>
internal static class BootstrapReader
{
    private static readonly HashSet<string> Fields = new(StringComparer.Ordinal)
    {
        "admin", "application_log_config", "bootstrap_extensions", "certificate_provider_instances", "cluster_manager", "config_sources",
        "default_config_source", "default_regex_engine", "default_socket_interface", "deferred_stat_options", "dns_resolution_config",
        "dynamic_resources", "enable_dispatcher_stats", "fatal_actions", "flags_path", "grpc_async_client_manager_config", "hds_config", "header_prefix",
        "inline_headers", "layered_runtime", "listener_manager", "memory_allocator_manager", "node", "node_context_params", "overload_manager",
        "perf_tracing_file_path", "static_resources", "stats_config", "stats_flush_interval", "stats_flush_on_admin", "stats_flush_on_demand", "stats_sinks",
        "stats_server_version_override", "tracing", "typed_dns_resolver_config", "use_tcp_for_dns_lookups", "watchdog", "watchdogs",
        "xds_config_tracker_extension", "xds_delegate_extension",
    };

    /// <summary>Clusters through which an Envoy reaches its agent.</summary>
    private static readonly string[] OfAgent = ["xds-grpc", "sds-grpc"];

    /// <summary>The value as JSON, with Envoy's names of its fields; null when it has errors.</summary>
    public static string? Read(Field value)
    {
        if (value.Node is not JsonObject { Count: > 0 } fields)
        {
            value.Error("must be an object: a part of envoy.config.bootstrap.v3.Bootstrap", "for example stats_flush_interval: 10s");
            return null;
        }
        var read = new JsonObject();
        foreach (var (given, content) in fields)
        {
            var (field, name) = (value[given], JsonNamingPolicy.SnakeCaseLower.ConvertName(given));
            if (!Fields.Contains(name))
                field.Error($"envoy.config.bootstrap.v3.Bootstrap has no \"{given}\"",
                    Spelling.Nearest(name, Fields) is { } near ? $"did you mean \"{near}\"?" : "remove it");
            else if (read.ContainsKey(name)) field.Error($"is {name} once more", "write the field once");
            else if (content is null) field.Error("must not be null", "remove it, or write a value");
            else read[name] = content.DeepClone();
        }
        const string agent = "is the agent's: without what it writes there, Envoy would not be that of the mesh";
        foreach (var name in (ReadOnlySpan<string>)["node", "dynamic_resources"])
            if (read.ContainsKey(name)) At(value, name).Error(agent, "remove it");
        if (At(value, "admin") is { Node: JsonObject admin } at && admin.ContainsKey("address"))
            at["address"].Error("is the agent's: tools and the agent ask Envoy there, and nobody else may", "remove it");
        foreach (var cluster in At(value, "static_resources")["clusters"].Items)
            if (OfAgent.Contains(cluster["name"].Text)) cluster["name"].Error($"{cluster["name"].Text} {agent}", "use another name");
        return value.IsWrong ? null : read.ToJsonString();
    }

    /// <summary>A field by its name, however it is written.</summary>
    private static Field At(Field value, string name) => value[name] is { Exists: true } field ? field : value[JsonNamingPolicy.CamelCase.ConvertName(
        string.Concat(name.Split('_').Select(word => char.ToUpperInvariant(word[0]) + word[1..])))];
}

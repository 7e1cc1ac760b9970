using System.Text.Json.Nodes;

namespace Isthmus.Bench.Proxies;

/// <summary>
/// Envoy, with one worker and the resources of this proxy in its bootstrap. It is a contender where the variable ENVOY names its program,
/// and left out by name elsewhere. Filters that only Istio's build has are left out of its listeners.
/// </summary>
internal static class Envoy
{
    // What Istio's ALPN filter offers to servers. Some refuse a client that offers only what the clusters name.
    private static readonly string[] OfFilter = ["istio-http/1.1", "istio", "http/1.1"];

    private static string? Program => Environment.GetEnvironmentVariable("ENVOY") is { Length: > 0 } program ? program : null;

    /// <summary>HTTP as a sidecar has it; none without a program.</summary>
    internal static async Task<Contender[]> StartAsync(ProxyRig rig, Wiring wiring)
    {
        if (!IsThere()) return [];
        var (name, port) = ($"envoy{wiring.Place}", rig.NextPort());
        return [await StartAsync(rig, name, OwnResources.ForHttp(wiring, port, rig.File($"{name}.log")),
            new(name, port, Program!) { Host = wiring.Host, NetworkOf = wiring.NetworkOf }, wiring.Tickets)];
    }

    /// <summary>Passes TLS through by server name; none without a program.</summary>
    internal static async Task<Contender[]> StartPassThroughAsync(ProxyRig rig, string server)
    {
        if (!IsThere()) return [];
        var port = rig.NextPort();
        return [await StartAsync(rig, "envoy", OwnResources.ForPassThrough(server, port, rig.File("envoy.log")), new("envoy", port, Program!),
            hasTickets: true)];
    }

    /// <summary>Everything from a <see cref="DiscoveryServer"/>; none without a program.</summary>
    /// <param name="port">A port that listens as soon as it is configured.</param>
    /// <param name="discovery">The port of the server. None of its resources may need a certificate.</param>
    internal static async Task<Contender?> StartDiscoveredAsync(ProxyRig rig, int port, int discovery)
    {
        if (!IsThere()) return null;
        var bootstrap = $$$"""
            {"node": {"id": "bench", "cluster": "bench"},
             "dynamic_resources": {
               "ads_config": {"api_type": "DELTA_GRPC", "transport_api_version": "V3", "grpc_services": [{"envoy_grpc": {"cluster_name": "xds-grpc"}}]},
               "lds_config": {"ads": {}, "resource_api_version": "V3"}, "cds_config": {"ads": {}, "resource_api_version": "V3"}},
             "static_resources": {"clusters": [{"name": "xds-grpc", "type": "STATIC", "connect_timeout": "5s",
               "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                 "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                 "explicit_http_config": {"http2_protocol_options": {} } } },
               "load_assignment": {"cluster_name": "xds-grpc", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"socket_address": {
                 "address": "127.0.0.1", "port_value": {{{discovery}}} } } } }]}]} }]} }
            """;
        return await StartAsync(rig, bootstrap, new("envoy", port, Program!), "1 worker, what this control plane has for an Envoy");
    }

    /// <summary>Whether there is a program; says so if not.</summary>
    internal static bool IsThere()
    {
        if (Program is not null) return true;
        Console.WriteLine("  envoy: left out (set ENVOY to the path of its program)");
        return false;
    }

    private static Task<Contender> StartAsync(ProxyRig rig, string name, OwnResources resources, ContenderStart how, bool hasTickets) =>
        StartAsync(rig, Bootstrap(resources, rig.Credentials, hasTickets).ToJsonString(), how with { Name = name },
            "1 worker, the same clusters, listeners, routes and access log");

    private static async Task<Contender> StartAsync(ProxyRig rig, string bootstrap, ContenderStart how, string settings)
    {
        await rig.DescribeAsync(Program!, "--version", settings);
        var file = rig.File($"{how.Name}.json");
        await File.WriteAllTextAsync(file, bootstrap);
        return await rig.StartContenderAsync(how with
        {
            Arguments = ["-c", file, "--concurrency", $"{ProxyRig.Workers}", "--disable-hot-restart", "--log-level", "warning"],
        });
    }

    private static JsonObject Bootstrap(OwnResources resources, Credentials credentials, bool hasTickets)
    {
        var assignments = resources.Assignments.Select(text => JsonNode.Parse(text)!).ToDictionary(one => one["cluster_name"]!.GetValue<string>());
        var clusters = new JsonArray();
        foreach (var cluster in resources.Clusters.Select(text => JsonNode.Parse(text)!.AsObject()))
        {
            if (cluster.Remove("eds_cluster_config"))
            {
                cluster["type"] = "STATIC";
                cluster["load_assignment"] = assignments[cluster["name"]!.GetValue<string>()].DeepClone();
            }
            clusters.Add((JsonNode)cluster);
        }
        var listeners = new JsonArray();
        foreach (var listener in resources.Listeners) listeners.Add(JsonNode.Parse(listener));
        Adapt(clusters, hasTickets);
        Adapt(listeners, hasTickets);
        return new()
        {
            ["bootstrap_extensions"] = new JsonArray(new JsonObject
            {
                ["name"] = "internal",
                ["typed_config"] = new JsonObject { ["@type"] = "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener" },
            }),
            ["static_resources"] = new JsonObject { ["clusters"] = clusters, ["listeners"] = listeners, ["secrets"] = Secrets(credentials) },
        };
    }

    private static JsonArray Secrets(Credentials credentials)
    {
        static JsonObject FileAt(string path) => new() { ["filename"] = path };
        var own = new JsonObject
        {
            ["name"] = "default",
            ["tls_certificate"] = new JsonObject { ["certificate_chain"] = FileAt(credentials.Chain), ["private_key"] = FileAt(credentials.Key) }
        };
        var roots = new JsonObject { ["name"] = "ROOTCA", ["validation_context"] = new JsonObject { ["trusted_ca"] = FileAt(credentials.Root) } };
        return new((JsonNode)own, (JsonNode)roots);
    }

    /// <summary>Names secrets of the bootstrap, and leaves out what stock Envoy lacks.</summary>
    private static void Adapt(JsonNode node, bool hasTickets)
    {
        if (node is JsonArray list)
        {
            foreach (var own in list.Where(IsOfIstio).ToList()) list.Remove(own);
            foreach (var item in list) if (item is not null) Adapt(item, hasTickets);
            return;
        }
        if (node is not JsonObject one) return;
        if (one.ContainsKey("name")) one.Remove("sds_config");
        if (one["@type"]?.GetValue<string>().EndsWith(".DownstreamTlsContext", StringComparison.Ordinal) == true && !hasTickets)
            one["disable_stateless_session_resumption"] = true;
        if (one["@type"]?.GetValue<string>().EndsWith(".UpstreamTlsContext", StringComparison.Ordinal) == true
            && one["common_tls_context"] is JsonObject tls && tls["alpn_protocols"] is JsonArray offered
            && offered.Any(protocol => protocol!.GetValue<string>().StartsWith("istio", StringComparison.Ordinal)))
            tls["alpn_protocols"] = new JsonArray([.. OfFilter.Select(protocol => (JsonNode)protocol)]);
        if (one["retry_host_predicate"] is JsonArray predicates)
            foreach (var predicate in predicates)
                predicate!["typed_config"] = new JsonObject
                {
                    ["@type"] = "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                };
        foreach (var (_, value) in one) if (value is not null) Adapt(value, hasTickets);
    }

    private static bool IsOfIstio(JsonNode? item) =>
        item is JsonObject one && one["name"] is JsonValue name && name.TryGetValue<string>(out var text)
            && text.StartsWith("istio.", StringComparison.Ordinal);
}

using System.Text.Json.Nodes;
using Google.Protobuf;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Snapshot;
using Isthmus.Wire.Envoy.Endpoints;

namespace Isthmus.Proxy.Dumps;

/// <summary><c>/config_dump</c> in Envoy's format. Secrets show their certificates, never a key.</summary>
internal static class ConfigDumps
{
    private const string Prefix = "type.googleapis.com/envoy.admin.v3.";

    /// <param name="query"><c>include_eds</c> adds endpoints; for the rest see <see cref="DumpSelection"/>.</param>
    /// <exception cref="ResourceException">The query is not valid.</exception>
    public static string Write(DataPlane plane, IReadOnlyDictionary<string, string> query) => DumpJson.Text(Tree(plane, query));

    /// <inheritdoc cref="Write"/>
    public static JsonObject Tree(DataPlane plane, IReadOnlyDictionary<string, string> query)
    {
        var selection = new DumpSelection(query);
        var configs = new List<JsonObject>();
        void Add(string type, Func<JsonObject> section)
        {
            if (selection.Includes(type)) configs.Add(section());
        }
        Add("BootstrapConfigDump", () => Bootstrap(plane));
        plane.State.Read(books =>
        {
            Add("ClustersConfigDump", () => Clusters(plane, books));
            if (query.ContainsKey("include_eds")) Add("EndpointsConfigDump", () => Endpoints(books));
            Add("ListenersConfigDump", () => Listeners(plane, books));
            Add("RoutesConfigDump", () => Routes(plane, books));
            return true;
        });
        Add("SecretsConfigDump", () => Secrets(plane));
        // There is no discovery of extensions. Tools of Istio take a dump without the section for a broken one.
        Add("EcdsConfigDump", () => new() { ["@type"] = $"{Prefix}EcdsConfigDump" });
        return new() { ["configs"] = DumpJson.List(selection.Of(configs)) };
    }

    private static JsonObject Bootstrap(DataPlane plane) => new()
    {
        ["@type"] = $"{Prefix}BootstrapConfigDump",
        ["bootstrap"] = new JsonObject { ["node"] = ServerDumps.Node(plane) },
        ["last_updated"] = DumpJson.Time(plane.Started),
    };

    private static JsonObject Clusters(DataPlane plane, ResourceBooks books)
    {
        JsonObject Entry(ResourceEntry<ClusterState> entry, ClusterState cluster)
        {
            var json = State(entry, TypeUrls.Cluster, "cluster", cluster.Config.Name, cluster.Config.Resource);
            AddNotes(json, cluster.Config.Notes);
            AddError(json, plane, TypeUrls.Cluster, cluster.Config.Name);
            return json;
        }
        return new()
        {
            ["@type"] = $"{Prefix}ClustersConfigDump",
            ["version_info"] = books.Versions.GetValueOrDefault(TypeUrls.Cluster, ""),
            ["dynamic_active_clusters"] = DumpJson.List(books.Clusters.OrderBy(c => c.Key, StringComparer.Ordinal).Where(c => c.Value.Active is not null)
                .Select(c => Entry(c.Value, c.Value.Active!))),
            ["dynamic_warming_clusters"] = DumpJson.List(books.Clusters.OrderBy(c => c.Key, StringComparer.Ordinal).Where(c => c.Value.Waiting is not null)
                .Select(c => Entry(c.Value, c.Value.Waiting!))),
        };
    }

    private static JsonObject Endpoints(ResourceBooks books) => new()
    {
        ["@type"] = $"{Prefix}EndpointsConfigDump",
        ["dynamic_endpoint_configs"] = DumpJson.List(books.Assignments.OrderBy(a => a.Key, StringComparer.Ordinal).Select(a =>
            State(a.Value, TypeUrls.Endpoints, "endpoint_config", a.Key, ClusterLoadAssignment.Parser.ParseFrom(a.Value.Bytes)))),
    };

    private static JsonObject Listeners(DataPlane plane, ResourceBooks books)
    {
        JsonObject Entry(string name, ResourceEntry<ListenerSnapshot> entry)
        {
            var json = new JsonObject { ["name"] = name };
            if (entry.Active is { } active) json["active_state"] = State(entry, TypeUrls.Listener, "listener", name, active.Resource);
            if (entry.Waiting is { } waiting) json["warming_state"] = State(entry, TypeUrls.Listener, "listener", name, waiting.Resource);
            AddNotes(json, (entry.Active ?? entry.Waiting)!.Notes);
            AddError(json, plane, TypeUrls.Listener, name);
            return json;
        }
        return new()
        {
            ["@type"] = $"{Prefix}ListenersConfigDump",
            ["version_info"] = books.Versions.GetValueOrDefault(TypeUrls.Listener, ""),
            ["dynamic_listeners"] = DumpJson.List(books.Listeners.OrderBy(l => l.Key, StringComparer.Ordinal).Select(l => Entry(l.Key, l.Value))),
        };
    }

    private static JsonObject Routes(DataPlane plane, ResourceBooks books)
    {
        JsonObject Entry(string name, ResourceEntry<RouteTable> entry)
        {
            var json = State(entry, TypeUrls.Route, "route_config", name, entry.Active!.Resource);
            AddNotes(json, entry.Active.Notes);
            AddError(json, plane, TypeUrls.Route, name);
            return json;
        }
        var inline = books.Listeners.Values.Where(l => l.Active is not null).SelectMany(l => l.Active!.Chains.All).Select(c => c.Action).OfType<HttpAction>()
            .Select(h => h.Routes).OfType<RouteTable>();
        return new()
        {
            ["@type"] = $"{Prefix}RoutesConfigDump",
            ["static_route_configs"] = DumpJson.List(inline.Select(r => new JsonObject
            {
                ["route_config"] = DumpJson.Resource(TypeUrls.Route, r.Name, r.Resource)
            })),
            ["dynamic_route_configs"] = DumpJson.List(books.Routes.OrderBy(r => r.Key, StringComparer.Ordinal).Where(r => r.Value.Active is not null)
                .Select(r => Entry(r.Key, r.Value))),
        };
    }

    private static JsonObject Secrets(DataPlane plane) => new()
    {
        ["@type"] = $"{Prefix}SecretsConfigDump",
        ["dynamic_active_secrets"] = DumpJson.List(plane.Secrets.View().OrderBy(s => s.Name, StringComparer.Ordinal).Select(Secret)),
    };

    private static JsonObject Secret(Tls.SecretView secret)
    {
        static JsonObject Bytes(string pem) => new() { ["inline_bytes"] = Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(pem)) };
        var shown = new JsonObject { ["@type"] = TypeUrls.Secret, ["name"] = secret.Name };
        if (secret.CertificateChainPem.Length > 0)
        {
            shown["tls_certificate"] = new JsonObject
            {
                ["certificate_chain"] = Bytes(secret.CertificateChainPem),
                ["private_key"] = new JsonObject { ["inline_bytes"] = "W3JlZGFjdGVkXQ==" },
            };
        }
        if (secret.RootsPem.Length > 0) shown["validation_context"] = new JsonObject { ["trusted_ca"] = Bytes(secret.RootsPem) };
        return new() { ["name"] = secret.Name, ["version_info"] = secret.Version, ["last_updated"] = DumpJson.Time(secret.Updated), ["secret"] = shown };
    }

    private static JsonObject State<T>(ResourceEntry<T> entry, string typeUrl, string field, string name, IMessage resource)
        where T : class => new()
        {
            ["version_info"] = entry.Version,
            [field] = DumpJson.Resource(typeUrl, name, resource),
            ["last_updated"] = DumpJson.Time(entry.Updated),
        };

    // Parts of a resource that this proxy does not apply are noted next to it, so that nothing is dropped silently.
    private static void AddNotes(JsonObject json, ValueList<string> notes)
    {
        if (!notes.IsEmpty) json["isthmus_notes"] = DumpJson.List(notes.Select(n => (JsonNode)JsonValue.Create(n)));
    }

    private static void AddError(JsonObject json, DataPlane plane, string typeUrl, string name)
    {
        if (plane.State.Rejections.FirstOrDefault(r => r.TypeUrl == typeUrl && r.Name == name) is not { } rejection) return;
        json["error_state"] = new JsonObject
        {
            ["last_update_attempt"] = DumpJson.Time(rejection.At), ["details"] = rejection.Message, ["version_info"] = rejection.Version
        };
    }
}

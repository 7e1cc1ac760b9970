using System.Globalization;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Isthmus.ControlPlane.Clusters;
using Isthmus.ControlPlane.Push;
using Isthmus.Graph.Derive;
using Isthmus.Kubernetes.Client;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Endpoints;
using Isthmus.Wire.Istio;
using Isthmus.Wire.Xds;
using Microsoft.AspNetCore.Http;

namespace Isthmus.ControlPlane.Debug;

/// <summary>Debug pages of istiod about single proxies and endpoints, with its names and JSON keys.</summary>
internal static class ProxyPages
{
    internal static IEnumerable<KeyValuePair<string, Func<HttpContext, Task<JsonNode>>>> All(PushEngine engine, ClusterWatch config) =>
    [
        new("adsz", _ => Task.FromResult<JsonNode>(Clients(engine))),
        new("edsz", http => Task.FromResult<JsonNode>(Assignments(Asked(engine, http)))),
        new("ndsz", http => Task.FromResult<JsonNode>(Names(Asked(engine, http)))),
        new("sidecarz", async http =>
        {
            var feed = Asked(engine, http);
            return await engine.AskAsync(writer => Scope(writer.Mesh, feed), http.RequestAborted);
        }),
        new("endpointz", http => engine.AskAsync<JsonNode>(writer => Endpoints(writer.Mesh), http.RequestAborted)),
        new("config_distribution", http => DistributionAsync(engine, config, http)),
    ];

    /// <summary>The proxy that the query names.</summary>
    internal static ProxyFeed Asked(PushEngine engine, HttpContext http) => http.Request.Query["proxyID"].ToString() is { Length: > 0 } id
        ? engine.Proxies.FirstOrDefault(feed => feed.Proxy.Id == id) ?? throw new DebugPageException(StatusCodes.Status404NotFound, ConfigDumpPage.NotConnected)
        : throw new DebugPageException(StatusCodes.Status400BadRequest, ConfigDumpPage.NoProxy);

    /// <summary>The connected proxies, and how many resources of each type they hold.</summary>
    private static JsonObject Clients(PushEngine engine)
    {
        var proxies = engine.Proxies;
        return new()
        {
            ["totalClients"] = proxies.Count,
            ["clients"] = new JsonArray([.. proxies.Select(feed => (JsonNode)new JsonObject
            {
                ["connectionId"] = feed.Proxy.Id, ["connectedAt"] = feed.Since.UtcDateTime.ToString("O", CultureInfo.InvariantCulture),
                ["address"] = feed.Proxy.Addresses[0].ToString(),
                ["labels"] = new JsonObject(feed.Proxy.Labels.OrderBy(label => label.Key, StringComparer.Ordinal)
                    .Select(label => KeyValuePair.Create(label.Key, (JsonNode?)JsonValue.Create(label.Value)))),
                ["metadata"] = new JsonObject
                {
                    ["CLUSTER_ID"] = feed.Proxy.Cluster, ["NAMESPACE"] = feed.Proxy.Namespace, ["NETWORK"] = feed.Proxy.Network,
                    ["ISTIO_VERSION"] = feed.Proxy.Version
                },
                ["locality"] = feed.Proxy.Locality.ToString(),
                ["watches"] = new JsonObject(feed.Status.Types.Where(type => type.Sent.Length > 0)
                    .Select(type => KeyValuePair.Create(type.TypeUrl,
                        (JsonNode?)new JsonArray([.. HeldBy(feed, type.TypeUrl).Select(name => (JsonNode)JsonValue.Create(name)!)])))),
            })]),
        };
    }

    /// <summary>The names of the resources that a proxy is offered. Keys of certificates are not among them.</summary>
    private static IEnumerable<string> HeldBy(ProxyFeed feed, string typeUrl) =>
        feed.Snapshot?.Types.GetValueOrDefault(typeUrl)?.All.Select(resource => resource.Name).Order(StringComparer.Ordinal) ?? Enumerable.Empty<string>();

    private static JsonArray Assignments(ProxyFeed feed) => new([.. (feed.Snapshot?.Types.GetValueOrDefault(TypeUrls.Endpoints)?.All ?? [])
        .OrderBy(resource => resource.Name, StringComparer.Ordinal).Select(resource => Show(ClusterLoadAssignment.Parser.ParseFrom(resource.Body.Value)))]);

    private static JsonNode Names(ProxyFeed feed)
    {
        if (!feed.Proxy.DnsCapture) throw new DebugPageException(StatusCodes.Status400BadRequest, "DNS capture is not enabled in the proxy");
        return feed.Snapshot?.Types.GetValueOrDefault(TypeUrls.NameTable)?.All.FirstOrDefault() is { } table
            ? Show(NameTable.Parser.ParseFrom(table.Body.Value))
            : new JsonObject();
    }

    private static JsonNode Show(IMessage message) => ShownMessages.Show(message);

    /// <summary>The Sidecar resource that applies, and the hosts that the proxy knows because of it.</summary>
    private static JsonNode Scope(MeshGraph mesh, ProxyFeed feed)
    {
        var sidecar = ScopeResolver.SidecarOf(feed.Proxy, new(mesh.View()));
        var hosts = HeldBy(feed, TypeUrls.Cluster).Select(name => name.Split('|')).Where(parts => parts is ["outbound", _, _, _]).Select(parts => parts[3])
            .Distinct().Order(StringComparer.Ordinal);
        return new JsonObject
        {
            ["name"] = sidecar?.Name ?? "default-sidecar", ["namespace"] = sidecar?.Namespace ?? feed.Proxy.Namespace, ["default"] = sidecar is null,
            ["egress"] = new JsonArray([.. (sidecar?.Egress ?? []).SelectMany(egress => egress.Hosts)
                .Select(host => (JsonNode)JsonValue.Create(host.ToString())!)]),
            ["services"] = new JsonArray([.. hosts.Select(host => (JsonNode)JsonValue.Create(host)!)]),
        };
    }

    /// <summary>The endpoints of each port of each service, in all clusters.</summary>
    private static JsonArray Endpoints(MeshGraph mesh)
    {
        var all = new JsonArray();
        foreach (var (host, service) in mesh.Services.Items.OrderBy(item => item.Key, StringComparer.Ordinal))
        {
            var endpoints = mesh.Endpoints.Items.GetValueOrDefault(host)?.Endpoints ?? [];
            foreach (var port in service.Ports)
            {
                var open = endpoints.SelectMany(endpoint => endpoint.Ports
                    .Where(own => own.Service == port.Number && own.IsUdp == (port.Protocol == Protocol.Udp))
                    .Select(own => EndpointOf(endpoint, own, port)));
                all.Add((JsonNode)new JsonObject { ["svc"] = $"{host}:{port.Name}", ["ep"] = new JsonArray([.. open]) });
            }
        }
        return all;
    }

    private static JsonNode EndpointOf(MeshEndpoint endpoint, EndpointPort open, ServicePort port) => new JsonObject
    {
        ["Address"] = endpoint.Address.ToString(), ["EndpointPort"] = open.Target, ["ServicePortName"] = port.Name, ["Network"] = endpoint.Network,
        ["ClusterID"] = endpoint.Cluster, ["Locality"] = endpoint.Locality.ToString(), ["ServiceAccount"] = endpoint.ServiceAccount,
        ["WorkloadName"] = endpoint.Workload.Name, ["Namespace"] = endpoint.Workload.Namespace, ["HealthStatus"] = endpoint.Health.ToString(),
        ["LbWeight"] = endpoint.Weight,
    };

    /// <summary>
    /// Which generation of an object each proxy has accepted, as <c>istioctl experimental wait</c> asks: <c>?resource=GROUP/VERSION/KIND/NAMESPACE/NAME</c>. A
    /// proxy that has not accepted all that follows from the present object has none.
    /// </summary>
    private static async Task<JsonNode> DistributionAsync(PushEngine engine, ClusterWatch config, HttpContext http)
    {
        var (asked, ns) = (http.Request.Query["resource"].ToString(), http.Request.Query["proxy_namespace"].ToString());
        if (asked.Length == 0) throw new DebugPageException(StatusCodes.Status422UnprocessableEntity, "querystring parameter 'resource' is required");
        if (asked.Split('/') is not [var group, _, var kindName, var space, var name]
            || config.Watched.FirstOrDefault(known => known.Group == group && known.Kind == kindName) is not { } kind)
            throw new DebugPageException(StatusCodes.Status404NotFound,
                $"resource '{asked}' is not watched: name one as GROUP/VERSION/KIND/NAMESPACE/NAME, for example "
                    + $"networking.istio.io/v1beta1/VirtualService/shop/orders");
        JsonObject found;
        try
        {
            found = await config.Client.GetAsync<JsonObject>(kind, space, name, http.RequestAborted);
        }
        catch (Exception e) when (e is KubeException or HttpRequestException)
        {
            throw new DebugPageException(StatusCodes.Status404NotFound, $"resource '{asked}' cannot be read: {e.Message}");
        }
        var (meta, generation) = (found["metadata"], found["metadata"]?["generation"]?.ToString() ?? "");
        var isPublished = DistributionPage.IsObserved(config, kind, meta?["resourceVersion"]?.ToString() ?? "")
            && await engine.IsPublishedAsync(http.RequestAborted);
        return new JsonArray([.. engine.Proxies.Where(feed => ns.Length == 0 || feed.Proxy.Namespace == ns)
            .OrderBy(feed => feed.Proxy.Id, StringComparer.Ordinal).Select(feed => (JsonNode)Acked(feed, isPublished ? generation : ""))]);
    }

    private static JsonObject Acked(ProxyFeed feed, string generation)
    {
        var line = new JsonObject { ["proxy"] = feed.Proxy.Id };
        if (generation.Length == 0) return line;
        var types = feed.Status.Types.ToDictionary(type => type.TypeUrl, StringComparer.Ordinal);
        foreach (var (key, url) in (ReadOnlySpan<(string, string)>)[("cluster_acked", TypeUrls.Cluster), ("listener_acked", TypeUrls.Listener),
            ("route_acked", TypeUrls.Route), ("endpoint_acked", TypeUrls.Endpoints)])
            if (feed.Sync == SyncState.Synced
                || (types.TryGetValue(url, out var type) && type.Error.Length == 0 && type.Sent.Length > 0 && type.Sent == type.Acked
                    && feed.Sync != SyncState.Stale))
                line[key] = generation;
        return line;
    }
}

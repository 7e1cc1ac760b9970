using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;

namespace Isthmus.Tests.IstioMesh;

/// <summary>What an istiod answers on its debug port, in small. It has none of the pages that only Isthmus has.</summary>
internal sealed class IstiodPages
{
    /// <summary>Pages about one proxy.</summary>
    private static readonly HashSet<string> OfProxies = new(StringComparer.Ordinal)
    {
        "/debug/config_dump", "/debug/ecdsz", "/debug/edsz", "/debug/ndsz", "/debug/sidecarz"
    };

    private readonly Dictionary<string, (int Status, string Body)> _pages;

    /// <param name="cluster">Its cluster.</param>
    /// <param name="watched">The other clusters that it watches.</param>
    internal IstiodPages(IstioRelease release, string cluster, IEnumerable<string> watched, string webAddress)
    {
        _pages = new(StringComparer.Ordinal)
        {
            ["/debug/list"] = (200, new JsonArray([.. release.Pages.Select(page => (JsonNode)JsonValue.Create(page)!)]).ToJsonString()),
            ["/debug/syncz"] = (200, Proxies.Replace("$VERSION", release.Version, StringComparison.Ordinal)
                .Replace("$CLUSTER", cluster, StringComparison.Ordinal)),
            ["/debug/clusterz"] = (200, new JsonArray([.. watched.Select(other => (JsonNode)new JsonObject
            {
                ["id"] = other, ["secretName"] = $"istio-system/istio-remote-secret-{other}", ["syncStatus"] = "synced"
            }).Prepend(new JsonObject { ["id"] = cluster, ["secretName"] = "", ["syncStatus"] = "synced" })]).ToJsonString()),
            ["/debug/adsz"] = (200, Clients), ["/debug/connections"] = (200, Clients),
            ["/debug/endpointShardz"] = (200, Shards(cluster, webAddress)), ["/debug/endpointz"] = (200, Shards(cluster, webAddress)),
            ["/debug/mesh"] = (200, """{"trustDomain":"cluster.local","rootNamespace":"istio-system","enableAutoMtls":true,"accessLogFile":"/dev/stdout"}"""),
            ["/debug/networkz"] = (200, "null"),
            ["/version"] = (200, $"{release.Version}-1a2b3c4d-Clean"), ["/ready"] = (200, ""),
        };
        foreach (var page in (string[])["ambientz", "authorizationz", "ecdsz", "inject", "instancesz", "push_status", "pushcontext", "telemetryz"])
            _pages.TryAdd($"/debug/{page}", (200, "{}"));
        foreach (var page in (string[])["cachez", "configz", "mcsz", "registryz", "resourcesz"]) _pages.TryAdd($"/debug/{page}", (200, "[]"));
        // As recorded: the page of its own state fails where the mesh has no networks.
        if (release.Pages.Contains("krtz"))
            _pages["/debug/krtz"] = (500, "json: error calling MarshalJSON for type *krt.DebugHandler: Marshal called with nil");
    }

    /// <summary>Whether it has debug pages (<c>ENABLE_DEBUG_ON_HTTP</c>).</summary>
    internal bool HasDebug { get; set; } = true;

    /// <summary>Whether it closes connections without an answer.</summary>
    internal bool IsSilent { get; set; }

    /// <summary>Whether it takes requests and never answers.</summary>
    internal bool IsHanging { get; set; }

    /// <summary>A page that fails.</summary>
    internal string Broken { get; set; } = "";

    /// <summary>The targets of all requests so far.</summary>
    internal ConcurrentQueue<string> Asked { get; } = new();

    private static string Proxies => """
        [{"cluster_id":"$CLUSTER","proxy":"web-5d9-w1.shop","proxy_type":"sidecar","istio_version":"$VERSION","cluster_sent":"n1","cluster_acked":"n1",
          "listener_sent":"n2","listener_acked":"n2","route_sent":"n3","route_acked":"n3","endpoint_sent":"n4","endpoint_acked":"n4",
          "resources":{"type.googleapis.com/envoy.config.cluster.v3.Cluster":{"sent":"n1","acked":"n1","sentTime":"2026-11-27T10:00:00Z"}}},
         {"cluster_id":"$CLUSTER","proxy":"sleep-8b4-s1.shop","proxy_type":"sidecar","istio_version":"$VERSION","cluster_sent":"n1","cluster_acked":"n1",
          "listener_sent":"n5","listener_acked":"n2","route_sent":"n3","route_acked":"n3","endpoint_sent":"n4","endpoint_acked":"n4",
          "resources":{"type.googleapis.com/envoy.config.cluster.v3.Cluster":{"sent":"n1","acked":"n1","sentTime":"2026-11-27T10:00:00Z"},
           "type.googleapis.com/envoy.config.listener.v3.Listener":{"sent":"n5","acked":"n2","sentTime":"2026-11-27T10:00:00Z"}}},
         {"cluster_id":"$CLUSTER","proxy":"istio-ingressgateway-6f5-g1.istio-system","proxy_type":"router","istio_version":"$VERSION","cluster_sent":"n1",
          "cluster_acked":"n1","listener_sent":"n7","listener_acked":"n6","endpoint_sent":"n4","endpoint_acked":"n4",
          "resources":{"type.googleapis.com/envoy.config.cluster.v3.Cluster":{"sent":"n1","acked":"n1","sentTime":"2026-11-27T10:00:00Z"},
           "type.googleapis.com/envoy.config.listener.v3.Listener":{"sent":"n7","acked":"n6","sentTime":"2026-11-27T10:00:00Z",
            "lastError":"Error adding/updating listener(s) 0.0.0.0_8080: no such filter"}}}]
        """;

    private const string Clients =
        """{"totalClients":3,"clients":[{"connectionId":"web-5d9-w1.shop-1","connectedAt":"2026-11-27T10:00:00Z","address":"10.1.0.3:4000"}]}""";

    private static string Shards(string cluster, string web) => $$$"""
        {"web.shop.svc.cluster.local":{"shop":{"Shards":{"Kubernetes/{{{cluster}}}":[{"Labels":{"app":"web"},"Addresses":["{{{web}}}"],"ServicePortName":"http",
              "EndpointPort":8080,"TLSMode":"istio","Namespace":"shop","WorkloadName":"web","HealthStatus":1,"NodeName":"node"}]},"ServiceAccounts":{} } } }
        """;

    internal async Task ServeAsync(Socket socket, CancellationToken stop)
    {
        await using var stream = new NetworkStream(socket);
        using var reader = new StreamReader(stream, Encoding.ASCII, false, 4096, leaveOpen: true);
        while (await reader.ReadLineAsync(stop) is { Length: > 0 } request)
        {
            if (IsSilent) return;
            if (IsHanging) await Task.Delay(Timeout.Infinite, stop);
            var isLast = false;
            while (await reader.ReadLineAsync(stop) is { Length: > 0 } header) isLast |= header.Equals("connection: close", StringComparison.OrdinalIgnoreCase);
            Asked.Enqueue(request.Split(' ')[1]);
            var (status, body) = Answer(request.Split(' ')[1]);
            await stream.WriteAsync(
                Encoding.UTF8.GetBytes($"HTTP/1.1 {status} Answer\r\ncontent-type: application/json\r\ncontent-length: "
                    + $"{Encoding.UTF8.GetByteCount(body)}\r\n\r\n{body}"),
                stop);
            if (isLast) return;
        }
    }

    private (int Status, string Body) Answer(string target)
    {
        var path = target.Split('?')[0];
        if (path == Broken) return (500, "it cannot be made\n");
        if (!HasDebug && path.StartsWith("/debug/", StringComparison.Ordinal)) return (404, "404 page not found\n");
        if (OfProxies.Contains(path))
            return target.Contains("proxyID=", StringComparison.Ordinal)
                ? (404, "Proxy not connected to this Pilot instance. It may be connected to another instance.\n")
                : (400, "You must provide a proxyID in the query string\n");
        return _pages.TryGetValue(path, out var page) ? page : (404, "404 page not found\n");
    }
}

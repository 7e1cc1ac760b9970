using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Text;

namespace Isthmus.Tests.IstioMesh;

/// <summary>What an istiod 1.31 answers on its debug port, in small. It has none of the pages that only Isthmus has.</summary>
internal static class IstiodPages
{
    private const string Proxies = """
        [{"cluster_id":"cluster1","proxy":"web-5d9-w1.shop","proxy_type":"sidecar","proxy_version":"1.31.0","istio_version":"1.31.0","cluster_sent":"n1","cluster_acked":"n1","listener_sent":"n2","listener_acked":"n2","route_sent":"n3","route_acked":"n3","endpoint_sent":"n4","endpoint_acked":"n4"},
         {"cluster_id":"cluster1","proxy":"sleep-8b4-s1.shop","proxy_type":"sidecar","proxy_version":"1.31.0","istio_version":"1.31.0","cluster_sent":"n1","cluster_acked":"n1","listener_sent":"n5","listener_acked":"n2","route_sent":"n3","route_acked":"n3","endpoint_sent":"n4","endpoint_acked":"n4"},
         {"cluster_id":"cluster1","proxy":"istio-ingressgateway-6f5-g1.istio-system","proxy_type":"router","proxy_version":"1.31.0","istio_version":"1.31.0","cluster_sent":"n1","cluster_acked":"n1","listener_sent":"n2","listener_acked":"n2","endpoint_sent":"n4","endpoint_acked":"n4"}]
        """;

    private static readonly Dictionary<string, string> Pages = new(StringComparer.Ordinal)
    {
        ["/debug/list"] =
            """["adsz","adsz?push=true","cachez","cachez?clear=true","clusterz","config_distribution","config_dump","configz","connections","ecdsz","edsz","force_disconnect","endpointShardz","endpointz","inject","instancesz","mesh","networkz","push_status","pushcontext","registryz","resourcesz","sidecarz","syncz","telemetryz"]""",
        ["/debug/syncz"] = Proxies,
        ["/debug/clusterz"] = """[{"id":"cluster1","secretName":"","syncStatus":"synced"}]""",
        ["/debug/adsz"] =
            """{"totalClients":3,"clients":[{"connectionId":"web-5d9-w1.shop-1","connectedAt":"2026-11-27T10:00:00Z","address":"10.1.0.3:4000"}]}""",
        ["/debug/connections"] =
            """{"totalClients":3,"clients":[{"connectionId":"web-5d9-w1.shop-1","connectedAt":"2026-11-27T10:00:00Z","address":"10.1.0.3:4000"}]}""",
        ["/debug/configz"] = "[]", ["/debug/registryz"] = "[]", ["/debug/endpointz"] = "{}", ["/debug/endpointShardz"] = "{}", ["/debug/instancesz"] = "{}",
        ["/debug/networkz"] = "[]", ["/debug/resourcesz"] = "{}",
        ["/debug/cachez"] = "[]", ["/debug/inject"] = "{}", ["/debug/push_status"] = "{}", ["/debug/pushcontext"] = "{}",
        ["/debug/telemetryz"] = "{}", ["/debug/mcsz"] = "[]",
        ["/debug/mesh"] = """{"trustDomain":"cluster.local","rootNamespace":"istio-system","enableAutoMtls":true,"accessLogFile":"/dev/stdout"}""",
        ["/version"] = "1.31.0-1a2b3c4d-Clean",
        ["/ready"] = "",
    };

    /// <summary>Pages about one proxy, which the query has to name.</summary>
    private static readonly string[] OfOneProxy = ["/debug/config_dump", "/debug/ecdsz", "/debug/edsz", "/debug/ndsz", "/debug/sidecarz"];

    /// <summary>The targets of all requests so far.</summary>
    internal static ConcurrentQueue<string> Asked { get; } = new();

    /// <param name="hasDebug">Whether it has debug pages (<c>ENABLE_DEBUG_ON_HTTP</c>).</param>
    internal static async Task ServeAsync(Socket socket, Func<bool> hasDebug, CancellationToken stop)
    {
        await using var stream = new NetworkStream(socket);
        using var reader = new StreamReader(stream, Encoding.ASCII, false, 4096, leaveOpen: true);
        while (await reader.ReadLineAsync(stop) is { Length: > 0 } request)
        {
            var isLast = false;
            while (await reader.ReadLineAsync(stop) is { Length: > 0 } header) isLast |= header.Equals("connection: close", StringComparison.OrdinalIgnoreCase);
            Asked.Enqueue(request.Split(' ')[1]);
            var (status, body) = Answer(request.Split(' ')[1], hasDebug());
            await stream.WriteAsync(
                Encoding.UTF8.GetBytes(
                    $"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {Encoding.UTF8.GetByteCount(body)}\r\n\r\n{body}"), stop);
            if (isLast) return;
        }
    }

    private static (string Status, string Body) Answer(string target, bool hasDebug)
    {
        var path = target.Split('?')[0];
        if (!hasDebug && path.StartsWith("/debug/", StringComparison.Ordinal)) return ("404 Not Found", "404 page not found\n");
        if (OfOneProxy.Contains(path) && !target.Contains("proxyID=", StringComparison.Ordinal))
            return ("400 Bad Request", "You must provide a proxyID in the query string");
        return Pages.TryGetValue(path, out var body) ? ("200 OK", body) : ("404 Not Found", "404 page not found\n");
    }
}

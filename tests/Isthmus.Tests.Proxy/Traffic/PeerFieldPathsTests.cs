using System.Net;
using Isthmus.Proxy.Telemetry;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Proxy.Traffic;

/// <summary>Every kind of answer on every way: what proxies tell each other of their workloads reaches neither the application nor the client.</summary>
public sealed class PeerFieldPathsTests
{
    private const string Field = "x-envoy-peer-metadata", ToUp = """ "route": {"cluster": "up", "timeout": "0s"} """;

    private const string Exchange = """
        {"name": "istio.metadata_exchange", "typed_config": {"@type": "type.googleapis.com/udpa.type.v1.TypedStruct", "type_url": "type.googleapis.com/io.istio.http.peer_metadata.Config"} },
        """;

    private const string Guard = """
        {"name": "envoy.filters.http.rbac", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC", "rules": {"action": "DENY", "policies": {"no": {
          "permissions": [{"url_path": {"path": {"prefix": "/denied"} } }], "principals": [{"any": true}]} } } } },
        """;

    private static readonly ProxyIdentity Caller = Identity("caller"), Callee = Identity("callee");

    /// <summary>Paths, and what their server answers. Two of them do not reach it.</summary>
    private static readonly Dictionary<string, (string Sent, string Status)> Kinds = new()
    {
        ["/ok"] = ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", "200"),
        ["/none"] = ("HTTP/1.1 204 No Content\r\n\r\n", "204"),
        ["/error"] = ("HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n", "500"),
        ["/trailers"] = ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: grpc-status\r\n\r\n1\r\nx\r\n0\r\ngrpc-status: 5\r\n\r\n", "200"),
        ["/grpc"] = ("HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 5\r\ncontent-length: 0\r\n\r\n", "200"),
        ["/hints"] = ("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "200"),
        ["/switch"] = ("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", "101"),
        ["/switch/no"] = ("HTTP/1.1 426 Upgrade Required\r\ncontent-length: 0\r\n\r\n", "426"),
        ["/odd"] = ("nonsense\r\n\r\n", "502"),
        ["/denied"] = ("", "403"),
        ["/broken"] = ("", "503"),
    };

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public static TheoryData<string, string, bool> Ways()
    {
        var ways = new TheoryData<string, string, bool>();
        foreach (var kind in Kinds.Keys)
            foreach (var role in (string[])["sidecar", "router"])
                foreach (var isHttp2 in (bool[])[false, true])
                    ways.Add(kind, role, isHttp2);
        return ways;
    }

    /// <param name="kind">The path.</param>
    /// <param name="role">What the client's proxy is.</param>
    /// <param name="isHttp2">What the client and the proxies speak; servers of this test speak HTTP/1.1.</param>
    [Theory]
    [MemberData(nameof(Ways))]
    public async Task Neither_end_sees_what_proxies_tell_each_other(string kind, string role, bool isHttp2)
    {
        using var server = new ByteServer(async proxy =>
        {
            while (await proxy.HearAsync("\r\n\r\n"))
            {
                if (Kinds[kind].Sent.Length == 0) return;
                await proxy.SayAsync(Kinds[kind].Sent);
                if (Kinds[kind].Status == "101") return;
            }
        });
        using var back = new LoopbackProxy([LoopbackProxy.Cluster("up")], ToUp, Exchange + Guard, role: "sidecar", direction: "INBOUND", identity: Callee);
        back.Endpoints("up", server.Port);
        // An upgrade is HTTP/1.1 on its whole way.
        var isSwitch = kind.StartsWith("/switch", StringComparison.Ordinal);
        using var front = new LoopbackProxy([LoopbackProxy.Cluster("up", http2: isHttp2 && !isSwitch)], ToUp, Exchange, role: role, identity: Caller);
        front.Endpoints("up", back.Port);

        // The proxy of the server does answer who asks.
        var told = await back.RawAsync($"GET {kind} HTTP/1.1\r\nhost: x\r\n{Field}-id: n\r\n{Upgrade(kind)}");
        Assert.Contains($"\r\n{Field}: {Callee.PeerMetadata}\r\n", told);
        Assert.StartsWith($"HTTP/1.1 {Kinds[kind].Status} ", told);

        var (status, fields) = isHttp2 && !isSwitch
            ? await AskAsync(front.Port, kind)
            : Split(await front.RawAsync($"GET {kind} HTTP/1.1\r\nhost: x\r\n{Upgrade(kind)}"));
        Assert.Equal(Kinds[kind].Status, status);
        Assert.DoesNotContain(Field, fields, StringComparison.OrdinalIgnoreCase);
        if (kind == "/denied") Assert.Empty(server.Heard);
        else Assert.NotEmpty(server.Heard);
        Assert.All(server.Heard, heard => Assert.DoesNotContain(Field, heard, StringComparison.OrdinalIgnoreCase));
    }

    /// <summary>As in Envoy, the edits of a route come after what filters do to its requests.</summary>
    [Fact]
    public async Task A_route_can_keep_what_proxies_tell_each_other_from_its_hosts()
    {
        using var server = new ByteServer(async proxy =>
        {
            while (await proxy.HearAsync("\r\n\r\n")) await proxy.SayAsync(Kinds["/none"].Sent);
        });
        using var front = new LoopbackProxy([LoopbackProxy.Cluster("up")], $"""{ToUp}, "request_headers_to_remove": ["{Field}"]""", Exchange, role: "sidecar",
            identity: Caller);
        front.Endpoints("up", server.Port);
        await front.RawAsync("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        var heard = Assert.Single(server.Heard);
        Assert.DoesNotContain($"{Field}: ", heard, StringComparison.Ordinal);
        Assert.Contains($"{Field}-id: {Caller.NodeId}\r\n", heard, StringComparison.Ordinal);
    }

    private static string Upgrade(string kind) =>
        kind.StartsWith("/switch", StringComparison.Ordinal) ? "connection: upgrade\r\nupgrade: websocket\r\n\r\n" : "connection: close\r\n\r\n";

    private static async Task<(string Status, string Fields)> AskAsync(int port, string path)
    {
        using var client = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Get,
            $"http://127.0.0.1:{port}{path}") { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        using var answer = await client.SendAsync(request, Stop);
        return (((int)answer.StatusCode).ToString(System.Globalization.CultureInfo.InvariantCulture), $"{answer.Headers}{answer.TrailingHeaders}");
    }

    private static (string Status, string Fields) Split(string answer) => (answer.Split(' ')[1], answer);

    private static ProxyIdentity Identity(string name)
    {
        var silent = new ProxyIdentity($"sidecar~10.0.0.1~{name}-1.shop~shop.svc.cluster.local", name, "shop", name, "v1", name, "v1", "c1", name, "");
        return silent with { PeerMetadata = PeerMetadataText.Write(silent) };
    }
}

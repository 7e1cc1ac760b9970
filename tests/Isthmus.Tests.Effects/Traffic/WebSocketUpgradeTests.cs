using System.Net.WebSockets;
using System.Security.Cryptography;
using System.Text;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Mesh.Model;
using Isthmus.Proxy.Snapshot;
using Isthmus.Rigs.Mesh;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.NetworkFilters;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Effects.Traffic;

/// <summary>WebSockets between two sidecars that speak HTTP/2 to each other because of <c>h2UpgradePolicy</c>.</summary>
public sealed class WebSocketUpgradeTests
{
    private const string Pod = "10.244.1.1";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("UPGRADE", "HTTP/2")]
    [InlineData("DO_NOT_UPGRADE", "HTTP/1.1")]
    public async Task A_WebSocket_reaches_the_application_whatever_the_proxies_speak(string policy, string version)
    {
        await using var web = await OriginServer.StartAsync(HttpProtocols.Http1, EchoAsync);
        using var port = new ReservedPort();
        using var callee = Callee(web.Port, port);
        using var caller = new SidecarProxy($$"""
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: web, namespace: shop}
            spec: {host: web.example, trafficPolicy: {connectionPool: {http: {h2UpgradePolicy: {{policy}} } } } }
            """, [(port.Number, "")]);
        using var client = new ClientWebSocket();
        client.Options.SetRequestHeader("Host", "web.example");
        await client.ConnectAsync(new($"ws://127.0.0.1:{caller.Port}/chat"), Stop);
        Assert.Equal($"GET /chat", await SaidAsync(client));
        await client.SendAsync("hello"u8.ToArray(), WebSocketMessageType.Text, true, Stop);
        Assert.Equal("hello", await SaidAsync(client));
        await client.CloseAsync(WebSocketCloseStatus.NormalClosure, "", Stop);
        Assert.Equal(WebSocketState.Closed, client.State);
        // The record of the callee's proxy.
        Assert.Equal($"{version} 101", (await callee.LoggedAsync()).TrimEnd());
    }

    /// <summary>As in Istio.</summary>
    [Theory]
    [InlineData(false, true)]
    [InlineData(true, false)]
    public void Only_listeners_of_Isthmus_take_upgrades_over_HTTP_2(bool isEnvoy, bool allows) =>
        Assert.Equal(allows, Manager(Listener(8080, ProxySoftware.Unknown with { IsEnvoy = isEnvoy }, out _).FilterChains[0]).Http2ProtocolOptions
            ?.AllowConnect == true);

    /// <summary>Tells how it was asked, and sends back what it gets.</summary>
    private static async Task EchoAsync(HttpContext context)
    {
        var key = context.Request.Headers.SecWebSocketKey.ToString();
        context.Response.Headers.Upgrade = "websocket";
        context.Response.Headers.SecWebSocketAccept =
            Convert.ToBase64String(SHA1.HashData(Encoding.ASCII.GetBytes(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")));
        await using var stream = await context.Features.GetRequiredFeature<IHttpUpgradeFeature>().UpgradeAsync();
        using var socket = WebSocket.CreateFromStream(stream, isServer: true, null, TimeSpan.Zero);
        await socket.SendAsync(Encoding.ASCII.GetBytes($"{context.Request.Method} {context.Request.Path}"), WebSocketMessageType.Text, true, Stop);
        var buffer = new byte[100];
        while (await socket.ReceiveAsync(buffer, Stop) is { MessageType: not WebSocketMessageType.Close } got)
            await socket.SendAsync(buffer.AsMemory(0, got.Count), got.MessageType, got.EndOfMessage, Stop);
        await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, "", Stop);
    }

    private static async Task<string> SaidAsync(ClientWebSocket client)
    {
        var buffer = new byte[100];
        var got = await client.ReceiveAsync(buffer, Stop);
        return Encoding.ASCII.GetString(buffer, 0, got.Count);
    }

    /// <summary>The proxy of the workload, with the chain for plain text of the application's port.</summary>
    private static LoopbackProxy Callee(int application, ReservedPort port)
    {
        var listener = Listener(application, ProxySoftware.Unknown, out var clusters);
        listener.Address = new() { SocketAddress = new() { Address = "127.0.0.1", PortValue = (uint)port.Number } };
        listener.BindToPort = null;
        var proxy = new LoopbackProxy([], """ "direct_response": {"status": 404} """, direction: "INBOUND");
        Assert.Empty(proxy.Plane.State.Apply(new(TypeUrls.Cluster, clusters, [], "1")));
        Assert.Empty(proxy.Plane.State.Apply(new(TypeUrls.Listener,
            [new(listener.Name, "1", new Any { TypeUrl = TypeUrls.Listener, Value = listener.ToByteString() })], [], "1")));
        Assert.Empty(proxy.Plane.ListenerFailures);
        return proxy;
    }

    private static Wire.Envoy.Listeners.Listener Listener(int application, ProxySoftware software, out NamedResource[] clusters)
    {
        var rig = new MeshRig("c1") { Software = software };
        rig.Settings("""
            {inboundTrafficPolicy: {mode: LOCALHOST}, accessLogFile: /log, accessLogFormat: "%PROTOCOL% %RESPONSE_CODE%\n"}
            """);
        rig.Service("c1", "web", "10.96.1.1", target: application);
        rig.Pod("c1", "web", "web-1", Pod);
        var feed = rig.Sidecar("c1", "web-1", Pod);
        rig.Push();
        clusters = [.. feed.Snapshot!.Types[TypeUrls.Cluster].All.Where(item => item.Name.StartsWith("inbound|", StringComparison.Ordinal))
            .Select(item => new NamedResource(item.Name, item.Version, item.Body))];
        var listener = MeshRig.Listener(feed, "virtualInbound")!;
        var plain = listener.FilterChains.First(chain =>
            chain.FilterChainMatch is { TransportProtocol: "raw_buffer", DestinationPort: { } own } && own == application);
        plain.FilterChainMatch = null;
        listener.FilterChains.Clear();
        listener.FilterChains.Add(plain);
        listener.DefaultFilterChain = null;
        return listener;
    }

    private static HttpConnectionManager Manager(Wire.Envoy.Listeners.FilterChain chain) =>
        HttpConnectionManager.Parser.ParseFrom(chain.Filters.Single(filter => filter.Name.EndsWith("http_connection_manager", StringComparison.Ordinal))
            .TypedConfig.Value);
}

using System.Net.WebSockets;
using System.Security.Cryptography;
using System.Text;
using Isthmus.Lab.ApiServer.Errors;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Isthmus.Lab.ApiServer.Streaming;

/// <summary>Upgrades a request to the protocol that its client asks for.</summary>
internal static class Upgrades
{
    private const string WebSocketKey = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

    internal static bool IsWebSocket(HttpRequest request) => request.Headers.Upgrade.ToString().Equals("websocket", StringComparison.OrdinalIgnoreCase);

    internal static bool IsSpdy(HttpRequest request) => request.Headers.Upgrade.ToString().Equals("SPDY/3.1", StringComparison.OrdinalIgnoreCase);

    /// <summary>The first of the supported protocols that the client offers; null if it offers none of them.</summary>
    internal static string? Choose(HttpRequest request, string header, ReadOnlySpan<string> ours)
    {
        var offered = request.Headers[header]
            .SelectMany(line => (line ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
            .ToHashSet(StringComparer.Ordinal);
        foreach (var one in ours)
        {
            if (offered.Contains(one)) return one;
        }
        return null;
    }

    /// <param name="protocol">The protocol that is confirmed to the client. Empty if it offered none.</param>
    internal static async Task<WebSocket> ToWebSocketAsync(HttpContext http, string protocol)
    {
        var key = http.Request.Headers.SecWebSocketKey.ToString();
        if (http.Request.Headers.SecWebSocketVersion != "13" || key.Length is 0 or > 100)
            throw ApiException.BadRequest("the WebSocket handshake must be version 13 with a Sec-WebSocket-Key");
        var upgrade = Upgradable(http);
        http.Response.Headers.Upgrade = "websocket";
        http.Response.Headers.SecWebSocketAccept = Accept(key);
        if (protocol.Length > 0) http.Response.Headers.SecWebSocketProtocol = protocol;
        // The WebSocket does not get the protocol: the runtime rejects the slash in some of Kubernetes' names.
        return WebSocket.CreateFromStream(await upgrade.UpgradeAsync(), new WebSocketCreationOptions { IsServer = true });
    }

    internal static async Task<Stream> ToSpdyAsync(HttpContext http, string protocol)
    {
        var upgrade = Upgradable(http);
        http.Response.Headers.Upgrade = "SPDY/3.1";
        http.Response.Headers["X-Stream-Protocol-Version"] = protocol;
        return await upgrade.UpgradeAsync();
    }

    private static IHttpUpgradeFeature Upgradable(HttpContext http) =>
        http.Features.Get<IHttpUpgradeFeature>() is { IsUpgradableRequest: true } upgrade ? upgrade : throw ApiException.BadRequest("Upgrade request required");

    // The handshake prescribes SHA-1 (RFC 6455, 4.2.2). Nothing secret depends on it.
#pragma warning disable CA5350
    private static string Accept(string key) => Convert.ToBase64String(SHA1.HashData(Encoding.ASCII.GetBytes(key + WebSocketKey)));
#pragma warning restore CA5350
}

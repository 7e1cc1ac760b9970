using System.Security.Cryptography;
using System.Text;

namespace Isthmus.Proxy.Messages;

/// <summary>
/// The handshake of WebSockets over HTTP/1.1 has a key and a proof that the server has read it (RFC 6455 section 4). Over HTTP/2 there is neither
/// (RFC 8441 section 5.1): where one side lacks what the other needs, the proxy adds it.
/// </summary>
internal static class WebSocketFields
{
    private static ReadOnlySpan<byte> Salt => "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"u8;

    /// <summary>Gives a request of HTTP/2 the key that servers of HTTP/1.1 need.</summary>
    public static void Ask(RequestHead request)
    {
        if (request.Upgrade != "websocket" || request.Version != HttpVersions.Http2 || request.Headers.Contains("sec-websocket-key"u8)) return;
        Span<byte> key = stackalloc byte[16];
        RandomNumberGenerator.Fill(key);
        request.Headers.Add("sec-websocket-key"u8, Convert.ToBase64String(key));
    }

    /// <summary>Whether a server of HTTP/1.1 that agrees has read the key, which a client of HTTP/2 cannot check.</summary>
    public static bool IsProven(RequestHead request, ResponseHead response) =>
        request.Upgrade != "websocket" || response.Status != 101 || response.Version == HttpVersions.Http2
        || (request.Headers.GetString("sec-websocket-key"u8) is { } key && response.Headers.GetString("sec-websocket-accept"u8) == ProofOf(key));

    /// <summary>Gives a response of HTTP/2 the proof that clients of HTTP/1.1 need, and spares others one for a key that they do not know.</summary>
    public static void Accept(RequestHead request, ResponseHead response)
    {
        if (request.Upgrade != "websocket") return;
        if (request.Version == HttpVersions.Http2) response.Headers.Remove("sec-websocket-accept"u8);
        else if (response.Version == HttpVersions.Http2 && !response.Headers.Contains("sec-websocket-accept"u8)
            && request.Headers.GetString("sec-websocket-key"u8) is { } key)
            response.Headers.Add("sec-websocket-accept"u8, ProofOf(key));
    }

#pragma warning disable CA5350 // The protocol says SHA-1; nothing is secret.
    private static string ProofOf(string key) => Convert.ToBase64String(SHA1.HashData([.. Encoding.UTF8.GetBytes(key), .. Salt]));
#pragma warning restore CA5350
}

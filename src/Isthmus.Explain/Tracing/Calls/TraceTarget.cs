using System.Globalization;
using Isthmus.Core.Flags;

namespace Isthmus.Explain.Tracing.Calls;

/// <summary>The target of a call: <c>[SCHEME://]HOST[:PORT][/PATH]</c>.</summary>
/// <param name="Scheme"><c>http</c>, <c>https</c>, <c>grpc</c> or <c>tcp</c>; empty to use the protocol of the service's port.</param>
/// <param name="Port">0 when it was not given.</param>
/// <param name="Path">Empty when it was not given.</param>
public sealed record TraceTarget(string Scheme, string Host, int Port, string Path)
{
    private static readonly string[] Schemes = ["http", "https", "grpc", "tcp", "ws", "wss"];

    /// <summary>The scheme was <c>ws</c> or <c>wss</c>: the request asks to go on as a WebSocket.</summary>
    public bool IsWebSocket { get; private init; }

    /// <summary>The name has a dot at its end, by which resolvers do not complete it. Clients send it as it is written.</summary>
    public bool IsAbsolute { get; private init; }

    /// <summary>The host as requests name it.</summary>
    public string Written => IsAbsolute ? $"{Host}." : Host;

    /// <exception cref="WrongUseException">The text does not have that form.</exception>
    public static TraceTarget Parse(string text)
    {
        var rest = text;
        var scheme = "";
        if (rest.IndexOf("://", StringComparison.Ordinal) is >= 0 and var at)
        {
            (scheme, rest) = (rest[..at].ToLowerInvariant(), rest[(at + 3)..]);
            if (!Schemes.Contains(scheme)) throw Wrong(text, $"scheme '{scheme}' is not supported (expected {string.Join(", ", Schemes)})");
        }
        var slash = rest.IndexOf('/', StringComparison.Ordinal);
        var (authority, path) = slash < 0 ? (rest, "") : (rest[..slash], rest[slash..]);
        var port = 0;
        if (authority.LastIndexOf(':') is >= 0 and var colon)
        {
            if (!int.TryParse(authority[(colon + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out port) || port is < 1 or > 65535)
                throw Wrong(text, $"'{authority[(colon + 1)..]}' is not a port number");
            authority = authority[..colon];
        }
        var isAbsolute = authority.EndsWith('.');
        authority = authority.TrimEnd('.').ToLowerInvariant();
        if (authority.Length is 0 or > 253 || !authority.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_'))
            throw Wrong(text, $"'{authority}' is not a host name or an IPv4 address");
        if (path.Any(c => c is <= ' ' or '\u007f')) throw Wrong(text, "the path has a space or a control character");
        var isWebSocket = scheme is "ws" or "wss";
        return new(!isWebSocket ? scheme : scheme == "ws" ? "http" : "https", authority, port, path) { IsWebSocket = isWebSocket, IsAbsolute = isAbsolute };
    }

    private static WrongUseException Wrong(string text, string why) =>
        new($"target '{text}'", why, "give HOST[:PORT][/PATH], for example orders.shop:8080/health");
}

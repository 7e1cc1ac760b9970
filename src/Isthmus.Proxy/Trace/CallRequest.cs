using System.Globalization;
using System.Net;
using System.Text;
using Isthmus.Proxy.Traffic;

namespace Isthmus.Proxy.Trace;

internal enum CallKind
{
    Http,
    /// <summary>A gRPC call of one empty message.</summary>
    Grpc,
    /// <summary>HTTP inside the application's own TLS.</summary>
    Tls,
    /// <summary>A connection that sends nothing.</summary>
    Tcp,
}

/// <summary>A call that the application could make.</summary>
/// <param name="Id">The mark by which proxies remember it.</param>
internal sealed record CallRequest(IPEndPoint To, string Authority, string Path, string Id, CallKind Kind, TimeSpan Timeout)
{
    /// <summary>The only protocol to which a request can ask to change.</summary>
    public const string WebSocket = "websocket";

    public string Method { get; init; } = "GET";

    /// <summary>It asks to go on as a WebSocket (RFC 6455).</summary>
    public bool IsWebSocket { get; init; }

    /// <summary>Each as <c>name: value</c>.</summary>
    public IReadOnlyList<string> Headers { get; init; } = [];

    public string Body { get; init; } = "";

    /// <summary>Nothing ends a line or a token of a request head, or frames the body in another way.</summary>
    public bool IsWellFormed =>
        ((string[])[Authority, Method, Path, Id]).All(text => text.All(c => c is > ' ' and not '\u007f')) && Path.StartsWith('/') && Method.Length > 0
        && Headers.All(header => header.IndexOf(':', StringComparison.Ordinal) > 0 && header.All(c => c is >= ' ' and not '\u007f')
            && header[..header.IndexOf(':', StringComparison.Ordinal)].All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.')
            && header.Split(':')[0].ToLowerInvariant() is not ("host" or "connection" or "content-length" or "transfer-encoding" or "upgrade" or "te"));

    /// <summary>The request in HTTP/1.1.</summary>
    public byte[] Bytes
    {
        get
        {
            var body = Encoding.UTF8.GetBytes(Body);
            var head = new StringBuilder().Append(CultureInfo.InvariantCulture, $"{Method} {Path} HTTP/1.1\r\nhost: {Authority}\r\n");
            foreach (var (name, value) in Defaults) head.Append(CultureInfo.InvariantCulture, $"{name}: {value}\r\n");
            foreach (var header in Headers) head.Append(header).Append("\r\n");
            if (body.Length > 0) head.Append(CultureInfo.InvariantCulture, $"content-length: {body.Length}\r\n");
            if (IsWebSocket)
            {
                head.Append(CultureInfo.InvariantCulture, $"upgrade: {WebSocket}\r\nsec-websocket-version: 13\r\nsec-websocket-key: {Key}\r\n");
            }
            head.Append(CultureInfo.InvariantCulture,
                $"{Encoding.ASCII.GetString(RecentTraffic.Mark)}: {Id}\r\nconnection: {(IsWebSocket ? "Upgrade" : "close")}\r\n\r\n");
            return [.. Encoding.UTF8.GetBytes(head.ToString()), .. body];
        }
    }

    /// <summary>Sixteen bytes, which only show that the server has read them.</summary>
    private string Key => Convert.ToBase64String(Encoding.UTF8.GetBytes(Id.PadRight(16, '0')[..16]));

    /// <summary>What the caller does not set itself.</summary>
    private IEnumerable<(string Name, string Value)> Defaults
    {
        get
        {
            var all = new List<(string Name, string Value)> { ("user-agent", "isthmus-trace"), ("accept", "*/*") };
            if (Body.Length > 0) all.Add(("content-type", "application/x-www-form-urlencoded"));
            return all.Where(one => !Headers.Any(header => header.StartsWith($"{one.Name}:", StringComparison.OrdinalIgnoreCase)));
        }
    }
}

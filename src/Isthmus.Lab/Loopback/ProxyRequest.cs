using System.Text;

namespace Isthmus.Lab.Loopback;

/// <summary>The request of a client to an HTTP proxy.</summary>
/// <param name="Problem">Why the request cannot be served; null when it can.</param>
/// <param name="ForwardedHead">For an absolute-form request: the head to send to the server.</param>
internal sealed record ProxyRequest(bool IsConnect, string Host, int Port, string ForwardedHead, string? Problem)
{
    private static readonly string[] HopByHop = ["connection", "proxy-connection", "proxy-authorization", "keep-alive", "te", "upgrade"];

    /// <param name="head">Everything up to and including the empty line.</param>
    internal static ProxyRequest Parse(string head)
    {
        var lines = head.Split("\r\n");
        var parts = lines[0].Split(' ');
        if (parts.Length != 3 || !parts[2].StartsWith("HTTP/1.", StringComparison.Ordinal))
            return Refuse($"'{Shorten(lines[0])}' is not an HTTP/1.1 request line");
        if (parts[0] == "CONNECT")
        {
            var colon = parts[1].LastIndexOf(':');
            if (colon < 1 || !int.TryParse(parts[1].AsSpan(colon + 1), out var port) || port is < 1 or > 65535)
                return Refuse($"'{Shorten(parts[1])}' is not HOST:PORT");
            return new(true, parts[1][..colon], port, "", null);
        }
        if (!Uri.TryCreate(parts[1], UriKind.Absolute, out var uri) || uri.Scheme != "http")
        {
            return Refuse($"'{Shorten(parts[1])}' is not an absolute http:// URL, which a proxy needs");
        }
        return new(false, uri.Host, uri.Port, Forward(parts[0], uri, lines), null);
    }

    // One request per connection: the next one could be for another server.
    private static string Forward(string method, Uri uri, string[] lines)
    {
        var head = new StringBuilder($"{method} {uri.PathAndQuery} HTTP/1.1\r\n");
        foreach (var line in lines.Skip(1).TakeWhile(line => line.Length > 0))
        {
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            if (colon > 0 && !HopByHop.Contains(line[..colon].ToLowerInvariant())) head.Append(line).Append("\r\n");
        }
        return head.Append("Connection: close\r\n\r\n").ToString();
    }

    private static ProxyRequest Refuse(string why) => new(false, "", 0, "", why);

    private static string Shorten(string text) => text.Length > 100 ? text[..100] + "…" : text;
}

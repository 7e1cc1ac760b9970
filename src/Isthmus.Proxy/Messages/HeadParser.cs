using System.Buffers.Text;
using System.Text;

namespace Isthmus.Proxy.Messages;

/// <summary>
/// Parses message heads of HTTP/1.x strictly (RFC 9112). It refuses whatever two parsers could read differently (bare CR or LF, folded
/// lines, spaces before colons, two lengths, unknown transfer codings), so that no request can hide in another.
/// </summary>
internal static class HeadParser
{
    /// <summary>The detail of bytes that do not begin a request.</summary>
    public const string NoHttp = "http1.codec_error";

    /// <summary>The length of the head including its empty line, or -1 while it is incomplete.</summary>
    public static int FindEnd(ReadOnlySpan<byte> bytes)
    {
        var at = bytes.IndexOf("\r\n\r\n"u8);
        return at < 0 ? -1 : at + 4;
    }

    /// <summary>Whether the first bytes of an incomplete head can be those of a request: TLS, for example, cannot.</summary>
    public static bool CanBeRequest(ReadOnlySpan<byte> bytes)
    {
        var space = bytes.IndexOf((byte)' ');
        var method = space < 0 ? bytes : bytes[..space];
        // An empty line may come first, and its end may be missing.
        if (bytes is [(byte)'\r']) return true;
        if (method.Length > 64 || !(method.IsEmpty || HeadRules.IsToken(method))) return false;
        var end = bytes.IndexOf((byte)'\n');
        return end < 0 || (end > 0 && bytes[end - 1] == '\r');
    }

    /// <summary>Whether an incomplete head can become that of an answer. A line that ends with LF alone never completes one.</summary>
    public static bool CanBeResponse(ReadOnlySpan<byte> bytes)
    {
        var version = "HTTP/1."u8;
        if (!bytes.StartsWith(version[..Math.Min(bytes.Length, version.Length)])) return false;
        for (int at = 0, end; (end = bytes[at..].IndexOf((byte)'\n')) >= 0; at += end + 1)
            if (at + end == 0 || bytes[at + end - 1] != '\r') return false;
        return true;
    }

    /// <summary>Parses a complete request head (see <see cref="FindEnd"/>).</summary>
    /// <exception cref="HttpMessageException">The head breaks the protocol or a limit.</exception>
    public static void ParseRequest(ReadOnlySpan<byte> head, RequestHead into, HttpLimits limits)
    {
        into.Clear();
        var lineEnd = head.IndexOf("\r\n"u8);
        ParseRequestLine(head[..lineEnd], into);
        ParseFields(head[(lineEnd + 2)..^2], into.Headers, limits);
        TakeHost(into);
        TakeRequestFraming(into);
    }

    /// <summary>Parses a complete response head; <paramref name="method"/> is the request's, because it decides whether a
    /// body follows.</summary>
    /// <exception cref="HttpMessageException">The head breaks the protocol or a limit.</exception>
    public static void ParseResponse(ReadOnlySpan<byte> head, string method, ResponseHead into, HttpLimits limits)
    {
        into.Clear();
        var lineEnd = head.IndexOf("\r\n"u8);
        var line = head[..lineEnd];
        if (line.Length < 12 || !line.StartsWith("HTTP/1."u8) || !char.IsAsciiDigit((char)line[7]) || line[8] != ' ' ||
            (line.Length > 12 && line[12] != ' ') ||
            !Utf8Parser.TryParse(line.Slice(9, 3), out int status, out var used) || used != 3 || status is < 100 or > 999)
            throw new HttpMessageException(502, "http1.invalid_status_line");
        into.Status = status;
        // Later minor versions are read as the last that is known (RFC 9110 section 2.5).
        into.Version = line[7] == '0' ? HttpVersions.Http10 : HttpVersions.Http11;
        ParseFields(head[(lineEnd + 2)..^2], into.Headers, limits);
        TakeResponseFraming(into, method);
    }

    /// <summary>Parses field lines, each ended by CRLF, without the empty line that follows them.</summary>
    public static void ParseFields(ReadOnlySpan<byte> lines, HeaderBlock into, HttpLimits limits)
    {
        while (!lines.IsEmpty)
        {
            var end = lines.IndexOf("\r\n"u8);
            if (end < 0) throw Bad("http1.invalid_characters");
            if (into.Count == limits.Fields) throw new HttpMessageException(431, "http1.too_many_headers");
            var line = lines[..end];
            var colon = line.IndexOf((byte)':');
            if (colon <= 0 || !HeadRules.IsToken(line[..colon])) throw Bad("http1.invalid_header_name");
            var value = line[(colon + 1)..].Trim(" \t"u8);
            if (!HeadRules.IsValue(value)) throw Bad("http1.invalid_characters");
            into.AddRead(line[..colon], value);
            lines = lines[(end + 2)..];
        }
    }

    /// <summary>Whether a comma-separated list contains the token, ignoring case.</summary>
    public static bool HasToken(ReadOnlySpan<byte> list, ReadOnlySpan<byte> lowerToken)
    {
        foreach (var range in list.Split((byte)','))
            if (Ascii.EqualsIgnoreCase(list[range].Trim(" \t"u8), lowerToken)) return true;
        return false;
    }

    private static void ParseRequestLine(ReadOnlySpan<byte> line, RequestHead into)
    {
        var first = line.IndexOf((byte)' ');
        var last = line.LastIndexOf((byte)' ');
        if (first <= 0 || last <= first) throw Bad(NoHttp);
        into.Version = ParseVersion(line[(last + 1)..]);
        var method = line[..first];
        if (method.Length > 64 || !HeadRules.IsToken(method)) throw Bad("http1.invalid_method");
        into.Method = KnownMethod(method);
        var target = line[(first + 1)..last];
        if (!HeadRules.IsTarget(target)) throw Bad("http1.invalid_url");
        if (into.IsConnect)
        {
            if (!HeadRules.IsTunnelEnd(target)) throw Bad("http1.invalid_url");
            into.SetAuthority(target);
            return;
        }
        if (target[0] == '/' || (target.Length == 1 && target[0] == '*' && into.Method == "OPTIONS"))
        {
            into.SetTarget(target);
            return;
        }
        ParseAbsolute(target, into);
    }

    private static int ParseVersion(ReadOnlySpan<byte> version)
    {
        if (version.SequenceEqual("HTTP/1.1"u8)) return HttpVersions.Http11;
        if (version.SequenceEqual("HTTP/1.0"u8)) return HttpVersions.Http10;
        throw version.StartsWith("HTTP/"u8) ? new HttpMessageException(505, "http1.unsupported_version") : Bad(NoHttp);
    }

    // The absolute form contains the authority, which then wins over the host field (RFC 9112 section 3.2.2).
    private static void ParseAbsolute(ReadOnlySpan<byte> target, RequestHead into)
    {
        var scheme = target.IndexOf("://"u8);
        if (scheme <= 0 || !(Ascii.EqualsIgnoreCase(target[..scheme], "http"u8) || Ascii.EqualsIgnoreCase(target[..scheme], "https"u8)))
            throw Bad("http1.invalid_url");
        var rest = target[(scheme + 3)..];
        var slash = rest.IndexOfAny((byte)'/', (byte)'?');
        var authority = slash < 0 ? rest : rest[..slash];
        if (!HeadRules.IsAuthority(authority)) throw Bad("http1.invalid_url");
        into.SetAuthority(authority);
        if (slash < 0) into.SetTarget("/"u8);
        else if (rest[slash] == '/') into.SetTarget(rest[slash..]);
        else into.SetTarget([(byte)'/', .. rest[slash..]]);
    }

    private static void TakeHost(RequestHead into)
    {
        var host = into.Headers.IndexOf("host"u8);
        if (host < 0)
        {
            if (into.Version == HttpVersions.Http11 && into.Authority.Length == 0) throw Bad("missing_host_header");
            return;
        }
        var value = into.Headers.Value(host);
        if (into.Authority.Length == 0)
        {
            if (!HeadRules.IsAuthority(value)) throw Bad("http1.invalid_host");
            into.SetAuthority(value);
        }
        if (into.Headers.Remove("host"u8) > 1) throw Bad("http1.duplicate_host");
    }

    private static void TakeRequestFraming(RequestHead into)
    {
        var (chunked, length) = Framing(into.Headers, into.Version, 400);
        if (into.IsConnect && chunked) throw new HttpMessageException(501, "http1.transfer_encoding_not_allowed");
        if (into.IsConnect && length > 0) throw Bad("http1.content_length_not_allowed");
        into.Body = chunked ? BodyKind.Chunked : length > 0 ? BodyKind.Length : BodyKind.None;
        into.ContentLength = into.IsConnect ? -1 : length;
        var connection = into.Headers.GetJoined("connection"u8);
        var options = connection is null ? default : Encoding.UTF8.GetBytes(connection).AsSpan();
        into.KeepAlive = into.Version == HttpVersions.Http11 ? !HasToken(options, "close"u8) : HasToken(options, "keep-alive"u8);
        into.ExpectsContinue = into.Version == HttpVersions.Http11 && Ascii.EqualsIgnoreCase(into.Headers.Get("expect"u8), "100-continue"u8);
        if (!into.IsConnect && HasToken(options, "upgrade"u8) && into.Headers.GetString("upgrade"u8) is { } upgrade)
            into.Upgrade = upgrade.ToLowerInvariant();
        RemoveConnectionFields(into.Headers, options);
    }

    private static void TakeResponseFraming(ResponseHead into, string method)
    {
        var (chunked, length) = Framing(into.Headers, into.Version, 502);
        var connection = into.Headers.GetJoined("connection"u8);
        var options = connection is null ? default : Encoding.UTF8.GetBytes(connection).AsSpan();
        into.KeepAlive = into.Version == HttpVersions.Http11 ? !HasToken(options, "close"u8) : HasToken(options, "keep-alive"u8);
        into.IsTunnel = into.Status == 101 || (method == "CONNECT" && into.Status is >= 200 and < 300);
        var bodiless = method == "HEAD" || into.Status is < 200 or 204 or 304 || into.IsTunnel;
        into.Body = bodiless ? BodyKind.None : chunked ? BodyKind.Chunked : length >= 0 ? length == 0 ? BodyKind.None : BodyKind.Length : BodyKind.UntilClose;
        into.ContentLength = into.IsTunnel ? -1 : length;
        if (into.Status == 101) into.Upgrade = into.Headers.GetString("upgrade"u8) ?? "";
        RemoveConnectionFields(into.Headers, options);
    }

    private static (bool Chunked, long Length) Framing(HeaderBlock headers, int version, int status)
    {
        var chunked = false;
        var length = -1L;
        for (var i = 0; i < headers.Count; i++)
        {
            var name = headers.Name(i);
            if (name.Length == 14 && name.SequenceEqual("content-length"u8))
            {
                var value = headers.Value(i);
                if (length >= 0 || value.IsEmpty || value.Length > 18 || value.ContainsAnyExceptInRange((byte)'0', (byte)'9') ||
                    !Utf8Parser.TryParse(value, out length, out _))
                    throw new HttpMessageException(status, "http1.invalid_content_length");
            }
            else if (name.Length == 17 && name.SequenceEqual("transfer-encoding"u8))
            {
                if (chunked || version == HttpVersions.Http10 || !Ascii.EqualsIgnoreCase(headers.Value(i), "chunked"u8))
                    throw new HttpMessageException(status == 400 ? 501 : status, "http1.invalid_transfer_encoding");
                chunked = true;
            }
        }
        if (chunked && length >= 0) throw new HttpMessageException(status, "http1.content_length_and_chunked_not_allowed");
        return (chunked, length);
    }

    // Hop-by-hop fields: they are dropped here, and so is every field that the connection field names (RFC 9110 section 7.6.1).
    private static void RemoveConnectionFields(HeaderBlock headers, ReadOnlySpan<byte> options)
    {
        for (var i = headers.Count - 1; i >= 0; i--)
        {
            var name = headers.Name(i);
            if (name.SequenceEqual("connection"u8) || name.SequenceEqual("keep-alive"u8) || name.SequenceEqual("proxy-connection"u8) ||
                name.SequenceEqual("transfer-encoding"u8) || name.SequenceEqual("expect"u8) || name.SequenceEqual("upgrade"u8) ||
                (name.SequenceEqual("te"u8) && !HasToken(headers.Value(i), "trailers"u8)) ||
                (!options.IsEmpty && !IsProtected(name) && HasToken(options, name)))
                headers.RemoveAt(i);
        }
    }

    // A client must not be able to drop fields that the next hop relies on.
    private static bool IsProtected(ReadOnlySpan<byte> name) =>
        name.StartsWith("x-forwarded-"u8) || name.StartsWith("x-envoy-"u8) || name.SequenceEqual("content-length"u8) ||
        name.SequenceEqual("content-type"u8) || name.SequenceEqual("authorization"u8) || name.SequenceEqual("te"u8);

    private static string KnownMethod(ReadOnlySpan<byte> method) => method switch
    {
        _ when method.SequenceEqual("GET"u8) => "GET",
        _ when method.SequenceEqual("POST"u8) => "POST",
        _ when method.SequenceEqual("HEAD"u8) => "HEAD",
        _ when method.SequenceEqual("PUT"u8) => "PUT",
        _ when method.SequenceEqual("DELETE"u8) => "DELETE",
        _ when method.SequenceEqual("OPTIONS"u8) => "OPTIONS",
        _ when method.SequenceEqual("PATCH"u8) => "PATCH",
        _ when method.SequenceEqual("CONNECT"u8) => "CONNECT",
        _ => Encoding.ASCII.GetString(method),
    };

    private static HttpMessageException Bad(string detail) => new(400, detail);
}

using System.Globalization;
using System.Text;

namespace Isthmus.Samples.Http;

/// <summary>The head of a request: everything before its body (RFC 9112). Limits are checked by the reader.</summary>
public sealed record HttpHead(string Method, string Target, string Version, IReadOnlyList<KeyValuePair<string, string>> Headers)
{
    private const int MaxHeaders = 200;

    /// <summary>True when the connection stays open after the answer.</summary>
    public bool KeepAlive { get; private init; }

    public bool Chunked { get; private init; }

    /// <summary>Bytes of body announced by Content-Length; 0 when there is none.</summary>
    public long ContentLength { get; private init; }

    public bool ExpectsContinue { get; private init; }

    /// <param name="head">The bytes up to and with the empty line.</param>
    /// <exception cref="BadRequestException">The head is not valid.</exception>
    public static HttpHead Parse(ReadOnlySpan<byte> head)
    {
        var lines = Encoding.Latin1.GetString(head).Split("\r\n");
        var first = lines[0].Split(' ');
        if (first.Length != 3 || first[0].Length == 0 || !first[0].All(IsToken) || first[1].Length == 0)
            throw new BadRequestException(400, "The request line is not METHOD TARGET VERSION.");
        if (first[2] is not ("HTTP/1.1" or "HTTP/1.0")) throw new BadRequestException(505, $"The version is not HTTP/1.0 or HTTP/1.1.");
        var headers = new List<KeyValuePair<string, string>>(lines.Length);
        for (var i = 1; i < lines.Length && lines[i].Length > 0; i++)
        {
            var colon = lines[i].IndexOf(':', StringComparison.Ordinal);
            if (colon <= 0 || !lines[i].AsSpan(0, colon).ContainsOnlyTokens()) throw new BadRequestException(400, "A header line is not NAME: VALUE.");
            if (headers.Count == MaxHeaders) throw new BadRequestException(431, $"More than {MaxHeaders} headers.");
            headers.Add(new(lines[i][..colon], lines[i][(colon + 1)..].Trim(' ', '\t')));
        }
        return Interpret(first[0], Origin(first[1]), first[2], headers);
    }

    private static HttpHead Interpret(string method, string target, string version, List<KeyValuePair<string, string>> headers)
    {
        bool? keep = null;
        long? length = null;
        var (chunked, expects) = (false, false);
        foreach (var (name, value) in headers)
        {
            if (Is(name, "Connection"))
            {
                foreach (var option in value.Split(',', StringSplitOptions.TrimEntries))
                    keep = Is(option, "close") ? false : Is(option, "keep-alive") ? keep ?? true : keep;
            }
            else if (Is(name, "Transfer-Encoding"))
            {
                if (!Is(value, "chunked") || chunked) throw new BadRequestException(501, "The only transfer coding known here is chunked.");
                chunked = true;
            }
            else if (Is(name, "Content-Length"))
            {
                if (!long.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var parsed) || (length is { } l && l != parsed))
                    throw new BadRequestException(400, "Content-Length is not one number.");
                length = parsed;
            }
            else if (Is(name, "Expect")) expects = Is(value, "100-continue");
        }
        // Two conflicting body lengths enable request smuggling (RFC 9112, 6.3).
        if (chunked && length is not null) throw new BadRequestException(400, "Both Content-Length and Transfer-Encoding are given.");
        return new(method, target, version, headers)
        {
            KeepAlive = keep ?? version == "HTTP/1.1", Chunked = chunked, ContentLength = length ?? 0, ExpectsContinue = expects,
        };
    }

    private static string Origin(string target)
    {
        // A request through a forward proxy carries an absolute URI; the path is what matters here.
        if (target[0] == '/' || target == "*") return target;
        return Uri.TryCreate(target, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https"
            ? uri!.PathAndQuery
            : throw new BadRequestException(400, "The request target is neither a path nor an http URI.");
    }

    private static bool Is(string left, string right) => left.Equals(right, StringComparison.OrdinalIgnoreCase);

    internal static bool IsToken(char c) => char.IsAsciiLetterOrDigit(c) || "!#$%&'*+-.^_`|~".Contains(c, StringComparison.Ordinal);
}

internal static class TokenSpans
{
    internal static bool ContainsOnlyTokens(this ReadOnlySpan<char> text)
    {
        foreach (var c in text)
            if (!HttpHead.IsToken(c)) return false;
        return true;
    }
}

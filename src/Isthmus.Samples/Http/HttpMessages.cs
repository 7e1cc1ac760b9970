using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace Isthmus.Samples.Http;

/// <summary>One request as it arrived; headers keep their order and spelling.</summary>
/// <param name="Target">The request target as sent, with its query.</param>
/// <param name="Peer">The caller's address as the socket saw it.</param>
public sealed record HttpRequest(
    string Method, string Target, string Version, IReadOnlyList<KeyValuePair<string, string>> Headers, ReadOnlyMemory<byte> Body, string Peer)
{
    /// <summary>The path, percent-decoded, without the query.</summary>
    public string Path { get; } = Uri.UnescapeDataString(Target.Split('?', 2)[0]);

    /// <summary>The query after the question mark, undecoded; empty when there is none.</summary>
    public string RawQuery { get; } = Target.Contains('?', StringComparison.Ordinal) ? Target.Split('?', 2)[1] : "";

    public string? Header(string name)
    {
        foreach (var (key, value) in Headers)
            if (key.Equals(name, StringComparison.OrdinalIgnoreCase)) return value;
        return null;
    }

    public IEnumerable<KeyValuePair<string, string>> Query() => FormPairs(RawQuery);

    public string? Query(string name)
    {
        foreach (var (key, value) in Query())
            if (key == name) return value;
        return null;
    }

    /// <summary>Splits <c>a=1&amp;b=2</c>, as in queries and forms.</summary>
    public static IEnumerable<KeyValuePair<string, string>> FormPairs(string text)
    {
        foreach (var part in text.Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var pair = part.Split('=', 2);
            yield return new(Decode(pair[0]), pair.Length > 1 ? Decode(pair[1]) : "");
        }
    }

    private static string Decode(string text) => Uri.UnescapeDataString(text.Replace('+', ' '));
}

/// <summary>What a handler answers. With <see cref="Pieces"/> the body is sent in chunks, waiting <see cref="Pause"/>
/// before each but the first.</summary>
public sealed record HttpReply(int Status, ReadOnlyMemory<byte> Body, string? ContentType)
{
    public IReadOnlyList<KeyValuePair<string, string>> Headers { get; init; } = [];

    public IEnumerable<ReadOnlyMemory<byte>>? Pieces { get; init; }

    /// <summary>The length to announce when the pieces have a known length; otherwise they go out as chunks.</summary>
    public long? PiecesLength { get; init; }

    public TimeSpan Pause { get; init; }

    /// <summary>How long to wait before answering.</summary>
    public TimeSpan Delay { get; init; }

    public static HttpReply Text(int status, string text, string contentType = "text/html; charset=utf-8") =>
        new(status, Encoding.UTF8.GetBytes(text), contentType);

    public HttpReply With(params ReadOnlySpan<KeyValuePair<string, string>> headers) => this with { Headers = [.. Headers, .. headers] };

    [SuppressMessage("Design", "CA1024", Justification = "A table lookup with a fallback reads better as a method.")]
    public string ReasonPhrase() => Status switch
    {
        100 => "Continue", 101 => "Switching Protocols",
        200 => "OK", 201 => "Created", 202 => "Accepted", 203 => "Non-Authoritative Information", 204 => "No Content",
        205 => "Reset Content", 206 => "Partial Content",
        300 => "Multiple Choices", 301 => "Moved Permanently", 302 => "Found", 303 => "See Other", 304 => "Not Modified",
        305 => "Use Proxy", 307 => "Temporary Redirect", 308 => "Permanent Redirect",
        400 => "Bad Request", 401 => "Unauthorized", 402 => "Payment Required", 403 => "Forbidden", 404 => "Not Found",
        405 => "Method Not Allowed", 406 => "Not Acceptable", 407 => "Proxy Authentication Required", 408 => "Request Timeout",
        409 => "Conflict", 410 => "Gone", 411 => "Length Required", 412 => "Precondition Failed", 413 => "Request Entity Too Large",
        414 => "Request-URI Too Long", 415 => "Unsupported Media Type", 416 => "Requested Range Not Satisfiable",
        417 => "Expectation Failed", 418 => "I'm a teapot", 421 => "Misdirected Request", 422 => "Unprocessable Entity",
        425 => "Too Early", 426 => "Upgrade Required", 428 => "Precondition Required", 429 => "Too Many Requests",
        431 => "Request Header Fields Too Large", 451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error", 501 => "Not Implemented", 502 => "Bad Gateway", 503 => "Service Unavailable",
        504 => "Gateway Timeout", 505 => "HTTP Version Not Supported", 507 => "Insufficient Storage", 508 => "Loop Detected",
        _ => "Unknown",
    };
}

/// <summary>Decides the answer to one request.</summary>
public delegate HttpReply HttpHandler(HttpRequest request);

/// <summary>A request that breaks the rules: answered with <see cref="Status"/>, then the connection is closed.</summary>
public sealed class BadRequestException(int status, string message) : Exception(message)
{
    public int Status { get; } = status;
}

using System.Text;
using Isthmus.Proxy.Loops;

namespace Isthmus.Proxy.Messages;

/// <summary>How the length of a message body is determined (RFC 9112 section 6.3).</summary>
public enum BodyKind
{
    None,
    /// <summary>By <c>content-length</c>.</summary>
    Length,
    Chunked,
    /// <summary>Until the connection closes; responses only.</summary>
    UntilClose,
    /// <summary>By the framing of HTTP/2, length unknown beforehand.</summary>
    Stream,
}

/// <summary>The HTTP version of a message as a number: 10, 11 or 20.</summary>
internal static class HttpVersions
{
    public const int Http10 = 10;
    public const int Http11 = 11;
    public const int Http2 = 20;

    public static string Text(int version) => version switch { Http10 => "HTTP/1.0", Http2 => "HTTP/2", _ => "HTTP/1.1" };
}

/// <summary>A request line and its fields, reused for each request of a connection.</summary>
internal sealed class RequestHead
{
    private const int FirstTarget = 256;

    /// <summary>A longer authority is not kept: a connection would hold it while it is idle.</summary>
    private const int MostKeptAuthority = 256;

    private byte[] _target = [];
    private int _targetLength;
    private string _lastAuthority = "";

    public string Method { get; set; } = "";

    public int Version { get; set; }

    /// <summary>Path with query, as bytes.</summary>
    public ReadOnlySpan<byte> Target => _target.AsSpan(0, _targetLength);

    /// <summary>The value of <c>host</c> or <c>:authority</c>.</summary>
    public string Authority { get; set; } = "";

    /// <summary>What a client named over HTTP/2, "http" or "https"; empty where no client did. The next hop gets it unchanged: a server may refuse
    /// one that does not fit its connection.</summary>
    public string Scheme { get; set; } = "";

    /// <summary>Takes the authority from bytes. Requests of a connection mostly name the same one: it stays the same string.</summary>
    public void SetAuthority(ReadOnlySpan<byte> authority)
    {
        Authority = Ascii.Equals(authority, _lastAuthority) ? _lastAuthority : Encoding.UTF8.GetString(authority);
        if (Authority.Length <= MostKeptAuthority) _lastAuthority = Authority;
    }

    public HeaderBlock Headers { get; } = new();

    /// <summary>The client, where that matters (the proxy's own endpoints); null elsewhere.</summary>
    public System.Net.IPAddress? Peer { get; set; }

    public BodyKind Body { get; set; }

    /// <summary>What <c>content-length</c> says; -1: the message has none.</summary>
    public long ContentLength { get; set; } = -1;

    public bool KeepAlive { get; set; }

    /// <summary>The client waits for <c>100 Continue</c> before it sends the body.</summary>
    public bool ExpectsContinue { get; set; }

    /// <summary>The protocol requested with <c>connection: upgrade</c>, or with <c>:protocol</c> over HTTP/2, in lower case; empty when none.</summary>
    public string Upgrade { get; set; } = "";

    /// <summary>Asks for a connection to the authority. It has no target, and no body.</summary>
    public bool IsConnect => Method == "CONNECT";

    /// <summary>If the server agrees, bytes of another protocol follow in both directions.</summary>
    public bool IsTunnel => Upgrade.Length > 0 || IsConnect;

    /// <summary>Whether the client takes this status for a consent, so that what follows the head would be bytes of the other protocol.</summary>
    public bool IsConsent(int status) => status is >= 200 and < 300 && (IsConnect || (Upgrade.Length > 0 && Version == HttpVersions.Http2));

    public string TargetText => Encoding.UTF8.GetString(Target);

    public bool IsIdempotent => Method is "GET" or "HEAD" or "OPTIONS" or "PUT" or "DELETE" or "TRACE";

    /// <summary>Takes the target. What none may hold is percent-encoded, and a path begins with a slash.</summary>
    public void SetTarget(ReadOnlySpan<byte> target)
    {
        if (!HeadRules.IsTarget(target) || target is not ([(byte)'/', ..] or [(byte)'*'])) target = Escaped(target);
        if (_target.Length < target.Length) _target = Buffers<byte>.Rent(Math.Max(target.Length, FirstTarget));
        target.CopyTo(_target);
        _targetLength = target.Length;
    }

    private static byte[] Escaped(ReadOnlySpan<byte> target) => target is [(byte)'/', ..] ? HeadRules.Escape(target) : [(byte)'/', .. HeadRules.Escape(target)];

    public void Clear()
    {
        Method = Authority = Upgrade = Scheme = "";
        Version = 0;
        _targetLength = 0;
        Headers.Clear();
        Body = BodyKind.None;
        ContentLength = -1;
        KeepAlive = ExpectsContinue = false;
    }

    /// <summary>Clears it, and gives its memory to others until it is used again.</summary>
    public void Release()
    {
        Clear();
        Headers.Release();
        if (_target.Length > 0) Buffers<byte>.Return(_target);
        _target = [];
    }

    public void CopyFrom(RequestHead other)
    {
        Method = other.Method;
        Version = other.Version;
        if (!other.Target.IsEmpty) SetTarget(other.Target);
        Authority = other.Authority;
        Scheme = other.Scheme;
        Headers.CopyFrom(other.Headers);
        Body = other.Body;
        ContentLength = other.ContentLength;
        KeepAlive = other.KeepAlive;
        ExpectsContinue = other.ExpectsContinue;
        Upgrade = other.Upgrade;
    }
}

/// <summary>A status line and its fields, reused for each response of a connection.</summary>
internal sealed class ResponseHead
{
    public int Status { get; set; }

    public int Version { get; set; }

    public HeaderBlock Headers { get; } = new();

    public BodyKind Body { get; set; }

    /// <summary>What <c>content-length</c> says; -1: the message has none.</summary>
    public long ContentLength { get; set; } = -1;

    public bool KeepAlive { get; set; }

    /// <summary>The protocol that follows a response with status 101. Over HTTP/2 that status is 200.</summary>
    public string Upgrade { get; set; } = "";

    /// <summary>The server agrees to a tunnel: what follows is not a body.</summary>
    public bool IsTunnel { get; set; }

    public void Clear()
    {
        (Status, Version, Body, ContentLength, KeepAlive, Upgrade, IsTunnel) = (0, 0, BodyKind.None, -1, false, "", false);
        Headers.Clear();
    }
}

/// <summary>Limits on what a peer can make the proxy buffer. The values are Envoy's defaults.</summary>
/// <param name="HeadBytes">Limit of the request or status line with all fields.</param>
/// <param name="Fields">Number of fields in a head or trailer section.</param>
/// <param name="ChunkLineBytes">Limit of one chunk-size line with its extensions.</param>
internal sealed record HttpLimits(int HeadBytes = 60 * 1024, int Fields = 100, int ChunkLineBytes = 4096)
{
    /// <summary>How many interim responses (1xx) a server may send before its response. A server that says once a minute that it works has most of a
    /// day.</summary>
    public const int InterimHeads = 1000;

    /// <summary>How long a client may take for a head once it has begun; zero: no limit.</summary>
    public TimeSpan HeadTime { get; init; }

    /// <summary>Envoy's detail for a head that takes longer.</summary>
    public string LateHead { get; init; } = "request_header_timeout";

    public static readonly HttpLimits Default = new();
}

/// <summary>A message that breaks the protocol; ends the exchange with <paramref name="status"/>.</summary>
internal sealed class HttpMessageException(int status, string detail) : Exception(detail)
{
    /// <summary>The status to answer with when the fault is the client's.</summary>
    public int Status { get; } = status;

    /// <summary>Envoy's response code detail, for example <c>http1.invalid_characters</c>.</summary>
    public string Detail { get; } = detail;

    /// <summary>Whether it counts against the host that a request was sent to: what clients can bring about must not.</summary>
    public bool BlamesHost { get; init; } = true;
}

/// <summary>Reason phrases of RFC 9110 section 15 and its registry.</summary>
internal static class ReasonPhrases
{
    public static ReadOnlySpan<byte> Get(int status) => status switch
    {
        100 => "Continue"u8, 101 => "Switching Protocols"u8, 102 => "Processing"u8, 103 => "Early Hints"u8,
        200 => "OK"u8, 201 => "Created"u8, 202 => "Accepted"u8, 203 => "Non-Authoritative Information"u8, 204 => "No Content"u8,
        205 => "Reset Content"u8, 206 => "Partial Content"u8, 207 => "Multi-Status"u8,
        300 => "Multiple Choices"u8, 301 => "Moved Permanently"u8, 302 => "Found"u8, 303 => "See Other"u8, 304 => "Not Modified"u8,
        307 => "Temporary Redirect"u8, 308 => "Permanent Redirect"u8,
        400 => "Bad Request"u8, 401 => "Unauthorized"u8, 402 => "Payment Required"u8, 403 => "Forbidden"u8, 404 => "Not Found"u8,
        405 => "Method Not Allowed"u8, 406 => "Not Acceptable"u8, 408 => "Request Timeout"u8, 409 => "Conflict"u8, 410 => "Gone"u8,
        411 => "Length Required"u8, 412 => "Precondition Failed"u8, 413 => "Payload Too Large"u8, 414 => "URI Too Long"u8,
        415 => "Unsupported Media Type"u8, 416 => "Range Not Satisfiable"u8, 417 => "Expectation Failed"u8, 418 => "I'm a teapot"u8,
        421 => "Misdirected Request"u8, 422 => "Unprocessable Entity"u8, 425 => "Too Early"u8, 426 => "Upgrade Required"u8,
        428 => "Precondition Required"u8, 429 => "Too Many Requests"u8, 431 => "Request Header Fields Too Large"u8,
        500 => "Internal Server Error"u8, 501 => "Not Implemented"u8, 502 => "Bad Gateway"u8, 503 => "Service Unavailable"u8,
        504 => "Gateway Timeout"u8, 505 => "HTTP Version Not Supported"u8, _ => "Unknown"u8,
    };
}

using System.Buffers.Text;
using System.Text;
using Isthmus.Proxy.Messages;

namespace Isthmus.Proxy.Http2;

/// <summary>
/// The fields of one header block after another. A block that breaks the rules (RFC 9113 section 8.2) is still decoded to its end, because
/// the decoder's state needs it; the error is kept and ends the stream afterwards.
/// </summary>
internal sealed class H2HeadFields
{
    private static readonly string[] Common = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "http", "https"];

    private readonly HeaderBlock _fields = new();
    private readonly ByteWriter _path = new();
    private int _stream;
    private bool _hasPath;
    private string _lastAuthority = "";
    private string? _fault;
    private string? _method;
    private string? _scheme;
    private string? _authority;
    private string? _protocol;
    private int _status;
    private readonly ByteWriter _cookies = new();
    private bool _hasCookies;

    public H2HeadFields() => Take = Add;

    /// <summary>Takes the fields of the block that has begun.</summary>
    public HpackField Take { get; }

    /// <summary>The size of the block's fields as a list (RFC 9113 section 6.5.2).</summary>
    public int Size { get; private set; }

    /// <summary>Forgets the block before.</summary>
    /// <param name="stream">The ID of the stream that the next block belongs to.</param>
    public void Begin(int stream)
    {
        _stream = stream;
        _fields.Clear();
        _path.Clear();
        _hasPath = false;
        _lastAuthority = _authority ?? _lastAuthority;
        _fault = _method = _scheme = _authority = _protocol = null;
        _status = 0;
        _hasCookies = false;
        _cookies.Clear();
        Size = 0;
    }

    private void Add(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        Size += HpackDecoder.EntryOverhead + name.Length + value.Length;
        if (name.IsEmpty || !HeadRules.IsValue(value)) Fault("a field with characters that it may not have");
        else if (name[0] == ':') AddPseudo(name, value);
        else if (!HeadRules.IsLowerToken(name)) Fault("a field name with characters that it may not have");
        else if (IsOfOneHop(name, value)) Fault("a field that only HTTP/1 has");
        else if (name.SequenceEqual("cookie"u8)) AddCookie(value);
        else if (_fields.Count >= HttpLimits.Default.Fields) Fault("more fields than allowed");
        else _fields.AddRead(name, value.Trim(" \t"u8));
    }

    /// <summary>Fills in a request.</summary>
    /// <param name="head">The request.</param>
    /// <param name="isLast">Nothing follows it.</param>
    /// <param name="mayUpgrade">The client was told that it may ask for another protocol (RFC 8441).</param>
    /// <exception cref="H2StreamException">The fields do not form a request.</exception>
    public void ToRequest(RequestHead head, bool isLast, bool mayUpgrade = false)
    {
        head.Clear();
        var isConnect = _method == "CONNECT" && _protocol is null;
        if (_status != 0 || _method is null || (!isConnect && (_scheme is null || !_hasPath))) Fault("a request without method, scheme or path");
        if (isConnect && (_scheme is not null || _hasPath)) Fault("CONNECT with a scheme or a path");
        if (_protocol is not null && (_method != "CONNECT" || !mayUpgrade)) Fault("a protocol that was not allowed");
        var path = _path.Written.Span;
        if (_hasPath && !(path is [(byte)'/', ..] || (path is [(byte)'*'] && _method == "OPTIONS"))) Fault("invalid :path");
        Check();
        // As over HTTP/1.1, which has no method of its own for upgrades.
        head.Method = _protocol is null ? _method! : "GET";
        head.Upgrade = _protocol?.ToLowerInvariant() ?? "";
        head.Version = HttpVersions.Http2;
        head.Scheme = _scheme is "http" or "https" ? _scheme : "";
        if (!isConnect) head.SetTarget(path);
        if (_hasCookies) _fields.AddRead("cookie"u8, _cookies.Written.Span);
        var host = _fields.GetString("host"u8);
        if (_fields.Remove("host"u8) > 1
            || (host is not null && _authority is not null && !string.Equals(host, _authority, StringComparison.OrdinalIgnoreCase)))
            Fault("two hosts");
        head.Authority = _authority ?? host ?? "";
        if (!HeadRules.IsAuthority(head.Authority)) Fault("invalid :authority");
        if (isConnect && !HeadRules.IsTunnelEnd(Encoding.UTF8.GetBytes(head.Authority))) Fault("CONNECT without host and port in :authority");
        var length = Length();
        if (head.IsTunnel && length >= 0) Fault("a length where no body follows");
        Check();
        var expects = System.Text.Ascii.EqualsIgnoreCase(_fields.Get("expect"u8), "100-continue"u8);
        _fields.Remove("expect"u8);
        head.Headers.CopyFrom(_fields);
        head.ContentLength = length;
        head.Body = isLast || length == 0 || head.IsTunnel ? BodyKind.None : length > 0 ? BodyKind.Length : BodyKind.Stream;
        head.KeepAlive = true;
        head.ExpectsContinue = expects && head.Body != BodyKind.None;
        if (isLast && length > 0) throw new H2StreamException(_stream, H2Error.Protocol, "a length without a body");
    }

    /// <summary>Fills in what is known of fields that do not form a request, for logs.</summary>
    public void ToRefused(RequestHead head)
    {
        head.Clear();
        head.Method = _method ?? "";
        head.Version = HttpVersions.Http2;
        head.SetTarget(_path.Written.Span);
        head.Authority = _authority ?? "";
        head.Headers.CopyFrom(_fields);
    }

    /// <summary>Fills in a response.</summary>
    /// <param name="head">The response.</param>
    /// <param name="method">Of the request, as it was sent.</param>
    /// <param name="isLast">Nothing follows it.</param>
    /// <exception cref="H2StreamException">The fields do not form a response.</exception>
    public void ToResponse(ResponseHead head, string method, bool isLast)
    {
        head.Clear();
        if (HasRequestFields || _status < 100) Fault("an answer without a status");
        var length = Length();
        if (isLast && length > 0 && method != "HEAD" && _status != 304) Fault("a length without a body");
        Check();
        head.Status = _status;
        head.Version = HttpVersions.Http2;
        head.Headers.CopyFrom(_fields);
        head.IsTunnel = method == "CONNECT" && _status is >= 200 and < 300;
        var bodiless = isLast || head.IsTunnel || method == "HEAD" || _status is < 200 or 204 or 304;
        head.ContentLength = head.IsTunnel ? -1 : length;
        head.Body = bodiless ? BodyKind.None : length > 0 ? BodyKind.Length : length == 0 ? BodyKind.None : BodyKind.Stream;
        head.KeepAlive = true;
    }

    /// <summary>Takes the block as trailers.</summary>
    /// <exception cref="H2StreamException">The fields are not valid trailers.</exception>
    public HeaderBlock ToTrailers()
    {
        if (HasRequestFields || _status != 0) Fault("a pseudo field after the body");
        Check();
        var trailers = new HeaderBlock();
        trailers.CopyFrom(_fields);
        return trailers;
    }

    private bool HasRequestFields => _method is not null || _scheme is not null || _hasPath || _authority is not null || _protocol is not null;

    /// <summary>The status of a response's head; 0 when there is none.</summary>
    public int Status => _status;

    // HTTP/2 clients split the field; other versions have one (RFC 9113 section 8.2.3).
    private void AddCookie(ReadOnlySpan<byte> value)
    {
        if (_hasCookies) _cookies.Write("; "u8);
        _hasCookies = true;
        _cookies.Write(value);
    }

    private void AddPseudo(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        var isRepeated = false;
        if (_fields.Count > 0 || _hasCookies) Fault("a pseudo field after others");
        else if (name.SequenceEqual(":method"u8)) isRepeated = Set(ref _method, value, HeadRules.IsToken(value));
        else if (name.SequenceEqual(":scheme"u8)) isRepeated = Set(ref _scheme, value);
        else if (name.SequenceEqual(":authority"u8)) isRepeated = Set(ref _authority, value);
        else if (name.SequenceEqual(":protocol"u8)) isRepeated = Set(ref _protocol, value, HeadRules.IsToken(value));
        else if (name.SequenceEqual(":path"u8))
        {
            isRepeated = _hasPath;
            _hasPath = true;
            _path.Clear();
            _path.Write(value);
            if (!HeadRules.IsTarget(value)) Fault("a path with characters that it may not have");
        }
        else if (name.SequenceEqual(":status"u8))
        {
            isRepeated = _status != 0;
            if (value.Length != 3 || !Utf8Parser.TryParse(value, out _status, out var used) || used != 3) Fault("invalid :status");
        }
        else Fault("a pseudo field that does not exist");
        if (isRepeated) Fault("a pseudo field twice");
    }

    private bool Set(ref string? field, ReadOnlySpan<byte> value, bool isValid = true)
    {
        if (field is not null) return true;
        if (!isValid) Fault("a pseudo field with characters that it may not have");
        field = Text(value);
        return false;
    }

    // The requests of a connection are much alike.
    private string Text(ReadOnlySpan<byte> value)
    {
        if (System.Text.Ascii.Equals(value, _lastAuthority)) return _lastAuthority;
        foreach (var common in Common)
            if (System.Text.Ascii.Equals(value, common)) return common;
        return Encoding.UTF8.GetString(value);
    }

    private long Length()
    {
        var at = _fields.IndexOf("content-length"u8);
        if (at < 0) return -1;
        var value = _fields.Value(at);
        if (value.IsEmpty || value.Length > 18 || value.ContainsAnyExceptInRange((byte)'0', (byte)'9') || !Utf8Parser.TryParse(value, out long length, out _))
        {
            Fault("invalid content-length");
            return -1;
        }
        for (var i = at + 1; i < _fields.Count; i++)
            if (_fields.Name(i).SequenceEqual("content-length"u8)) Fault("two lengths");
        return length;
    }

    private static bool IsOfOneHop(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value) => name.Length switch
    {
        2 => name.SequenceEqual("te"u8) && !value.SequenceEqual("trailers"u8),
        7 => name.SequenceEqual("upgrade"u8),
        10 => name.SequenceEqual("connection"u8) || name.SequenceEqual("keep-alive"u8),
        16 => name.SequenceEqual("proxy-connection"u8),
        17 => name.SequenceEqual("transfer-encoding"u8),
        _ => false,
    };

    private void Fault(string what) => _fault ??= what;

    private void Check()
    {
        if (_fault is not null) throw new H2StreamException(_stream, H2Error.Protocol, _fault);
    }
}

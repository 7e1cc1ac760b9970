namespace Isthmus.Proxy.Http2;

/// <summary>Error codes of HTTP/2 (RFC 9113 section 7).</summary>
internal enum H2Error
{
    None = 0,
    Protocol = 1,
    Internal = 2,
    FlowControl = 3,
    StreamClosed = 5,
    FrameSize = 6,
    RefusedStream = 7,
    Cancel = 8,
    Compression = 9,
    Connect = 10,
    EnhanceYourCalm = 11,
    Http11Required = 13,
}

/// <summary>Frame types of HTTP/2 (RFC 9113 section 6).</summary>
internal enum H2Frame : byte
{
    Data = 0,
    Headers = 1,
    Priority = 2,
    Reset = 3,
    Settings = 4,
    PushPromise = 5,
    Ping = 6,
    GoAway = 7,
    WindowUpdate = 8,
    Continuation = 9,
}

[Flags]
internal enum H2Flags : byte
{
    None = 0,
    EndStream = 1,
    Ack = 1,
    EndHeaders = 4,
    Padded = 8,
    Priority = 32,
}

internal static class H2
{
    public const int FrameHeader = 9;
    public const int MaxFrame = 16 * 1024;
    public const int DefaultWindow = 65535;

    /// <summary>Receive window of one stream: what a peer may send before we have consumed it.</summary>
    public const int StreamWindow = 256 * 1024;

    /// <summary>Receive window of all streams of a connection together.</summary>
    public const int ConnectionWindow = 1024 * 1024;

    /// <summary>How many streams a client may have open.</summary>
    public const int MaxStreams = 1024;

    public const int MaxHeaderBlock = 64 * 1024;

    /// <summary>What the heads and trailers of a client's open streams may have together: a few bytes of a connection's table can fill each of them.</summary>
    public const int HeldHeads = 8 * 1024 * 1024;

    public const int HeaderTable = 4096;

    public static ReadOnlySpan<byte> Preface => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8;
}

/// <summary>A protocol error of the peer that ends the whole connection.</summary>
internal sealed class H2ConnectionException(H2Error error, string what) : Exception(what)
{
    public H2Error Error { get; } = error;
}

/// <summary>A protocol error of the peer that ends one stream.</summary>
internal sealed class H2StreamException(int stream, H2Error error, string what) : Exception(what)
{
    public int Stream { get; } = stream;

    public H2Error Error { get; } = error;
}

using System.Buffers;
using System.Text;

namespace Isthmus.Proxy.Messages;

/// <summary>What the parts of a head may hold (RFC 9110 section 5, RFC 9112 section 3, RFC 3986 section 3.2), whichever version carries it. All who read
/// heads and all who write them ask here.</summary>
internal static class HeadRules
{
    private const string TokenText = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    private const string AuthorityText = "!$%&'()*+-.:;=[]_~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    private static readonly SearchValues<byte> TokenBytes = SearchValues.Create(Encoding.ASCII.GetBytes(TokenText));
    private static readonly SearchValues<byte> LowerTokenBytes =
        SearchValues.Create([.. Encoding.ASCII.GetBytes(TokenText).Where(b => b is < (byte)'A' or > (byte)'Z')]);
    private static readonly SearchValues<char> TokenChars = SearchValues.Create(TokenText);
    private static readonly SearchValues<byte> AuthorityBytes = SearchValues.Create(Encoding.ASCII.GetBytes(AuthorityText));
    private static readonly SearchValues<char> AuthorityChars = SearchValues.Create(AuthorityText);
    private static readonly SearchValues<byte> BadInValue = SearchValues.Create(Controls('\t'));
    private static readonly SearchValues<char> BadInText = SearchValues.Create(Encoding.ASCII.GetString(Controls('\t')));
    private static readonly SearchValues<byte> BadInTarget = SearchValues.Create([.. Controls(), (byte)' ', (byte)'#']);
    private static readonly SearchValues<char> BadInPath = SearchValues.Create(Encoding.ASCII.GetString(Controls()) + ' ');

    /// <summary>Methods and names of fields.</summary>
    public static bool IsToken(ReadOnlySpan<byte> name) => !name.IsEmpty && !name.ContainsAnyExcept(TokenBytes);

    /// <inheritdoc cref="IsToken(ReadOnlySpan{byte})"/>
    public static bool IsToken(ReadOnlySpan<char> name) => !name.IsEmpty && !name.ContainsAnyExcept(TokenChars);

    /// <summary>Names of fields as HTTP/2 has them (RFC 9113 section 8.2.1).</summary>
    public static bool IsLowerToken(ReadOnlySpan<byte> name) => !name.IsEmpty && !name.ContainsAnyExcept(LowerTokenBytes);

    /// <summary>Values of fields. Bytes beyond ASCII are allowed, control characters but the tab are not.</summary>
    public static bool IsValue(ReadOnlySpan<byte> value) => !value.ContainsAny(BadInValue);

    /// <inheritdoc cref="IsValue(ReadOnlySpan{byte})"/>
    public static bool IsValue(ReadOnlySpan<char> value) => !value.ContainsAny(BadInText);

    /// <summary>Paths with queries.</summary>
    public static bool IsTarget(ReadOnlySpan<byte> target) => !target.IsEmpty && !target.ContainsAny(BadInTarget);

    /// <summary>Parts of paths and locations from a configuration.</summary>
    public static bool IsPath(ReadOnlySpan<char> path) => !path.ContainsAny(BadInPath);

    /// <summary>A host with or without a port: no user, no list, ASCII only.</summary>
    public static bool IsAuthority(ReadOnlySpan<byte> authority) => !authority.IsEmpty && !authority.ContainsAnyExcept(AuthorityBytes);

    /// <summary>What CONNECT names: a host with a port.</summary>
    public static bool IsTunnelEnd(ReadOnlySpan<byte> authority) =>
        IsAuthority(authority) && authority.LastIndexOf((byte)':') is > 0 and var colon && authority[(colon + 1)..] is { Length: > 0 and <= 5 } port
        && !port.ContainsAnyExceptInRange((byte)'0', (byte)'9');

    /// <inheritdoc cref="IsAuthority(ReadOnlySpan{byte})"/>
    public static bool IsAuthority(ReadOnlySpan<char> authority) => !authority.IsEmpty && !authority.ContainsAnyExcept(AuthorityChars);

    /// <summary>Replaces what a value may not hold by spaces (RFC 9110 section 5.5).</summary>
    public static void Clean(Span<byte> value)
    {
        while (value.IndexOfAny(BadInValue) is >= 0 and var at)
        {
            value[at] = (byte)' ';
            value = value[(at + 1)..];
        }
    }

    /// <summary>A target in which every byte that it may not hold is percent-encoded.</summary>
    public static byte[] Escape(ReadOnlySpan<byte> target) => Escape(target, alsoBeyondAscii: false);

    /// <summary>A target as ASCII: bytes beyond it are percent-encoded, too.</summary>
    public static string Ascii(ReadOnlySpan<byte> target) =>
        System.Text.Ascii.IsValid(target) && IsTarget(target)
            ? Encoding.ASCII.GetString(target)
            : Encoding.ASCII.GetString(Escape(target, alsoBeyondAscii: true));

    /// <summary>
    /// Fields of one connection, or that say how a message is framed. Whoever writes a head writes them from what it knows of the message: those among the
    /// fields are not written.
    /// </summary>
    public static bool IsOfHop(ReadOnlySpan<byte> name) => name.Length switch
    {
        2 => name.SequenceEqual("te"u8),
        6 => name.SequenceEqual("expect"u8),
        7 => name.SequenceEqual("upgrade"u8),
        10 => name.SequenceEqual("connection"u8) || name.SequenceEqual("keep-alive"u8),
        14 => name.SequenceEqual("content-length"u8),
        16 => name.SequenceEqual("proxy-connection"u8),
        17 => name.SequenceEqual("transfer-encoding"u8),
        _ => false,
    };

    /// <summary>Names that no edit of fields changes: fields of a hop, <c>trailer</c>, the host, and pseudo-headers.</summary>
    public static bool IsFixed(ReadOnlySpan<byte> name) =>
        name.IsEmpty || name[0] == ':' || IsOfHop(name) || name.SequenceEqual("host"u8) || name.SequenceEqual("trailer"u8);

    private static byte[] Escape(ReadOnlySpan<byte> target, bool alsoBeyondAscii)
    {
        var escaped = new List<byte>(target.Length + 16);
        foreach (var b in target)
        {
            if (b >= 0x80 ? alsoBeyondAscii : BadInTarget.Contains(b)) escaped.AddRange([(byte)'%', Hex(b >> 4), Hex(b & 15)]);
            else escaped.Add(b);
        }
        return [.. escaped];
    }

    private static byte Hex(int digit) => (byte)(digit < 10 ? '0' + digit : 'A' + digit - 10);

    private static byte[] Controls(params ReadOnlySpan<char> except)
    {
        var bytes = new List<byte>();
        for (var b = 0; b <= 0x7f; b++)
            if ((b < 0x20 || b == 0x7f) && !except.Contains((char)b)) bytes.Add((byte)b);
        return [.. bytes];
    }
}

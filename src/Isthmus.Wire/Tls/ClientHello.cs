using System.Buffers.Binary;
using System.Text;
using Isthmus.Core.Collections;

namespace Isthmus.Wire.Tls;

/// <summary>What the first bytes of a connection are.</summary>
public enum HelloStatus
{
    /// <summary>More bytes are needed to decide.</summary>
    Incomplete,
    /// <summary>These bytes do not start a TLS handshake.</summary>
    NotTls,
    /// <summary>The bytes start like TLS but are malformed, or exceed the size of any legitimate hello.</summary>
    Malformed,
    Complete,
}

/// <summary>Curves of ECDSA keys.</summary>
[Flags]
public enum EcdsaCurves
{
    None = 0,
    P256 = 1,
    P384 = 2,
    P521 = 4,
}

/// <summary>The keys of servers whose ECDSA signatures a client can verify.</summary>
/// <param name="Offers13">The client offers TLS 1.3, so that <paramref name="In13"/> holds if the server agrees.</param>
public readonly record struct EcdsaSupport(bool Offers13, EcdsaCurves In13, EcdsaCurves In12);

/// <summary>The parts of a TLS ClientHello that decide where a connection goes (RFC 8446 4.1.2, RFC 6066 3, RFC 7301), and which
/// certificate the client takes.</summary>
/// <param name="ServerName">In lower case; null when the client named none.</param>
public sealed record ClientHello(string? ServerName, ValueList<string> ApplicationProtocols)
{
    /// <summary>Size limit of a hello, in bytes: no client needs more.</summary>
    public const int MaxSize = 16 * 1024 + 5;

    private const int RecordHeader = 5;
    private const byte HandshakeRecord = 22, ClientHelloMessage = 1;
    private const int ServerNameExtension = 0, GroupsExtension = 10, SignaturesExtension = 13, AlpnExtension = 16, VersionsExtension = 43;
    private const int Tls13 = 0x0304;

    public EcdsaSupport Ecdsa { get; init; }

    /// <summary>Reads the hello from the bytes received so far, which are not consumed. Never throws.</summary>
    public static HelloStatus TryRead(ReadOnlySpan<byte> received, out ClientHello? hello)
    {
        hello = null;
        var status = LooksLikeTls(received);
        if (status != HelloStatus.Complete) return status;
        // One record nearly always holds the whole message; then nothing is copied.
        var first = BinaryPrimitives.ReadUInt16BigEndian(received[3..]);
        if (received.Length >= RecordHeader + first && first >= 4 && Length24(received[(RecordHeader + 1)..]) + 4 <= first)
            return Message(received.Slice(RecordHeader, first), out hello);
        var joined = new byte[Math.Min(received.Length, MaxSize)];
        status = Join(received, joined, out var length);
        return status == HelloStatus.Complete ? Message(joined.AsSpan(0, length), out hello) : status;
    }

    /// <summary>Collects the message from its records until it is complete.</summary>
    private static HelloStatus Join(ReadOnlySpan<byte> received, Span<byte> joined, out int length)
    {
        length = 0;
        for (var rest = received; ;)
        {
            if (length >= 4 && Length24(joined[1..]) + 4 <= length) return HelloStatus.Complete;
            if (rest.Length > 0 && rest[0] != HandshakeRecord) return HelloStatus.Malformed;
            if (rest.Length < RecordHeader) break;
            var size = BinaryPrimitives.ReadUInt16BigEndian(rest[3..]);
            if (size is 0 or > 16384) return HelloStatus.Malformed;
            var body = rest[RecordHeader..];
            var take = Math.Min(size, body.Length);
            if (length + take > joined.Length) return HelloStatus.Malformed;
            body[..take].CopyTo(joined[length..]);
            length += take;
            if (length >= 1 && joined[0] != ClientHelloMessage) return HelloStatus.Malformed;
            if (length >= 4 && Length24(joined[1..]) + 4 > MaxSize) return HelloStatus.Malformed;
            rest = body[take..];
            if (take < size) break;
        }
        if (length >= 4 && Length24(joined[1..]) + 4 <= length) return HelloStatus.Complete;
        return received.Length >= MaxSize ? HelloStatus.Malformed : HelloStatus.Incomplete;
    }

    /// <summary><see cref="HelloStatus.Complete"/> when at least the first message header is there.</summary>
    private static HelloStatus LooksLikeTls(ReadOnlySpan<byte> received)
    {
        if (received.Length == 0) return HelloStatus.Incomplete;
        if (received[0] != HandshakeRecord || (received.Length > 1 && received[1] != 3)) return HelloStatus.NotTls;
        if (received.Length > 2 && received[2] > 4) return HelloStatus.NotTls;
        if (received.Length <= RecordHeader) return HelloStatus.Incomplete;
        var size = BinaryPrimitives.ReadUInt16BigEndian(received[3..]);
        if (size is 0 or > 16384) return HelloStatus.Malformed;
        if (received[RecordHeader] != ClientHelloMessage) return HelloStatus.NotTls;
        return received.Length >= RecordHeader + 4 ? HelloStatus.Complete : HelloStatus.Incomplete;
    }

    private static HelloStatus Message(ReadOnlySpan<byte> message, out ClientHello? hello)
    {
        hello = null;
        var body = message.Slice(4, Length24(message[1..]));
        // Version and random, then session id, cipher suites, compression methods.
        if (body.Length < 34) return HelloStatus.Malformed;
        body = body[34..];
        if (!Take(ref body, 1, out _) || !Take(ref body, 2, out var suites) || !Take(ref body, 1, out _)) return HelloStatus.Malformed;
        if (body.Length == 0)
        {
            hello = new(null, []);
            return HelloStatus.Complete;
        }
        if (!Take(ref body, 2, out var extensions)) return HelloStatus.Malformed;
        return Extensions(suites, extensions, out hello);
    }

    private static HelloStatus Extensions(ReadOnlySpan<byte> suites, ReadOnlySpan<byte> extensions, out ClientHello? hello)
    {
        hello = null;
        string? name = null;
        ValueList<string> protocols = [];
        scoped ReadOnlySpan<byte> groups = default, signatures = default, versions = default;
        while (extensions.Length > 0)
        {
            if (extensions.Length < 4) return HelloStatus.Malformed;
            var kind = BinaryPrimitives.ReadUInt16BigEndian(extensions);
            extensions = extensions[2..];
            if (!Take(ref extensions, 2, out var content)) return HelloStatus.Malformed;
            if (kind == ServerNameExtension && !ReadServerName(content, ref name)) return HelloStatus.Malformed;
            if (kind == AlpnExtension && !ReadProtocols(content, ref protocols)) return HelloStatus.Malformed;
            if (kind == GroupsExtension) groups = Listed(content, 2);
            if (kind == SignaturesExtension) signatures = Listed(content, 2);
            if (kind == VersionsExtension) versions = Listed(content, 1);
        }
        hello = new(name, protocols) { Ecdsa = new(Contains(versions, Tls13), In13(signatures), In12(suites, groups, signatures)) };
        return HelloStatus.Complete;
    }

    /// <summary>An extension that is one list, without its length.</summary>
    private static ReadOnlySpan<byte> Listed(ReadOnlySpan<byte> content, int prefix) => content.Length > prefix ? content[prefix..] : default;

    /// <summary>In TLS 1.3, a signature algorithm includes the curve.</summary>
    private static EcdsaCurves In13(ReadOnlySpan<byte> signatures) => Curves(signatures, 0x0403, 0x0503, 0x0603);

    /// <summary>In TLS 1.2, the curve is one of the groups, and both a cipher suite and a signature algorithm must be ECDSA's.</summary>
    private static EcdsaCurves In12(ReadOnlySpan<byte> suites, ReadOnlySpan<byte> groups, ReadOnlySpan<byte> signatures)
    {
        var hasSuite = false;
        for (; suites.Length >= 2 && !hasSuite; suites = suites[2..])
            hasSuite = BinaryPrimitives.ReadUInt16BigEndian(suites) is 0xC009 or 0xC00A or 0xC023 or 0xC024 or 0xC02B or 0xC02C or 0xCCA9;
        var signs = signatures.IsEmpty;
        for (; signatures.Length >= 2 && !signs; signatures = signatures[2..]) signs = signatures[1] == 3;
        return hasSuite && signs ? Curves(groups, 23, 24, 25) : EcdsaCurves.None;
    }

    private static EcdsaCurves Curves(ReadOnlySpan<byte> values, int p256, int p384, int p521) =>
        (Contains(values, p256) ? EcdsaCurves.P256 : 0) | (Contains(values, p384) ? EcdsaCurves.P384 : 0) | (Contains(values, p521) ? EcdsaCurves.P521 : 0);

    private static bool Contains(ReadOnlySpan<byte> values, int value)
    {
        for (; values.Length >= 2; values = values[2..])
            if (BinaryPrimitives.ReadUInt16BigEndian(values) == value) return true;
        return false;
    }

    private static bool ReadServerName(ReadOnlySpan<byte> content, ref string? name)
    {
        if (!Take(ref content, 2, out var list) || content.Length > 0) return false;
        while (list.Length > 0)
        {
            var kind = list[0];
            list = list[1..];
            if (!Take(ref list, 2, out var text)) return false;
            if (kind != 0) continue;
            // Of two names, a gateway could read one, and the server behind it the other (RFC 6066 section 3).
            if (name is not null || text.Length is 0 or > 255 || text.IndexOfAnyExceptInRange((byte)0x21, (byte)0x7E) >= 0) return false;
            name = Encoding.ASCII.GetString(text).ToLowerInvariant();
        }
        return true;
    }

    private static bool ReadProtocols(ReadOnlySpan<byte> content, ref ValueList<string> protocols)
    {
        if (!Take(ref content, 2, out var list) || content.Length > 0) return false;
        var names = new List<string>();
        while (list.Length > 0)
        {
            if (!Take(ref list, 1, out var name) || name.Length == 0) return false;
            names.Add(Alpn.Known(name) ?? Encoding.Latin1.GetString(name));
        }
        protocols = [.. names];
        return true;
    }

    /// <summary>Reads a value prefixed with its length in <paramref name="prefix"/> bytes.</summary>
    private static bool Take(ref ReadOnlySpan<byte> from, int prefix, out ReadOnlySpan<byte> value)
    {
        value = default;
        if (from.Length < prefix) return false;
        var length = prefix == 1 ? from[0] : BinaryPrimitives.ReadUInt16BigEndian(from);
        if (from.Length < prefix + length) return false;
        value = from.Slice(prefix, length);
        from = from[(prefix + length)..];
        return true;
    }

    private static int Length24(ReadOnlySpan<byte> bytes) => (bytes[0] << 16) | (bytes[1] << 8) | bytes[2];
}

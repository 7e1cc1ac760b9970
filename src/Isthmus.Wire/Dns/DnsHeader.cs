using System.Buffers.Binary;

namespace Isthmus.Wire.Dns;

/// <summary>The first twelve bytes of a message (RFC 1035 4.1.1), without the counts.</summary>
public readonly record struct DnsHeader(ushort Id, ushort Flags)
{
    public const int Size = 12;

    private const ushort Response = 0x8000, Authoritative = 0x0400, Truncated = 0x0200, Recursion = 0x0100, RecursionOffered = 0x0080;

    public bool IsResponse => (Flags & Response) != 0;
    public int OpCode => (Flags >> 11) & 0xF;
    public bool IsAuthoritative => (Flags & Authoritative) != 0;
    public bool IsTruncated => (Flags & Truncated) != 0;
    public bool RecursionDesired => (Flags & Recursion) != 0;
    public DnsCode Code => (DnsCode)(Flags & 0xF);

    public static DnsHeader Read(ReadOnlySpan<byte> message) =>
        new(BinaryPrimitives.ReadUInt16BigEndian(message), BinaryPrimitives.ReadUInt16BigEndian(message[2..]));

    public static DnsHeader Query(ushort id, bool recursion = true) => new(id, recursion ? Recursion : (ushort)0);

    /// <summary>The header of a response to this query.</summary>
    public DnsHeader Answer(DnsCode code, bool authoritative, bool recursionAvailable) => new(
        Id,
        (ushort)(Response | (Flags & 0x7800) | (Flags & Recursion) | (authoritative ? Authoritative : 0) | (recursionAvailable
            ? RecursionOffered
            : 0) | (int)code));

    internal DnsHeader AsTruncated() => this with { Flags = (ushort)(Flags | Truncated) };

    /// <summary>True when the bytes are a query with exactly one question, the only kind that exists in practice.</summary>
    public static bool IsPlainQuery(ReadOnlySpan<byte> message) =>
        message.Length >= Size && Read(message) is { IsResponse: false, OpCode: 0 } && BinaryPrimitives.ReadUInt16BigEndian(message[4..]) == 1;
}

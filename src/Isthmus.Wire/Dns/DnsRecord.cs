using System.Net;
using Isthmus.Core.Collections;

namespace Isthmus.Wire.Dns;

/// <summary>Record types (IANA "DNS Parameters").</summary>
public enum DnsType : ushort
{
    A = 1,
    NS = 2,
    CNAME = 5,
    SOA = 6,
    PTR = 12,
    MX = 15,
    TXT = 16,
    AAAA = 28,
    SRV = 33,
    OPT = 41,
    ANY = 255,
}

/// <summary>Response codes (RFC 1035 4.1.1).</summary>
public enum DnsCode : byte
{
    NoError = 0,
    FormatError = 1,
    ServerFailure = 2,
    NameError = 3,
    NotImplemented = 4,
    Refused = 5,
}

/// <summary>What is asked.</summary>
/// <param name="Name">Without a final dot, in the case of the query; the root is empty. Non-printable bytes are written
/// <c>\DDD</c>.</param>
public readonly record struct DnsQuestion(string Name, DnsType Type, ushort Class = DnsQuestion.Internet)
{
    public const ushort Internet = 1;
}

/// <summary>One resource record of class Internet.</summary>
/// <param name="Ttl">Seconds.</param>
public sealed record DnsRecord(string Name, uint Ttl, DnsContent Content, ushort Class = DnsQuestion.Internet)
{
    public DnsType Type => Content.Type;
}

/// <summary>The data of a record.</summary>
public abstract record DnsContent(DnsType Type);

/// <summary>A or AAAA, by the family of the address.</summary>
public sealed record AddressContent(IPAddress Address)
    : DnsContent(Address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork ? DnsType.A : DnsType.AAAA);

/// <summary>CNAME, NS or PTR.</summary>
public sealed record NameContent(DnsType Kind, string Target) : DnsContent(Kind);

public sealed record ServiceContent(ushort Priority, ushort Weight, ushort Port, string Target) : DnsContent(DnsType.SRV);

public sealed record MailContent(ushort Preference, string Exchange) : DnsContent(DnsType.MX);

/// <summary>Each text has at most 255 bytes; they are kept as Latin-1.</summary>
public sealed record TextContent(ValueList<string> Texts) : DnsContent(DnsType.TXT);

/// <param name="Minimum">How long a negative answer may be kept, seconds (RFC 2308).</param>
public sealed record AuthorityContent(
    string PrimaryServer, string Mailbox, uint Serial, uint Refresh, uint Retry, uint Expire, uint Minimum) : DnsContent(DnsType.SOA);

/// <summary>A record of another type, kept as bytes.</summary>
public sealed record RawContent(DnsType Kind, ValueList<byte> Bytes) : DnsContent(Kind);

/// <summary>The EDNS(0) pseudo record (RFC 6891).</summary>
/// <param name="UdpSize">The largest UDP response the sender accepts, in bytes.</param>
public sealed record Edns(ushort UdpSize, bool DnssecOk = false);

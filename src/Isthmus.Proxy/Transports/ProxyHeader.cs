using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Isthmus.Proxy.Transports;

/// <summary>Whose connection a proxy carries: the ends of the connection that it accepted.</summary>
internal sealed record ProxiedConnection(IPEndPoint Source, IPEndPoint Destination)
{
    public override string ToString() => $"{Source}>{Destination}";
}

internal enum ProxyHeaderStatus { Incomplete, Complete, Absent, Malformed }

/// <summary>The header of the PROXY protocol, by which a proxy says whose connection it carries
/// (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt).</summary>
/// <param name="Version">Its form.</param>
/// <param name="Length">Its bytes.</param>
/// <param name="Carried">Null: the proxy's own connection, or one of a kind that is not known here.</param>
internal readonly record struct ProxyHeader(ProxyProtocolVersion Version, int Length, ProxiedConnection? Carried)
{
    private const int LongestLine = 107;
    private const int FixedLength = 16;

    private static ReadOnlySpan<byte> LineStart => "PROXY "u8;

    private static ReadOnlySpan<byte> Signature => "\r\n\r\n\0\r\nQUIT\n"u8;

    /// <summary>How many bytes a header has of which these are the first; 0: not known yet.</summary>
    public static int LengthOf(ReadOnlySpan<byte> bytes) =>
        bytes.Length >= FixedLength && bytes.StartsWith(Signature) ? FixedLength + BinaryPrimitives.ReadUInt16BigEndian(bytes[14..]) : 0;

    public static ProxyHeaderStatus Read(ReadOnlySpan<byte> bytes, out ProxyHeader header)
    {
        header = default;
        if (bytes.StartsWith(LineStart)) return ReadLine(bytes, out header);
        if (bytes.StartsWith(Signature)) return ReadBinary(bytes, out header);
        return LineStart.StartsWith(bytes) || Signature.StartsWith(bytes) ? ProxyHeaderStatus.Incomplete : ProxyHeaderStatus.Absent;
    }

    /// <param name="carried">Null: the connection is the proxy's own.</param>
    public static byte[] Write(ProxyProtocolVersion version, ProxiedConnection? carried) =>
        version == ProxyProtocolVersion.V1 ? WriteLine(carried) : WriteBinary(carried);

    private static byte[] WriteLine(ProxiedConnection? carried)
    {
        if (FamilyOf(carried) is not { } family) return "PROXY UNKNOWN\r\n"u8.ToArray();
        var (source, destination) = carried!;
        return Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture,
            $"PROXY {(family == AddressFamily.InterNetwork ? "TCP4" : "TCP6")} {Address(source, family)} {Address(destination, family)} {source.Port} "
                + $"{destination.Port}\r\n"));
    }

    private static byte[] WriteBinary(ProxiedConnection? carried)
    {
        if (FamilyOf(carried) is not { } family) return [.. Signature, 0x20, 0, 0, 0];
        var (source, destination) = carried!;
        Span<byte> ports = stackalloc byte[4];
        BinaryPrimitives.WriteUInt16BigEndian(ports, (ushort)source.Port);
        BinaryPrimitives.WriteUInt16BigEndian(ports[2..], (ushort)destination.Port);
        byte[] addresses = [.. Address(source, family).GetAddressBytes(), .. Address(destination, family).GetAddressBytes(), .. ports];
        return [.. Signature, 0x21, family == AddressFamily.InterNetwork ? (byte)0x11 : (byte)0x21, 0, (byte)addresses.Length, .. addresses];
    }

    /// <summary>IPv6 if one end has it; null without ends.</summary>
    private static AddressFamily? FamilyOf(ProxiedConnection? carried) => carried is null ? null
        : IsIPv4(carried.Source.Address) && IsIPv4(carried.Destination.Address) ? AddressFamily.InterNetwork : AddressFamily.InterNetworkV6;

    private static bool IsIPv4(IPAddress address) => address.AddressFamily == AddressFamily.InterNetwork || address.IsIPv4MappedToIPv6;

    private static IPAddress Address(IPEndPoint end, AddressFamily family) =>
        family == AddressFamily.InterNetwork ? end.Address.MapToIPv4() : end.Address.MapToIPv6();

    private static ProxyHeaderStatus ReadLine(ReadOnlySpan<byte> bytes, out ProxyHeader header)
    {
        header = default;
        var end = bytes[..Math.Min(bytes.Length, LongestLine)].IndexOf("\r\n"u8);
        if (end < 0) return bytes.Length < LongestLine ? ProxyHeaderStatus.Incomplete : ProxyHeaderStatus.Malformed;
        var words = Encoding.ASCII.GetString(bytes[LineStart.Length..end]).Split(' ');
        ProxiedConnection? carried = null;
        if (words[0] != "UNKNOWN")
        {
            var family = words[0] switch { "TCP4" => AddressFamily.InterNetwork, "TCP6" => AddressFamily.InterNetworkV6, _ => AddressFamily.Unspecified };
            if (words.Length != 5 || End(words[1], words[3], family) is not { } source || End(words[2], words[4], family) is not { } destination)
                return ProxyHeaderStatus.Malformed;
            carried = new(source, destination);
        }
        header = new(ProxyProtocolVersion.V1, end + 2, carried);
        return ProxyHeaderStatus.Complete;
    }

    private static IPEndPoint? End(string address, string port, AddressFamily family)
    {
        // Forms such as 0x7f000001, 010.0.0.1, [::1] and ::1%lo are addresses to the parser, but not here.
        return IPAddress.TryParse(address, out var parsed) && parsed.AddressFamily == family && IsPlain(address, parsed)
            && ushort.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? new(parsed, number) : null;
    }

    private static bool IsPlain(string address, IPAddress parsed) => parsed.AddressFamily == AddressFamily.InterNetwork
        ? address == parsed.ToString() : address.All(c => char.IsAsciiHexDigit(c) || c is ':' or '.');

    private static ProxyHeaderStatus ReadBinary(ReadOnlySpan<byte> bytes, out ProxyHeader header)
    {
        header = default;
        var length = LengthOf(bytes);
        if (length == 0 || bytes.Length < length) return ProxyHeaderStatus.Incomplete;
        var (command, family) = (bytes[12], bytes[13]);
        if (command is not (0x20 or 0x21)) return ProxyHeaderStatus.Malformed;
        var addressLength = (command, family) switch { (0x21, 0x11) => 4, (0x21, 0x21) => 16, _ => 0 };
        ProxiedConnection? carried = null;
        if (addressLength > 0)
        {
            if (length < FixedLength + 2 * addressLength + 4) return ProxyHeaderStatus.Malformed;
            var ports = bytes.Slice(FixedLength + 2 * addressLength, 4);
            carried = new(
                new(new IPAddress(bytes.Slice(FixedLength, addressLength)), BinaryPrimitives.ReadUInt16BigEndian(ports)),
                new(new IPAddress(bytes.Slice(FixedLength + addressLength, addressLength)), BinaryPrimitives.ReadUInt16BigEndian(ports[2..])));
        }
        header = new(ProxyProtocolVersion.V2, length, carried);
        return ProxyHeaderStatus.Complete;
    }
}

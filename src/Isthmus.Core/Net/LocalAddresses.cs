using System.Net;
using System.Net.Sockets;

namespace Isthmus.Core.Net;

/// <summary>Addresses that mean something else on each machine, or nothing. Nobody else's text leads a connection there.</summary>
public static class LocalAddresses
{
    /// <summary>Whether an address, or the IPv4 address inside of it, is of the loopback or "this" network, link-local (with the metadata services of
    /// clouds), site-local, multicast or broadcast.</summary>
    public static bool Contain(IPAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        address.TryWriteBytes(bytes, out var length);
        if (address.AddressFamily == AddressFamily.InterNetwork) return IsLocal(bytes[..length]);
        return IPAddress.IsLoopback(address) || address.IsIPv6LinkLocal || address.IsIPv6SiteLocal || address.IsIPv6Multicast
            || (Inner(bytes) is { IsEmpty: false } inner && IsLocal(inner));
    }

    private static bool IsLocal(ReadOnlySpan<byte> address) => address[0] is 0 or 127 or >= 224 || address is [169, 254, ..];

    /// <summary>The IPv4 address that an address of IPv6 carries: mapped (<c>::ffff:0:0/96</c>), compatible (<c>::/96</c>), of a translator
    /// (<c>64:ff9b::/96</c>, RFC 6052) or of 6to4 (<c>2002::/16</c>, RFC 3056); empty for none.</summary>
    private static ReadOnlySpan<byte> Inner(ReadOnlySpan<byte> address)
    {
        if (address is [0x20, 0x02, ..]) return address.Slice(2, 4);
        var isEmbedded = address is [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, ..] or [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ..] or [0, 0, 0, 0, 0, 0, 0,
            0, 0, 0, 0, 0, ..];
        return isEmbedded ? address[12..] : [];
    }
}

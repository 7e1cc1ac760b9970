using System.Net;
using Isthmus.Core.Net;

namespace Isthmus.Proxy.Transports;

/// <summary>Addresses that peers and control planes write as <c>IP:PORT</c>, with IPv6 in brackets.</summary>
internal static class AddressText
{
    /// <summary>
    /// The address; null: the text is none. Nothing is guessed: a text without a port, or with the port 0, is none, and so is half an IPv4 address. An IPv4
    /// address that is written as IPv6 is that IPv4 address, so that ranges of IPv4 in filter chains and policies see it.
    /// </summary>
    public static IPEndPoint? Parse(ReadOnlySpan<char> text)
    {
        var colon = text.LastIndexOf(':');
        if (colon < 0 || !PortNumber.TryParse(text[(colon + 1)..], out var port) || port == 0) return null;
        var host = text[..colon];
        var isBracketed = host is ['[', .., ']'];
        if (isBracketed) host = host[1..^1];
        return host.Contains(':') == isBracketed && Address.TryParse(host, out var address) ? new(address.ToIPAddress(), port) : null;
    }
}

using System.Net;
using System.Net.Sockets;

namespace Isthmus.Lab.ApiServer.Cel;

/// <summary>A range of addresses.</summary>
/// <param name="Address">As written: it may have bits of its own after the prefix.</param>
internal sealed record CelCidr(IPAddress Address, int Length)
{
    public override string ToString() => $"{Address}/{Length}";

    public IPAddress Masked()
    {
        var bytes = Address.GetAddressBytes();
        for (var bit = Length; bit < bytes.Length * 8; bit++) bytes[bit / 8] &= (byte)~(0x80 >> (bit % 8));
        return new(bytes);
    }

    public bool Contains(IPAddress other) => other.AddressFamily == Address.AddressFamily && new CelCidr(other, Length).Masked().Equals(Masked());
}

/// <summary>The functions of IP addresses and CIDRs.</summary>
internal static class CelAddresses
{
    public static readonly CelFunctionSet All = new CelFunctionSet()
        .Add<string>("isIP", text => Parse(text) is not null)
        .Add("ip", 1, arguments => arguments[0] switch
        {
            string text => Address(text),
            IPAddress address => address,
            CelCidr range => range.Address,
            _ => throw CelFailureException.NoOverload(),
        })
        .Add<string>("ip.isCanonical", text => Address(text).ToString() == text)
        .Add("family", 1,
            arguments => arguments[0] is IPAddress address
                ? address.AddressFamily == AddressFamily.InterNetwork ? 4L : 6L
                : throw CelFailureException.NoOverload())
        .Add<IPAddress>("isUnspecified", address => address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any))
        .Add<IPAddress>("isLoopback", IsLoopback)
        .Add<IPAddress>("isLinkLocalMulticast", address => IsWithin(address, "224.0.0.0/24") || Scope(address) is 0xff02)
        .Add<IPAddress>("isLinkLocalUnicast", address => IsWithin(address, "169.254.0.0/16") || IsWithin(address, "fe80::/10"))
        .Add<IPAddress>("isGlobalUnicast", IsGlobalUnicast)
        .Add<string>("isCIDR", text => ParseRange(text) is not null)
        .Add<string>("cidr", Range)
        .Add("containsIP", 2, arguments => arguments switch
        {
            [CelCidr range, IPAddress address] => range.Contains(address),
            [CelCidr range, string text] => range.Contains(Address(text)),
            _ => throw CelFailureException.NoOverload(),
        })
        .Add("containsCIDR", 2, arguments => arguments switch
        {
            [CelCidr range, CelCidr other] => Contains(range, other),
            [CelCidr range, string text] => Contains(range, Range(text)),
            _ => throw CelFailureException.NoOverload(),
        })
        .Add<CelCidr>("masked", range => range with { Address = range.Masked() })
        .Add<CelCidr>("prefixLength", range => (long)range.Length);

    /// <summary>Null for text that is not an address, for one with a zone, and for IPv4 written as IPv6.</summary>
    private static IPAddress? Parse(string text)
    {
        if (!IPAddress.TryParse(text, out var address) || text.AsSpan().ContainsAny("%[/")) return null;
        if (address.AddressFamily == AddressFamily.InterNetwork) return address.ToString() == text ? address : null;
        return address.IsIPv4MappedToIPv6 ? null : address;
    }

    private static CelCidr? ParseRange(string text)
    {
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        if (slash < 0 || Parse(text[..slash]) is not { } address) return null;
        var length = text[(slash + 1)..];
        return length.Length is > 0 and < 4 && length.All(char.IsAsciiDigit) && (length == "0" || length[0] != '0')
            && int.Parse(length, System.Globalization.CultureInfo.InvariantCulture) is var bits && bits <= address.GetAddressBytes().Length * 8
            ? new(address, bits)
            : null;
    }

    private static IPAddress Address(string text) =>
        Parse(text) ?? throw new CelFailureException($"IP Address {Values.GoText.Quote(text)} parse error during conversion from string");

    private static CelCidr Range(string text) =>
        ParseRange(text) ?? throw new CelFailureException($"network address parse error during conversion from string: {Values.GoText.Quote(text)}");

    private static object Contains(CelCidr range, CelCidr other) => other.Length >= range.Length && range.Contains(other.Address);

    private static object IsLoopback(IPAddress address) => IPAddress.IsLoopback(address);

    private static object IsGlobalUnicast(IPAddress address) =>
        !address.Equals(IPAddress.Any) && !address.Equals(IPAddress.IPv6Any) && !address.Equals(IPAddress.Broadcast) && !IPAddress.IsLoopback(address)
        && !IsWithin(address, "224.0.0.0/4") && !IsWithin(address, "ff00::/8") && !IsWithin(address, "169.254.0.0/16") && !IsWithin(address, "fe80::/10");

    private static bool IsWithin(IPAddress address, string range) => ParseRange(range)!.Contains(address);

    /// <summary>The first two bytes of an IPv6 address, where multicast has its scope.</summary>
    private static int Scope(IPAddress address) =>
        address.AddressFamily == AddressFamily.InterNetworkV6 ? (address.GetAddressBytes()[0] << 8 | address.GetAddressBytes()[1]) & 0xff0f : 0;
}

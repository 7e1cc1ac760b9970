using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;

namespace Isthmus.Core.Net;

/// <summary>A range of IP addresses in CIDR notation. A bare address is a range of one.</summary>
public readonly record struct Cidr
{
    private readonly IPNetwork _network;

    private Cidr(IPNetwork network) => _network = network;

    public IPAddress Base => _network.BaseAddress;

    public int PrefixLength => _network.PrefixLength;

    public static Cidr Parse(string text) =>
        TryParse(text, out var cidr) ? cidr : throw new FormatException($"'{text}' is not an IP address or CIDR.");

    public static bool TryParse(string? text, out Cidr cidr)
    {
        cidr = default;
        if (string.IsNullOrEmpty(text)) return false;
        if (text.Contains('/', StringComparison.Ordinal))
        {
            var slash = text.IndexOf('/', StringComparison.Ordinal);
            if (!IsAddress(text[..slash], out var address)
                || !int.TryParse(text.AsSpan(slash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var length)) return false;
            if (length < 0 || length > address.GetAddressBytes().Length * 8) return false;
            cidr = new(new IPNetwork(Mask(address, length), length));
            return true;
        }
        if (!IsAddress(text, out var single)) return false;
        cidr = new(new IPNetwork(single, single.GetAddressBytes().Length * 8));
        return true;
    }

    public bool Contains(IPAddress address) => _network.Contains(address);

    public bool Overlaps(Cidr other) => Contains(other.Base) || other.Contains(Base);

    public override string ToString() => _network.ToString();

    /// <summary>In the forms that <see cref="Address"/> takes.</summary>
    private static bool IsAddress(string text, [NotNullWhen(true)] out IPAddress? address)
    {
        address = null;
        return Address.TryParse(text, out _) && IPAddress.TryParse(text, out address);
    }

    private static IPAddress Mask(IPAddress address, int length)
    {
        var bytes = address.GetAddressBytes();
        for (var bit = length; bit < bytes.Length * 8; bit++) bytes[bit / 8] &= (byte)~(0x80 >> (bit % 8));
        return new IPAddress(bytes);
    }
}

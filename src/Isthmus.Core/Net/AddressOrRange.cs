using System.Globalization;

namespace Isthmus.Core.Net;

/// <summary>An IP address, or a range of them as it is written: <c>10.0.0.5</c>, <c>10.0.0.0/8</c>. A range of one is not an address.</summary>
public readonly record struct AddressOrRange
{
    private AddressOrRange(Address address, int? prefixLength) => (Address, PrefixLength) = (address, prefixLength);

    /// <summary>The address; of a range, the one before the slash.</summary>
    public Address Address { get; }

    /// <summary>How many bits the addresses of a range share; null for an address.</summary>
    public int? PrefixLength { get; }

    public bool IsRange => PrefixLength is not null;

    /// <summary>How many bits are fixed.</summary>
    public int FixedBits => PrefixLength ?? Address.Bits;

    /// <summary>The only address that is meant; null for a range of several.</summary>
    public Address? Single => FixedBits == Address.Bits ? Address : null;

    public static AddressOrRange Of(Address address) => new(address, null);

    /// <exception cref="FormatException"/>
    public static AddressOrRange Parse(string text) =>
        TryParse(text, out var read) ? read : throw new FormatException($"'{text}' is neither an IP address nor a range of them");

    public static bool TryParse(ReadOnlySpan<char> text, out AddressOrRange read)
    {
        read = default;
        var slash = text.IndexOf('/');
        if (!Address.TryParse(slash < 0 ? text : text[..slash], out var address)) return false;
        if (slash < 0)
        {
            read = Of(address);
            return true;
        }
        if (!int.TryParse(text[(slash + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out var length)) return false;
        // The length of an IPv4 address that is written as one of IPv6 counts the bits before it, too.
        if (address.IsV4 && text.Contains(':')) length -= 96;
        if (length < 0 || length > address.Bits) return false;
        read = new(address, length);
        return true;
    }

    public bool Contains(Address address) => address.IsV4 == Address.IsV4 && address.First(FixedBits) == Address.First(FixedBits);

    public override string ToString() => PrefixLength is { } length ? string.Create(CultureInfo.InvariantCulture, $"{Address}/{length}") : Address.ToString();
}

using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json.Serialization;

namespace Isthmus.Core.Net;

/// <summary>
/// An IP address as a value of 16 bytes: the number of RFC 4291, where an IPv4 address is the one that is mapped into IPv6 (section 2.5.5.2). Both
/// spellings of such an address are therefore equal, and of IPv4. The default value is <c>::</c>.
/// </summary>
/// <remarks>The text is that of RFC 5952. Parsing takes what Go's <c>netip.ParseAddr</c> takes, thus Kubernetes and Istio, but no zone: no
/// parts of IPv4 that start with 0 (some programs read them as octal), no IPv4 of fewer than four parts.</remarks>
[JsonConverter(typeof(AddressJson))]
public readonly struct Address : IEquatable<Address>, IComparable<Address>, ISpanFormattable
{
    private const ulong Mapped = 0xFFFF_0000_0000;
    private const int LongestText = 39;

    private readonly ulong _high, _low;

    private Address(ulong high, ulong low) => (_high, _low) = (high, low);

    public bool IsV4 => _high == 0 && _low >> 32 == Mapped >> 32;

    public AddressFamily Family => IsV4 ? AddressFamily.InterNetwork : AddressFamily.InterNetworkV6;

    /// <summary>How many bits an address of its family has.</summary>
    public int Bits => IsV4 ? 32 : 128;

    /// <summary>Whether it is all zeros, which stands for every address of its family.</summary>
    public bool IsUnspecified => _high == 0 && _low is (0 or Mapped);

    public byte LastByte => unchecked((byte)_low);

    /// <summary>127.0.0.1.</summary>
    public static Address LoopbackV4 => V4(0x7F00_0001);

    public static Address V4(uint number) => new(0, Mapped | number);

    public static Address Of(IPAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        address.TryWriteBytes(bytes, out var length);
        return length == 4 ? V4(BinaryPrimitives.ReadUInt32BigEndian(bytes)) : OfBytes(bytes);
    }

    /// <exception cref="FormatException"/>
    public static Address Parse(ReadOnlySpan<char> text) =>
        TryParse(text, out var address) ? address : throw new FormatException($"'{text}' is not an IP address");

    public static bool TryParse(ReadOnlySpan<char> text, out Address address)
    {
        address = default;
        if (text.Length is < 2 or > 45) return false;
        if (text.Contains(':')) return TryParseV6(text, out address);
        if (!TryParseV4(text, out var number)) return false;
        address = V4(number);
        return true;
    }

    public IPAddress ToIPAddress()
    {
        Span<byte> bytes = stackalloc byte[16];
        WriteBytes(bytes);
        return new(IsV4 ? bytes[12..] : bytes);
    }

    /// <summary>The first address of the range that it is in.</summary>
    /// <param name="length">How many bits the addresses of the range share.</param>
    public Address First(int length)
    {
        var bits = IsV4 ? length + 96 : length;
        return new(Kept(_high, bits), Kept(_low, bits - 64));

        static ulong Kept(ulong half, int count) => count <= 0 ? 0 : count >= 64 ? half : half & ~(ulong.MaxValue >> count);
    }

    /// <summary>The address at a distance, of the same family.</summary>
    /// <exception cref="OverflowException">There is none.</exception>
    public Address Plus(ulong distance)
    {
        if (IsV4) return V4(checked((uint)(unchecked((uint)_low) + distance)));
        var low = unchecked(_low + distance);
        return new(low < _low ? checked(_high + 1) : _high, low);
    }

    /// <summary>How far it is behind another one of its family; null if it is before that, or further than <see cref="ulong.MaxValue"/>.</summary>
    public ulong? Minus(Address other)
    {
        if (IsV4 != other.IsV4 || CompareTo(other) < 0) return null;
        var borrow = _low < other._low ? 1UL : 0;
        return _high - other._high - borrow == 0 ? unchecked(_low - other._low) : null;
    }

    public bool Equals(Address other) => _low == other._low && _high == other._high;

    public override bool Equals(object? obj) => obj is Address other && Equals(other);

    public override int GetHashCode() => HashCode.Combine(_high, _low);

    /// <summary>By number, IPv4 before IPv6.</summary>
    public int CompareTo(Address other)
    {
        if (IsV4 != other.IsV4) return IsV4 ? -1 : 1;
        return _high != other._high ? _high.CompareTo(other._high) : _low.CompareTo(other._low);
    }

    public override string ToString()
    {
        Span<char> text = stackalloc char[LongestText];
        TryFormat(text, out var length, default, null);
        return new(text[..length]);
    }

    string IFormattable.ToString(string? format, IFormatProvider? formatProvider) => ToString();

    public bool TryFormat(Span<char> destination, out int charsWritten, ReadOnlySpan<char> format, IFormatProvider? provider)
    {
        Span<byte> bytes = stackalloc byte[16];
        WriteBytes(bytes);
        return IsV4
            ? destination.TryWrite(CultureInfo.InvariantCulture, $"{bytes[12]}.{bytes[13]}.{bytes[14]}.{bytes[15]}", out charsWritten)
            : TryFormatV6(bytes, destination, out charsWritten);
    }

    public static bool operator ==(Address left, Address right) => left.Equals(right);

    public static bool operator !=(Address left, Address right) => !left.Equals(right);

    public static bool operator <(Address left, Address right) => left.CompareTo(right) < 0;

    public static bool operator >(Address left, Address right) => left.CompareTo(right) > 0;

    public static bool operator <=(Address left, Address right) => left.CompareTo(right) <= 0;

    public static bool operator >=(Address left, Address right) => left.CompareTo(right) >= 0;

    private static Address OfBytes(ReadOnlySpan<byte> bytes) =>
        new(BinaryPrimitives.ReadUInt64BigEndian(bytes), BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]));

    private void WriteBytes(Span<byte> bytes)
    {
        BinaryPrimitives.WriteUInt64BigEndian(bytes, _high);
        BinaryPrimitives.WriteUInt64BigEndian(bytes[8..], _low);
    }

    private static bool TryParseV4(ReadOnlySpan<char> text, out uint number)
    {
        number = 0;
        var parts = 0;
        foreach (var range in text.Split('.'))
        {
            var part = text[range];
            if (++parts > 4 || part.Length > 1 && part[0] == '0' || !byte.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var value))
                return false;
            number = number << 8 | value;
        }
        return parts == 4;
    }

    /// <summary>.NET also takes zones, brackets, ports and prefix lengths, and IPv4 in it of any form.</summary>
    private static bool TryParseV6(ReadOnlySpan<char> text, out Address address)
    {
        address = default;
        foreach (var c in text)
        {
            if (!char.IsAsciiHexDigit(c) && c is not (':' or '.')) return false;
        }
        if (text.Contains('.') && !TryParseV4(text[(text.LastIndexOf(':') + 1)..], out _)) return false;
        if (!IPAddress.TryParse(text, out var parsed) || parsed.AddressFamily != AddressFamily.InterNetworkV6) return false;
        address = Of(parsed);
        return true;
    }

    /// <summary>Lower case, no leading zeros, and <c>::</c> for the first of the longest runs of at least two zeros.</summary>
    private static bool TryFormatV6(ReadOnlySpan<byte> bytes, Span<char> destination, out int written)
    {
        var (start, length) = LongestZeros(bytes);
        written = 0;
        for (var i = 0; i < 8; i++)
        {
            if (i == start)
            {
                if (!"::".TryCopyTo(destination[written..])) return false;
                (written, i) = (written + 2, i + length - 1);
                continue;
            }
            if (i > 0 && i != start + length)
            {
                if (written == destination.Length) return false;
                destination[written++] = ':';
            }
            if (!BinaryPrimitives.ReadUInt16BigEndian(bytes[(2 * i)..]).TryFormat(destination[written..], out var part, "x", CultureInfo.InvariantCulture))
                return false;
            written += part;
        }
        return true;
    }

    private static (int Start, int Length) LongestZeros(ReadOnlySpan<byte> bytes)
    {
        var (start, length) = (-1, 1);
        for (var i = 0; i < 8; i++)
        {
            var run = 0;
            while (i + run < 8 && BinaryPrimitives.ReadUInt16BigEndian(bytes[(2 * (i + run))..]) == 0) run++;
            if (run > length) (start, length) = (i, run);
            i += run;
        }
        return start < 0 ? (-1, 0) : (start, length);
    }
}

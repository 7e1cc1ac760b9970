using Isthmus.Core.Net;
using Isthmus.Core.Problems;

namespace Isthmus.Graph.Derive;

/// <summary>A range that addresses are given from: its first 2³² ones, if it has more.</summary>
internal sealed class AllocationRange
{
    private const int MostBits = 32;

    /// <summary>What is dialled there stays on the machine or the link, or goes to several.</summary>
    private static readonly Cidr[] Special =
    [
        .. ((string[])["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32", "::/8", "fe80::/10", "ff00::/8"])
            .Select(Cidr.Parse),
    ];

    private readonly Address _first;

    private AllocationRange(Cidr range)
    {
        _first = Address.Of(range.Base);
        Size = 1UL << Math.Min(MostBits, _first.Bits - range.PrefixLength);
        Usable = _first.IsV4 ? UsableV4() : Size - 1;
    }

    /// <summary>How many addresses it has, usable or not.</summary>
    public ulong Size { get; }

    public ulong Usable { get; }

    /// <exception cref="ProblemException">The range cannot be used, or overlaps another one.</exception>
    public static IEnumerable<AllocationRange> Check(IReadOnlyList<Cidr> ranges)
    {
        const string place = "ranges of allocated addresses";
        if (ranges.Count == 0) throw new ProblemException(place, "there is none", "name one, such as 240.240.0.0/16");
        foreach (var (index, range) in ranges.Index())
        {
            if (range.Base.IsIPv4MappedToIPv6)
                throw new ProblemException(place, $"{range} is a range of IPv4 addresses in the form of IPv6", "write it as a range of IPv4");
            if (Special.FirstOrDefault(special => special.Overlaps(range)) is { PrefixLength: > 0 } special)
                throw new ProblemException(place, $"{range} overlaps {special}, which is not routed to one host", "choose another range");
            if (ranges.Take(index).FirstOrDefault(other => other.Overlaps(range)) is { PrefixLength: > 0 } other)
                throw new ProblemException(place, $"{range} overlaps {other}", "name ranges that have no address in common");
            var made = new AllocationRange(range);
            yield return made.Usable > 0 ? made
                : throw new ProblemException(place, $"{range} has no address that can be given", "choose a larger range");
        }
    }

    public ulong? IndexOf(Address address) => address.Minus(_first) is { } index && index < Size ? index : null;

    /// <summary>Null: the address is not to be given.</summary>
    public Address? At(ulong index)
    {
        var address = _first.Plus(index);
        return IsUsable(address) ? address : null;
    }

    /// <summary>Some programs treat IPv4 addresses that end in .0 or .255 as network or broadcast addresses; the first one of an IPv6 subnet is that of
    /// its routers (RFC 4291, section 2.6.1).</summary>
    private bool IsUsable(Address address) => address.IsV4 ? address.LastByte is not (0 or 255) : address != _first;

    private ulong UsableV4()
    {
        if (Size >= 256) return Size / 256 * 254;
        ulong usable = 0;
        for (ulong index = 0; index < Size; index++) usable += IsUsable(_first.Plus(index)) ? 1u : 0u;
        return usable;
    }
}

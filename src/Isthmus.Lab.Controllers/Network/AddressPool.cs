using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Isthmus.Core.Collections;
using Isthmus.Core.Net;

namespace Isthmus.Lab.Controllers.Network;

/// <summary>A range of IPv4 addresses, including both ends.</summary>
public readonly record struct AddressRange(uint First, uint Last)
{
    public bool Contains(uint address) => address >= First && address <= Last;

    /// <summary>Parses <c>FIRST-LAST</c>, a CIDR or a single address; null for anything else.</summary>
    public static AddressRange? Parse(string text)
    {
        if (text.Split('-', 2) is [var first, var last])
            return Number(first.Trim()) is { } low && Number(last.Trim()) is { } high && low <= high ? new(low, high) : null;
        if (!Cidr.TryParse(text.Trim(), out var cidr) || cidr.Base.AddressFamily != AddressFamily.InterNetwork) return null;
        var start = Number(cidr.Base.ToString())!.Value;
        return new(start, cidr.PrefixLength == 0 ? uint.MaxValue : start | (uint)((1L << (32 - cidr.PrefixLength)) - 1));
    }

    public static uint? Number(string text) =>
        IPAddress.TryParse(text, out var address) && address.AddressFamily == AddressFamily.InterNetwork
            ? BinaryPrimitives.ReadUInt32BigEndian(address.GetAddressBytes()) : null;

    public static string Text(uint number)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, number);
        return new IPAddress(bytes).ToString();
    }
}

/// <summary>The source of addresses for LoadBalancer Services: an IPAddressPool, or the default pool.</summary>
/// <param name="AutoAssign">Whether Services that name no pool may get addresses from it.</param>
/// <param name="AvoidBuggyIPs">Whether to skip addresses that end in 0 or 255.</param>
public sealed record AddressPool(string Name, ValueList<AddressRange> Ranges, bool AutoAssign = true, bool AvoidBuggyIPs = false)
{
    public bool Contains(uint address) => Ranges.Any(range => range.Contains(address)) && !(AvoidBuggyIPs && (address & 0xff) is 0 or 255);

    /// <summary>The first free address; null when there is none.</summary>
    public uint? FirstFree(IReadOnlySet<uint> taken)
    {
        foreach (var range in Ranges)
        {
            // At most as many steps as there are taken addresses, plus the buggy ones among them.
            for (var address = range.First; ; address++)
            {
                if (!taken.Contains(address) && Contains(address)) return address;
                if (address == range.Last) break;
            }
        }
        return null;
    }
}

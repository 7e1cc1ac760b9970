using System.Buffers.Binary;
using System.Net;

namespace Isthmus.Lab.Machine.Network;

/// <summary>Arithmetic on IPv4 addresses.</summary>
internal static class Addresses
{
    internal static uint ToNumber(IPAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        if (!address.TryWriteBytes(bytes, out var written) || written != 4) throw new ArgumentException($"{address} is not an IPv4 address", nameof(address));
        return BinaryPrimitives.ReadUInt32BigEndian(bytes);
    }

    internal static IPAddress FromNumber(uint number)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, number);
        return new IPAddress(bytes);
    }

    internal static IPAddress Add(IPAddress address, int offset) => FromNumber((uint)(ToNumber(address) + offset));

    /// <summary>
    /// A hardware address derived from the IP address. When a cluster or a Pod comes back with the same IP address, the
    /// neighbor entries of others stay correct.
    /// </summary>
    internal static byte[] HardwareAddress(IPAddress address)
    {
        var number = ToNumber(address);
        return [0x0a, 0x58, (byte)(number >> 24), (byte)(number >> 16), (byte)(number >> 8), (byte)number];
    }
}

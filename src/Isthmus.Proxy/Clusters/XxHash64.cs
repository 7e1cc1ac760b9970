using System.Buffers.Binary;
using System.Net;
using System.Numerics;
using System.Text;

namespace Isthmus.Proxy.Clusters;

/// <summary>The 64-bit xxHash, with which Envoy hashes: proxies of both kinds must send a key to the same host.</summary>
internal static class XxHash64
{
    private const ulong Prime1 = 11400714785074694791, Prime2 = 14029467366897019727, Prime3 = 1609587929392839161, Prime4 = 9650029242287828579,
        Prime5 = 2870177450012600261;

    /// <summary>With the name of a zone.</summary>
    private const int LongestAddress = 80;

    public static ulong Of(ReadOnlySpan<char> text, ulong seed = 0)
    {
        Span<byte> bytes = text.Length <= 256 ? stackalloc byte[768] : new byte[Encoding.UTF8.GetMaxByteCount(text.Length)];
        return Of(bytes[..Encoding.UTF8.GetBytes(text, bytes)], seed);
    }

    /// <summary>Of the address as text.</summary>
    public static ulong Of(IPAddress address)
    {
        Span<char> text = stackalloc char[LongestAddress];
        return Of(address.TryFormat(text, out var length) ? text[..length] : address.ToString());
    }

    public static ulong Of(ReadOnlySpan<byte> bytes, ulong seed = 0)
    {
        var rest = bytes;
        ulong hash;
        if (rest.Length >= 32)
        {
            var (a, b, c, d) = (seed + Prime1 + Prime2, seed + Prime2, seed, seed - Prime1);
            for (; rest.Length >= 32; rest = rest[32..])
            {
                a = Round(a, Word(rest));
                b = Round(b, Word(rest[8..]));
                c = Round(c, Word(rest[16..]));
                d = Round(d, Word(rest[24..]));
            }
            hash = BitOperations.RotateLeft(a, 1) + BitOperations.RotateLeft(b, 7) + BitOperations.RotateLeft(c, 12) + BitOperations.RotateLeft(d, 18);
            hash = Merge(Merge(Merge(Merge(hash, a), b), c), d);
        }
        else hash = seed + Prime5;
        hash += (ulong)bytes.Length;
        for (; rest.Length >= 8; rest = rest[8..]) hash = (BitOperations.RotateLeft(hash ^ Round(0, Word(rest)), 27) * Prime1) + Prime4;
        if (rest.Length >= 4)
        {
            hash = (BitOperations.RotateLeft(hash ^ (BinaryPrimitives.ReadUInt32LittleEndian(rest) * Prime1), 23) * Prime2) + Prime3;
            rest = rest[4..];
        }
        foreach (var last in rest) hash = BitOperations.RotateLeft(hash ^ (last * Prime5), 11) * Prime1;
        hash = (hash ^ (hash >> 33)) * Prime2;
        hash = (hash ^ (hash >> 29)) * Prime3;
        return hash ^ (hash >> 32);
    }

    private static ulong Word(ReadOnlySpan<byte> bytes) => BinaryPrimitives.ReadUInt64LittleEndian(bytes);

    private static ulong Round(ulong sum, ulong word) => BitOperations.RotateLeft(sum + (word * Prime2), 31) * Prime1;

    private static ulong Merge(ulong hash, ulong sum) => ((hash ^ Round(0, sum)) * Prime1) + Prime4;
}

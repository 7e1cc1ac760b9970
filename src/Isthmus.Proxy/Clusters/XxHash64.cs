using System.Net;
using System.Text;

namespace Isthmus.Proxy.Clusters;

/// <summary>The 64-bit xxHash, with which Envoy hashes: proxies of both kinds must send a key to the same host.</summary>
internal static class XxHash64
{
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

    public static ulong Of(ReadOnlySpan<byte> bytes, ulong seed = 0) => System.IO.Hashing.XxHash64.HashToUInt64(bytes, (long)seed);
}

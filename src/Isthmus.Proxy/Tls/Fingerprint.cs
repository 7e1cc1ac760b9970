using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Isthmus.Proxy.Tls;

/// <summary>SHA-256, as a key of tables.</summary>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct Fingerprint(long A, long B, long C, long D)
{
    internal static Fingerprint Of(ReadOnlySpan<byte> bytes)
    {
        Fingerprint print = default;
        SHA256.HashData(bytes, MemoryMarshal.AsBytes(new Span<Fingerprint>(ref print)));
        return print;
    }

    /// <summary>In lower case, as Envoy writes it.</summary>
    public override string ToString() => Convert.ToHexStringLower(MemoryMarshal.AsBytes(new ReadOnlySpan<Fingerprint>(in this)));
}

using System.Text;

namespace Isthmus.Proxy.Matching;

/// <summary>Compares bytes without regard to the case of ASCII letters. Other bytes must be equal.</summary>
internal static class AsciiCase
{
    public static bool Equal(ReadOnlySpan<byte> one, ReadOnlySpan<byte> other)
    {
        if (one.Length != other.Length) return false;
        if (Ascii.EqualsIgnoreCase(one, other)) return true;
        for (var i = 0; i < one.Length; i++)
            if (Lower(one[i]) != Lower(other[i])) return false;
        return true;
    }

    public static bool Contains(ReadOnlySpan<byte> text, ReadOnlySpan<byte> part)
    {
        for (var at = 0; at + part.Length <= text.Length; at++)
            if (Equal(text.Slice(at, part.Length), part)) return true;
        return false;
    }

    private static byte Lower(byte b) => b is >= (byte)'A' and <= (byte)'Z' ? (byte)(b | 0x20) : b;
}

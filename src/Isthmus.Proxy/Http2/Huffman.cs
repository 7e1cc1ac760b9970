namespace Isthmus.Proxy.Http2;

/// <summary>The static code of HPACK (RFC 7541 appendix B). It is canonical, so the lengths of its codes define it.</summary>
internal static class Huffman
{
    private const int LongestCode = 30;
    private const int End = 256;

    private static ReadOnlySpan<byte> Lengths =>
    [
        13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
        6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
        13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
        15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
        20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
        22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
        26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
        20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
        30,
    ];

    private static readonly (uint[] First, int[] Offset, int[] Count, ushort[] Symbols) Code = Build();

    /// <summary>Decodes; false when the bytes are not valid Huffman code, or end in anything but a short run of ones.</summary>
    public static bool TryDecode(ReadOnlySpan<byte> bytes, Span<byte> into, out int written)
    {
        written = 0;
        var code = 0u;
        var length = 0;
        foreach (var b in bytes)
        {
            for (var bit = 7; bit >= 0; bit--)
            {
                code = (code << 1) | (uint)((b >> bit) & 1);
                length++;
                if (length > LongestCode) return false;
                var at = (long)code - Code.First[length];
                if (at < 0 || at >= Code.Count[length]) continue;
                var symbol = Code.Symbols[Code.Offset[length] + at];
                if (symbol == End || written == into.Length) return false;
                into[written++] = (byte)symbol;
                code = 0;
                length = 0;
            }
        }
        return length < 8 && code == (1u << length) - 1;
    }

    private static (uint[], int[], int[], ushort[]) Build()
    {
        var first = new uint[LongestCode + 1];
        var offset = new int[LongestCode + 1];
        var count = new int[LongestCode + 1];
        foreach (var length in Lengths) count[length]++;
        var symbols = new ushort[Lengths.Length];
        var code = 0u;
        var at = 0;
        for (var length = 1; length <= LongestCode; length++)
        {
            code <<= 1;
            first[length] = code;
            offset[length] = at;
            for (var symbol = 0; symbol < Lengths.Length; symbol++)
                if (Lengths[symbol] == length) symbols[at++] = (ushort)symbol;
            code += (uint)count[length];
        }
        return (first, offset, count, symbols);
    }
}

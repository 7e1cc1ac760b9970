using System.Numerics;
using System.Runtime.Intrinsics;

namespace Isthmus.Kubernetes.Client;

/// <summary>
/// Finds where a JSON object or array ends, by its brackets outside strings only. A tokenizer takes as long for that as for reading the
/// object, and half of an object of the API is managed fields, which nobody reads. Whether what is between the brackets is JSON is up to
/// whoever reads it.
/// </summary>
internal static class JsonExtent
{
    private const byte Case = 0x20;    // '[' and '{', and ']' and '}', differ in this bit

    /// <summary>The length of the value that begins with the first byte; -1: its end is missing.</summary>
    /// <param name="json">Begins with <c>{</c> or <c>[</c>.</param>
    internal static int Of(ReadOnlySpan<byte> json)
    {
        var (depth, inString, isEscaped, at) = (0, 0u, false, 0);
        for (; at + Vector256<byte>.Count <= json.Length; at += Vector256<byte>.Count)
        {
            var bytes = Vector256.Create(json[at..]);
            var bare = bytes | Vector256.Create(Case);
            var end = Step(
                Bits(bytes, (byte)'"'), Bits(bytes, (byte)'\\'), Bits(bare, (byte)'{'), Bits(bare, (byte)'}'), ref depth, ref inString, ref isEscaped);
            if (end >= 0) return at + end;
        }
        Span<byte> rest = stackalloc byte[Vector256<byte>.Count];
        rest.Clear();
        json[at..].CopyTo(rest);
        var last = Vector256.Create<byte>(rest);
        var lastBare = last | Vector256.Create(Case);
        var found = Step(
            Bits(last, (byte)'"'), Bits(last, (byte)'\\'), Bits(lastBare, (byte)'{'), Bits(lastBare, (byte)'}'), ref depth, ref inString, ref isEscaped);
        return found >= 0 ? at + found : -1;
    }

    /// <summary>Looks at 32 bytes, a bit for each; returns how many of them belong to the value if it ends among them, else -1.</summary>
    /// <param name="inString">All ones while the previous bytes end inside a string, else 0.</param>
    /// <param name="isEscaped">Whether the first byte follows a backslash that counts.</param>
    private static int Step(uint quotes, uint slashes, uint opens, uint closes, ref int depth, ref uint inString, ref bool isEscaped)
    {
        if (slashes != 0 || isEscaped) quotes &= ~Escaped(slashes, ref isEscaped);
        var strings = Parity(quotes) ^ inString;
        inString = (uint)((int)strings >> 31);
        opens &= ~strings;
        closes &= ~strings;
        var closed = BitOperations.PopCount(closes);
        if (closed < depth)
        {
            depth += BitOperations.PopCount(opens) - closed;
            return -1;
        }
        for (var brackets = opens | closes; brackets != 0; brackets &= brackets - 1)
        {
            var bit = BitOperations.TrailingZeroCount(brackets);
            depth += (opens >> bit & 1) != 0 ? 1 : -1;
            if (depth == 0) return bit + 1;
        }
        return -1;
    }

    private static uint Bits(Vector256<byte> bytes, byte wanted) => Vector256.Equals(bytes, Vector256.Create(wanted)).ExtractMostSignificantBits();

    /// <summary>Each bit says whether the number of ones up to it is odd: whether the byte is in a string, if the ones are quotes.</summary>
    private static uint Parity(uint bits)
    {
        bits ^= bits << 1;
        bits ^= bits << 2;
        bits ^= bits << 4;
        bits ^= bits << 8;
        return bits ^ (bits << 16);
    }

    private static uint Escaped(uint slashes, ref bool isEscaped)
    {
        var escaped = isEscaped ? 1u : 0;
        for (var rest = slashes & ~escaped; rest != 0; rest &= rest - 1)
        {
            var bit = BitOperations.TrailingZeroCount(rest);
            if ((escaped >> bit & 1) != 0) continue;
            if (bit == 31)
            {
                isEscaped = true;
                return escaped;
            }
            escaped |= 2u << bit;
        }
        isEscaped = false;
        return escaped;
    }
}

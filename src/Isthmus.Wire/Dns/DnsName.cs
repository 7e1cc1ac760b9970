using System.Globalization;

namespace Isthmus.Wire.Dns;

/// <summary>Domain names: labels on the wire, dotted text here (RFC 1035 3.1, 4.1.4).</summary>
public static class DnsName
{
    /// <summary>Bytes of the longest name on the wire.</summary>
    public const int MaxWire = 255;

    /// <summary>Characters of the longest text: every byte may become <c>\DDD</c>.</summary>
    public const int MaxText = MaxWire * 4;

    private const int MaxLabel = 63;

    /// <summary>Reads a name that begins at <paramref name="offset"/> and may point backwards, and advances past it.</summary>
    /// <param name="text">Receives the text; at least <see cref="MaxText"/> long.</param>
    /// <returns>How many characters were written; negative when the name is malformed.</returns>
    public static int Read(ReadOnlySpan<byte> message, ref int offset, Span<char> text)
    {
        var (at, written, wire, end, lowest) = (offset, 0, 1, -1, offset);
        while (true)
        {
            if (at >= message.Length) return -1;
            var length = message[at];
            if (length == 0)
            {
                offset = end < 0 ? at + 1 : end;
                return written;
            }
            if ((length & 0xC0) == 0xC0)
            {
                if (at + 1 >= message.Length) return -1;
                var target = ((length & 0x3F) << 8) | message[at + 1];
                // Pointers go only backwards, so that every loop ends.
                if (target >= lowest) return -1;
                if (end < 0) end = at + 2;
                at = lowest = target;
                continue;
            }
            if (length > MaxLabel || at + 1 + length > message.Length || (wire += length + 1) > MaxWire) return -1;
            if (written > 0) text[written++] = '.';
            foreach (var unit in message.Slice(at + 1, length)) written += Put(unit, text[written..]);
            at += 1 + length;
        }
    }

    /// <summary>Writes a name without compression; negative when it is not a valid name or does not fit.</summary>
    public static int Write(ReadOnlySpan<char> text, Span<byte> output)
    {
        if (text.EndsWith(".") && !text.EndsWith("\\.")) text = text[..^1];
        if (text.Length == 0)
        {
            if (output.Length < 1) return -1;
            output[0] = 0;
            return 1;
        }
        var (at, label) = (1, 0);
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '.')
            {
                if (!Close(output, label, at)) return -1;
                label = at++;
                continue;
            }
            if (!Unit(text, ref i, out var unit) || at >= output.Length || at >= MaxWire) return -1;
            output[at++] = unit;
        }
        if (!Close(output, label, at) || at >= output.Length || at >= MaxWire) return -1;
        output[at] = 0;
        return at + 1;
    }

    /// <summary>Names compare case-insensitively (RFC 4343).</summary>
    public static bool Same(ReadOnlySpan<char> a, ReadOnlySpan<char> b) => a.Equals(b, StringComparison.OrdinalIgnoreCase);

    /// <summary>True for the suffix itself and every name below it.</summary>
    public static bool IsWithin(ReadOnlySpan<char> name, ReadOnlySpan<char> suffix) =>
        suffix.Length == 0 || (name.EndsWith(suffix, StringComparison.OrdinalIgnoreCase)
            && (name.Length == suffix.Length || name[name.Length - suffix.Length - 1] == '.'));

    private static bool Close(Span<byte> output, int label, int at)
    {
        var length = at - label - 1;
        if (length is 0 or > MaxLabel || label >= output.Length) return false;
        output[label] = (byte)length;
        return true;
    }

    private static bool Unit(ReadOnlySpan<char> text, ref int i, out byte unit)
    {
        unit = (byte)text[i];
        if (text[i] != '\\') return text[i] is > ' ' and <= '~';
        if (i + 1 < text.Length && !char.IsAsciiDigit(text[i + 1]))
        {
            unit = (byte)text[++i];
            return text[i] is > ' ' and <= '~';
        }
        if (i + 3 >= text.Length || !byte.TryParse(text.Slice(i + 1, 3), NumberStyles.None, CultureInfo.InvariantCulture, out unit)) return false;
        i += 3;
        return true;
    }

    private static int Put(byte unit, Span<char> text)
    {
        if (unit is > (byte)' ' and <= (byte)'~' and not (byte)'.' and not (byte)'\\')
        {
            text[0] = (char)unit;
            return 1;
        }
        text[0] = '\\';
        text[1] = (char)('0' + unit / 100);
        text[2] = (char)('0' + unit / 10 % 10);
        text[3] = (char)('0' + unit % 10);
        return 4;
    }
}

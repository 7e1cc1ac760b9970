using System.Buffers.Binary;
using System.Buffers.Text;
using System.Globalization;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Telemetry;

namespace Isthmus.Proxy.Export;

/// <summary>
/// The fields by which spans of one trace know each other: B3, in one field or several, and <c>traceparent</c> of W3C. Nothing here
/// allocates.
/// </summary>
internal static class TraceHeaders
{
    private const int Long = 32, Short = 16;

    /// <summary>The caller's span; its sampling decision is null where it leaves it to this proxy.</summary>
    /// <param name="Low">0: the caller names no trace.</param>
    internal readonly record struct Caller(ulong High, ulong Low, ulong Span, bool? IsSampled)
    {
        public bool HasTrace => Low != 0 || High != 0;
    }

    /// <summary>Reads the format that is preferred, or else the other one.</summary>
    public static Caller Read(HeaderBlock headers, bool prefersW3C)
    {
        var first = prefersW3C ? ReadW3C(headers) : ReadB3(headers);
        if (first.HasTrace) return first;
        var second = prefersW3C ? ReadB3(headers) : ReadW3C(headers);
        return second.HasTrace || first.IsSampled is null ? second : first;
    }

    /// <summary>Writes the preferred format, and each other one that the request has: what it said would name the wrong span.</summary>
    public static void Write(HeaderBlock headers, SpanContext span, bool prefersW3C, bool both)
    {
        if (!prefersW3C || both || headers.Contains("x-b3-traceid"u8)) WriteB3(headers, span);
        if (headers.Contains("b3"u8)) WriteSingle(headers, span);
        if (prefersW3C || both || headers.Contains("traceparent"u8)) WriteW3C(headers, span);
    }

    /// <summary>Removes the fields of all formats: the next hop must not learn of the trace.</summary>
    public static void Remove(HeaderBlock headers)
    {
        foreach (var name in All) headers.Remove(name);
    }

    private static readonly byte[][] All =
        [[.. "traceparent"u8], [.. "tracestate"u8], [.. "b3"u8], [.. "x-b3-traceid"u8], [.. "x-b3-spanid"u8], [.. "x-b3-parentspanid"u8], [.. "x-b3-sampled"u8],
            [.. "x-b3-flags"u8]];

    private static Caller ReadW3C(HeaderBlock headers)
    {
        var text = headers.Get("traceparent"u8);
        // VERSION-TRACE-SPAN-FLAGS; later versions may append more.
        if (text.Length < 55 || text[2] != '-' || text[35] != '-' || text[52] != '-' || text[..2].SequenceEqual("ff"u8)) return default;
        if (text.Length > 55 && (text[..2].SequenceEqual("00"u8) || text[55] != '-')) return default;
        if (!TryHex(text[..2], out _) || !TryHex(text[3..19], out var high) || !TryHex(text[19..35], out var low) || !TryHex(text[36..52], out var span)
            || !TryHex(text[53..55], out var flags))
            return default;
        return (high == 0 && low == 0) || span == 0 ? default : new(high, low, span, (flags & 1) != 0);
    }

    private static Caller ReadB3(HeaderBlock headers)
    {
        var single = headers.Get("b3"u8);
        if (!single.IsEmpty) return ReadSingle(single);
        var sampled = Sampled(headers.Get("x-b3-sampled"u8)) ?? (headers.Get("x-b3-flags"u8).SequenceEqual("1"u8) ? true : null);
        return TryTrace(headers.Get("x-b3-traceid"u8), out var high, out var low) && TryHex(headers.Get("x-b3-spanid"u8), out var span) && span != 0
            ? new(high, low, span, sampled) : new(0, 0, 0, sampled);
    }

    /// <summary><c>TRACE-SPAN</c>, then optionally the decision and the parent; or the decision alone.</summary>
    private static Caller ReadSingle(ReadOnlySpan<byte> text)
    {
        var dash = text.IndexOf((byte)'-');
        if (dash < 0) return new(0, 0, 0, Sampled(text));
        if (!TryTrace(text[..dash], out var high, out var low) || text.Length < dash + 1 + Short || !TryHex(text.Slice(dash + 1, Short), out var span)
            || span == 0)
            return default;
        var rest = text[(dash + 1 + Short)..];
        return new(high, low, span, rest.Length >= 2 && rest[0] == '-' ? Sampled(rest.Slice(1, 1)) : null);
    }

    private static bool? Sampled(ReadOnlySpan<byte> text) =>
        text.SequenceEqual("1"u8) || text.SequenceEqual("d"u8) || text.SequenceEqual("true"u8)
            ? true
            : text.SequenceEqual("0"u8) || text.SequenceEqual("false"u8)
            ? false
            : null;

    private static bool TryTrace(ReadOnlySpan<byte> text, out ulong high, out ulong low)
    {
        (high, low) = (0, 0);
        if (text.Length == Long) return TryHex(text[..Short], out high) && TryHex(text[Short..], out low) && (high != 0 || low != 0);
        return text.Length == Short && TryHex(text, out low) && low != 0;
    }

    private static bool TryHex(ReadOnlySpan<byte> text, out ulong value) =>
        ulong.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value) && text.Length <= Short;

    private static void WriteB3(HeaderBlock headers, SpanContext span)
    {
        Span<byte> text = stackalloc byte[Long];
        headers.Set("x-b3-traceid"u8, text[..Trace(span, text)]);
        Hex(span.Id, text);
        headers.Set("x-b3-spanid"u8, text[..Short]);
        if (span.Parent != 0)
        {
            Hex(span.Parent, text);
            headers.Set("x-b3-parentspanid"u8, text[..Short]);
        }
        else headers.Remove("x-b3-parentspanid"u8);
        headers.Set("x-b3-sampled"u8, span.IsSampled ? "1"u8 : "0"u8);
    }

    private static void WriteSingle(HeaderBlock headers, SpanContext span)
    {
        Span<byte> text = stackalloc byte[Long + Short + Short + 4];
        var length = Trace(span, text);
        text[length++] = (byte)'-';
        Hex(span.Id, text[length..]);
        length += Short;
        text[length++] = (byte)'-';
        text[length++] = span.IsSampled ? (byte)'1' : (byte)'0';
        if (span.Parent != 0)
        {
            text[length++] = (byte)'-';
            Hex(span.Parent, text[length..]);
            length += Short;
        }
        headers.Set("b3"u8, text[..length]);
    }

    private static void WriteW3C(HeaderBlock headers, SpanContext span)
    {
        Span<byte> text = stackalloc byte[55];
        "00-"u8.CopyTo(text);
        Hex(span.High, text[3..]);
        Hex(span.Low, text[19..]);
        text[35] = (byte)'-';
        Hex(span.Id, text[36..]);
        (span.IsSampled ? "-01"u8 : "-00"u8).CopyTo(text[52..]);
        // The states of vendors belong to the trace that the caller named.
        if (span.Parent == 0) headers.Remove("tracestate"u8);
        headers.Set("traceparent"u8, text);
    }

    private static int Trace(SpanContext span, Span<byte> into)
    {
        if (span.High == 0)
        {
            Hex(span.Low, into);
            return Short;
        }
        Hex(span.High, into);
        Hex(span.Low, into[Short..]);
        return Long;
    }

    private static void Hex(ulong value, Span<byte> into)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, value);
        for (var i = 0; i < bytes.Length; i++) Utf8Formatter.TryFormat(bytes[i], into[(2 * i)..], out _, new('x', 2));
    }
}

using System.Buffers;
using System.Globalization;
using System.Text;
using Isthmus.Proxy.Messages;

namespace Isthmus.Proxy.Telemetry;

/// <summary>Values in lines of text.</summary>
internal static class VisibleBytes
{
    private const byte FirstPrintable = 0x20, LastPrintable = 0x7e;

    [ThreadStatic] private static ByteWriter? _scratch;

    /// <summary>Whether a text is printable ASCII. False for all text beyond ASCII, which may need no escape.</summary>
    public static bool ArePrintable(ReadOnlySpan<byte> text) => !text.ContainsAnyExceptInRange(FirstPrintable, LastPrintable);

    /// <summary>Replaces controls and bytes that are no UTF-8 behind <paramref name="start"/> by <c>\x</c> and their number.</summary>
    public static void Escape(ByteWriter into, int start)
    {
        var value = into.Written.Span[start..];
        if (ArePrintable(value)) return;
        var raw = _scratch ??= new();
        raw.Clear();
        raw.Write(value);
        into.Truncate(start);
        for (var rest = raw.Written.Span; !rest.IsEmpty;)
        {
            var isText = Rune.DecodeFromUtf8(rest, out var rune, out var used) == OperationStatus.Done && !Rune.IsControl(rune);
            if (isText) into.Write(rest[..used]);
            else foreach (var one in rest[..used]) Name(one, into);
            rest = rest[used..];
        }
    }

    private static void Name(byte one, ByteWriter into)
    {
        into.Write("\\x"u8);
        into.Write(one.ToString("x2", CultureInfo.InvariantCulture));
    }
}

using System.Buffers.Text;
using System.Globalization;
using System.Text;
using Isthmus.Proxy.Messages;
using Isthmus.Wire.Logs;

namespace Isthmus.Proxy.Telemetry;

/// <summary>Writes the parts of times. None of them creates objects per request.</summary>
internal static class LogTimes
{
    private static readonly DateTimeFormatInfo Names = CultureInfo.InvariantCulture.DateTimeFormat;

    public static Action<DateTime, ByteWriter> Writer(LogTimePart part)
    {
        var literal = Encoding.UTF8.GetBytes(part.Literal);
        var digits = part.Digits;
        return part.Conversion switch
        {
            '\0' => (_, into) => into.Write(literal),
            'Y' => static (time, into) => Number(time.Year, 4, into),
            'y' => static (time, into) => Number(time.Year % 100, 2, into),
            'm' => static (time, into) => Number(time.Month, 2, into),
            'd' => static (time, into) => Number(time.Day, 2, into),
            'e' => static (time, into) =>
            {
                if (time.Day < 10) into.Write(" "u8);
                into.WriteNumber(time.Day);
            },
            'j' => static (time, into) => Number(time.DayOfYear, 3, into),
            'H' => static (time, into) => Number(time.Hour, 2, into),
            'I' => static (time, into) => Number((time.Hour + 11) % 12 + 1, 2, into),
            'M' => static (time, into) => Number(time.Minute, 2, into),
            'S' => static (time, into) => Number(time.Second, 2, into),
            'p' => static (time, into) => into.Write(time.Hour < 12 ? "AM"u8 : "PM"u8),
            'a' => static (time, into) => into.Write(Names.AbbreviatedDayNames[(int)time.DayOfWeek]),
            'A' => static (time, into) => into.Write(Names.DayNames[(int)time.DayOfWeek]),
            'b' => static (time, into) => into.Write(Names.AbbreviatedMonthNames[time.Month - 1]),
            'B' => static (time, into) => into.Write(Names.MonthNames[time.Month - 1]),
            'Z' => static (_, into) => into.Write("UTC"u8),
            'z' => static (_, into) => into.Write("+0000"u8),
            's' => static (time, into) => into.WriteNumber((time - DateTime.UnixEpoch).Ticks / TimeSpan.TicksPerSecond),
            _ => (time, into) => Fraction(time, digits, into),
        };
    }

    private static void Number(int value, byte digits, ByteWriter into)
    {
        Utf8Formatter.TryFormat(value, into.Reserve(11), out var written, new('D', digits));
        into.Commit(written);
    }

    /// <summary>Nine digits are nanoseconds; a tick has seven of them.</summary>
    private static void Fraction(DateTime time, int digits, ByteWriter into)
    {
        const int All = 9;
        Utf8Formatter.TryFormat(time.Ticks % TimeSpan.TicksPerSecond * 100, into.Reserve(20), out _, new('D', All));
        into.Commit(digits);
    }
}

using System.Text;

namespace Isthmus.Wire.Logs;

/// <summary>A piece of a time: literal text, or a conversion.</summary>
/// <param name="Conversion">The letter of strftime, <c>s</c> for Unix seconds, or <c>f</c> for the fraction of a second; '\0' for text.</param>
/// <param name="Digits">Of a fraction.</param>
public sealed record LogTimePart(string Literal, char Conversion, int Digits);

/// <summary>The formats of START_TIME: those of strftime, in UTC, with Envoy's fractions (<c>%f</c>, <c>%3f</c>).</summary>
public static class LogTimeFormat
{
    private const string Simple = "YmdHMSyjeIpabABZzs";

    /// <summary>What is written without a format: <c>2026-11-20T10:00:00.123Z</c>.</summary>
    public const string Default = "%Y-%m-%dT%H:%M:%S.%3fZ";

    /// <exception cref="LogFormatException">A conversion that is not supported.</exception>
    public static IReadOnlyList<LogTimePart> Parse(string format)
    {
        var text = Plain(format.Length > 0 ? format : Default);
        var parts = new List<LogTimePart>();
        var literal = new StringBuilder();
        void Add(char conversion, int digits)
        {
            if (literal.Length > 0) parts.Add(new(literal.ToString(), '\0', 0));
            literal.Clear();
            parts.Add(new("", conversion, digits));
        }
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] != '%')
            {
                literal.Append(text[i]);
                continue;
            }
            var letter = ++i < text.Length ? text[i] : '\0';
            if (letter == '%') literal.Append('%');
            else if (letter == 'f') Add('f', 9);
            else if (letter is >= '1' and <= '9' && i + 1 < text.Length && text[i + 1] == 'f')
            {
                Add('f', letter - '0');
                i++;
            }
            else if (letter != '\0' && Simple.Contains(letter, StringComparison.Ordinal)) Add(letter, 0);
            else throw new LogFormatException($"%{(letter == '\0' ? "" : letter)} is not a conversion of times that is supported");
        }
        if (literal.Length > 0) parts.Add(new(literal.ToString(), '\0', 0));
        return parts;
    }

    internal static string? Problem(string format)
    {
        try
        {
            Parse(format);
            return null;
        }
        catch (LogFormatException e)
        {
            return e.Message;
        }
    }

    /// <summary>Without the conversions that stand for others.</summary>
    private static string Plain(string format) => format
        .Replace("%F", "%Y-%m-%d", StringComparison.Ordinal).Replace("%T", "%H:%M:%S", StringComparison.Ordinal)
        .Replace("%D", "%m/%d/%y", StringComparison.Ordinal).Replace("%R", "%H:%M", StringComparison.Ordinal);
}

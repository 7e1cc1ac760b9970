using System.Globalization;
using System.Text;

namespace Isthmus.Lab.Nodes.Logs;

/// <summary>The format of log files, as container runtimes write it: <c>TIME stdout F text</c>, P for a part of a longer line.</summary>
public static class LogLine
{
    /// <summary>Longer lines are cut into parts of this size, in bytes.</summary>
    public const int LongestPart = 16 * 1024;

    private const string TimeFormat = "yyyy-MM-dd'T'HH:mm:ss.fffffff'00Z'";

    public static byte[] Prefix(DateTimeOffset time, bool isError, bool isPart) =>
        Encoding.ASCII.GetBytes(
            $"{time.UtcDateTime.ToString(TimeFormat, CultureInfo.InvariantCulture)} {(isError ? "stderr" : "stdout")} {(isPart ? 'P' : 'F')} ");

    /// <summary>Splits a line into its parts; false when it does not have this format.</summary>
    public static bool TryParse(ReadOnlySpan<byte> line, out ParsedLine parsed)
    {
        parsed = default;
        var first = line.IndexOf((byte)' ');
        if (first < 20 || line.Length < first + 10) return false;
        var time = Encoding.ASCII.GetString(line[..first]);
        // .NET keeps 7 digits of the second; files have 9.
        var short7 = time.Length == 30 ? string.Concat(time.AsSpan(0, 27), "Z") : time;
        if (!DateTimeOffset.TryParse(short7, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var at))
            return false;
        var rest = line[(first + 1)..];
        if (!rest.StartsWith("stdout "u8) && !rest.StartsWith("stderr "u8)) return false;
        if (rest.Length < 9 || rest[8] != ' ' || rest[7] is not ((byte)'F' or (byte)'P')) return false;
        parsed = new(at, time, rest[3] == 'e', rest[7] == 'P', first + 1 + 9);
        return true;
    }
}

/// <param name="TimeText">The time as written in the file.</param>
/// <param name="ContentStart">Offset of the text in the line.</param>
public readonly record struct ParsedLine(DateTimeOffset Time, string TimeText, bool IsError, bool IsPart, int ContentStart);

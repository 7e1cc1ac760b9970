using System.Globalization;

namespace Isthmus.Lab.ApiServer.Cel;

/// <summary>The functions of times and durations.</summary>
internal static class CelTimes
{
    private const long Second = 1_000_000_000;

    public static readonly CelFunctionSet All = new CelFunctionSet()
        .Add("duration", 1, arguments => arguments[0] switch
        {
            string text => CelDuration.Parse(text) ?? throw new CelFailureException($"invalid duration: {text}"),
            CelDuration duration => duration,
            _ => throw CelFailureException.NoOverload(),
        })
        .Add("timestamp", 1, arguments => arguments[0] switch
        {
            string text => Parse(text) ?? throw new CelFailureException($"invalid timestamp: {text}"),
            DateTimeOffset time => time,
            long seconds and > -62_135_596_800 and < 253_402_300_800 => DateTimeOffset.FromUnixTimeSeconds(seconds),
            _ => throw CelFailureException.NoOverload(),
        })
        .Add("getHours", 1, arguments => Part(arguments[0], time => time.Hour, 3600 * Second))
        .Add("getMinutes", 1, arguments => Part(arguments[0], time => time.Minute, 60 * Second))
        .Add("getSeconds", 1, arguments => Part(arguments[0], time => time.Second, Second))
        .Add("getMilliseconds", 1, arguments => Part(arguments[0], time => time.Millisecond, Second / 1000))
        .Add("getFullYear", 1, arguments => Part(arguments[0], time => time.Year))
        .Add("getMonth", 1, arguments => Part(arguments[0], time => time.Month - 1))
        .Add("getDate", 1, arguments => Part(arguments[0], time => time.Day))
        .Add("getDayOfMonth", 1, arguments => Part(arguments[0], time => time.Day - 1))
        .Add("getDayOfWeek", 1, arguments => Part(arguments[0], time => (long)time.DayOfWeek))
        .Add("getDayOfYear", 1, arguments => Part(arguments[0], time => time.DayOfYear - 1));

    /// <summary>The time of a value; of a field in an object, which has it as text. Null for other values.</summary>
    public static DateTimeOffset? Time(object? value) => value switch { DateTimeOffset time => time, string text => Parse(text), _ => null };

    public static string Print(DateTimeOffset time) => time.ToUniversalTime().ToString("yyyy-MM-dd'T'HH:mm:ss.FFFFFFF'Z'", CultureInfo.InvariantCulture);

    /// <summary>Null for text that is not a time as RFC 3339 writes it.</summary>
    private static DateTimeOffset? Parse(string text) =>
        text.Length >= 20 && text[10] is 'T' or 't' && (text[^1] is 'Z' or 'z' || text[^6] is '+' or '-')
        && DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.None, out var time) ? time.ToUniversalTime() : null;

    /// <param name="unit">Of a duration, in nanoseconds; 0 for a part that only a time has.</param>
    private static object Part(object? value, Func<DateTimeOffset, long> part, long unit = 0) => value switch
    {
        CelDuration duration when unit > 0 => duration.Nanoseconds / unit,
        _ => Time(value) is { } time ? part(time) : throw CelFailureException.NoOverload(),
    };
}

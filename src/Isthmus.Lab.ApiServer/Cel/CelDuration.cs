using System.Globalization;
using System.Text.RegularExpressions;

namespace Isthmus.Lab.ApiServer.Cel;

/// <summary>A span of time, as Go's <c>time.ParseDuration</c> reads it: numbers with units, such as <c>1h30m</c> or <c>-1.5ms</c>.</summary>
internal sealed partial record CelDuration(long Nanoseconds)
{
    /// <summary>Null for text that is not a duration, or one too long for 64 bits.</summary>
    public static CelDuration? Parse(string duration)
    {
        var match = Whole().Match(duration);
        if (!match.Success) return null;
        if (match.Groups["zero"].Success) return new(0);
        var sum = 0m;
        for (var i = 0; i < match.Groups["number"].Captures.Count; i++)
        {
            var text = match.Groups["number"].Captures[i].ValueSpan;
            if (!decimal.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number) || number > long.MaxValue) return null;
            sum += number * UnitOf(match.Groups["unit"].Captures[i].Value);
            if (sum > long.MaxValue) return null;
        }
        return new((long)(match.Groups["sign"].Value == "-" ? -sum : sum));
    }

    private static decimal UnitOf(string unit) => unit switch
    {
        "ns" => 1, "ms" => 1_000_000, "s" => 1_000_000_000, "m" => 60_000_000_000, "h" => 3_600_000_000_000,
        _ => 1_000,
    };

    // Each text has one reading, so that nothing is tried twice.
    [GeneratedRegex(@"^(?<sign>[-+])?((?<zero>0)|((?<number>[0-9]+(\.[0-9]*)?|\.[0-9]+)(?<unit>ns|us|µs|μs|ms|s|m|h))+)\z", RegexOptions.ExplicitCapture)]
    private static partial Regex Whole();
}

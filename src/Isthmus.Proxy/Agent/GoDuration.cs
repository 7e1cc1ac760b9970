using System.Globalization;

namespace Isthmus.Proxy.Agent;

/// <summary>Durations in the format of Go and Istio: <c>24h0m0s</c>, <c>1.5s</c>, <c>300ms</c>.</summary>
internal static class GoDuration
{
    private static readonly (string Unit, double Seconds)[] Units = [("ms", 1e-3), ("us", 1e-6), ("µs", 1e-6), ("ns", 1e-9), ("h", 3600), ("m", 60), ("s", 1)];

    /// <summary>Null when the text is not a duration.</summary>
    public static TimeSpan? Parse(string text)
    {
        if (text == "0") return TimeSpan.Zero;
        if (text.Length is 0 or > 64) return null;
        var seconds = 0.0;
        for (var rest = text.AsSpan(); rest.Length > 0;)
        {
            var digits = rest.IndexOfAnyExcept("0123456789.");
            if (digits <= 0 || !double.TryParse(rest[..digits], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var amount)) return null;
            rest = rest[digits..];
            var found = false;
            foreach (var (unit, factor) in Units)
            {
                if (!rest.StartsWith(unit)) continue;
                seconds += amount * factor;
                rest = rest[unit.Length..];
                found = true;
                break;
            }
            if (!found) return null;
        }
        return seconds < TimeSpan.MaxValue.TotalSeconds / 2 ? TimeSpan.FromSeconds(seconds) : null;
    }
}

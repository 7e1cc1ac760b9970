using System.Globalization;
using Isthmus.Core.Flags;

namespace Isthmus.Options;

/// <summary>Durations as Go and kubectl write them: <c>90s</c>, <c>5m</c>, <c>1h30m</c>, <c>500ms</c>.</summary>
internal static class Duration
{
    /// <param name="most">The longest duration that has an effect; null if there is none.</param>
    internal static TimeSpan Parse(string text, string flag, TimeSpan? most = null)
    {
        var (total, number) = (TimeSpan.Zero, "");
        for (var i = 0; i < text.Length; i++)
        {
            if (char.IsAsciiDigit(text[i]) || text[i] == '.')
            {
                number += text[i];
                continue;
            }
            var unit = text[i] == 'm' && i + 1 < text.Length && text[i + 1] == 's' ? "ms" : text[i].ToString();
            if (unit == "ms") i++;
            if (!double.TryParse(number, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value)) throw Bad(text, flag);
            total += unit switch
            {
                "h" => TimeSpan.FromHours(value),
                "m" => TimeSpan.FromMinutes(value),
                "s" => TimeSpan.FromSeconds(value),
                "ms" => TimeSpan.FromMilliseconds(value),
                _ => throw Bad(text, flag),
            };
            number = "";
        }
        if (number.Length > 0 || text.Length == 0) throw Bad(text, flag);
        if (most is { } limit && (total < TimeSpan.FromMilliseconds(1) || total > limit))
            throw new WrongUseException(flag, $"duration '{text}' cannot be kept",
                string.Create(CultureInfo.InvariantCulture, $"use a duration from 1ms to {limit.TotalMinutes}m"));
        return total;
    }

    private static WrongUseException Bad(string text, string flag) =>
        new(flag, $"invalid duration '{text}'", "use a number and a unit, for example 90s or 5m");
}

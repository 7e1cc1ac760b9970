using System.Globalization;

namespace Isthmus.Lab.Controllers.Workloads;

/// <summary>A schedule of five fields (minute, hour, day of month, month, day of week), with lists, ranges, steps, names,
/// and macros such as <c>@hourly</c>.</summary>
public sealed class CronSchedule
{
    /// <summary>How far to search: the next time may be a leap day, and the largest gap between leap years is around
    /// 2100.</summary>
    private const int FarthestDays = 366 * 9;

    private static readonly string[] Months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    private static readonly string[] Days = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

    private readonly ulong _minutes, _hours, _monthDays, _months, _weekDays;
    private readonly bool _anyMonthDay, _anyWeekDay;

    private CronSchedule(string[] fields)
    {
        (_minutes, _hours) = (Field(fields[0], 0, 59, []), Field(fields[1], 0, 23, []));
        (_monthDays, _months) = (Field(fields[2], 1, 31, []), Field(fields[3], 1, 12, Months));
        _weekDays = Field(fields[4], 0, 7, Days);
        // Sunday is 0 and 7.
        if ((_weekDays & (1 << 7)) != 0) _weekDays |= 1;
        (_anyMonthDay, _anyWeekDay) = (fields[2].StartsWith('*') || fields[2] == "?", fields[4].StartsWith('*') || fields[4] == "?");
    }

    /// <returns>Null when the text is not a valid schedule.</returns>
    public static CronSchedule? Parse(string text)
    {
        text = text.Trim() switch
        {
            "@yearly" or "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" or "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            var other => other,
        };
        var fields = text.Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries);
        try
        {
            return fields.Length == 5 ? new(fields) : null;
        }
        catch (FormatException)
        {
            return null;
        }
    }

    /// <summary>The first time after <paramref name="time"/> in the zone; null when there is none.</summary>
    public DateTimeOffset? Next(DateTimeOffset time, TimeZoneInfo zone)
    {
        var local = TimeZoneInfo.ConvertTime(time, zone).DateTime;
        var day = local.Date;
        for (var i = 0; i < FarthestDays; i++, day = day.AddDays(1))
        {
            if (!OnDay(day)) continue;
            for (var minute = day == local.Date ? (local.Hour * 60) + local.Minute + 1 : 0; minute < 24 * 60; minute++)
            {
                if ((_hours >> (minute / 60) & 1) == 0 || (_minutes >> (minute % 60) & 1) == 0) continue;
                var found = day.AddMinutes(minute);
                // Skip an hour that does not exist because the clocks go forward.
                if (!zone.IsInvalidTime(found)) return new DateTimeOffset(found, zone.GetUtcOffset(found));
            }
        }
        return null;
    }

    private bool OnDay(DateTime day)
    {
        if ((_months >> day.Month & 1) == 0) return false;
        var (monthDay, weekDay) = ((_monthDays >> day.Day & 1) != 0, (_weekDays >> (int)day.DayOfWeek & 1) != 0);
        // As in cron: when both are given, either matches.
        return _anyMonthDay || _anyWeekDay ? monthDay && weekDay : monthDay || weekDay;
    }

    private static ulong Field(string text, int least, int most, string[] names)
    {
        var bits = 0ul;
        foreach (var part in text.Split(','))
        {
            var step = part.Split('/', 2);
            var range = step[0].Split('-', 2);
            var (first, last) = step[0] is "*" or "?"
                ? (least, most)
                : (Value(range[0], least, names), range.Length > 1 ? Value(range[1], least, names) : step.Length > 1 ? most : Value(range[0], least, names));
            var by = step.Length > 1 ? int.Parse(step[1], NumberStyles.None, CultureInfo.InvariantCulture) : 1;
            if (by < 1 || first < least || last > most || first > last) throw new FormatException();
            for (var value = first; value <= last; value += by) bits |= 1ul << value;
        }
        return bits;
    }

    private static int Value(string text, int least, string[] names)
    {
        var named = Array.FindIndex(names, name => name.Equals(text, StringComparison.OrdinalIgnoreCase));
        return named >= 0
            ? named + least
            : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value)
            ? value
            : throw new FormatException();
    }
}

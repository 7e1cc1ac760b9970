using System.Globalization;
using System.Text.Json.Nodes;

namespace Isthmus.Lab.ApiServer.Cel;

/// <summary>Functions between types, and those of optional values and numbers.</summary>
internal static class CelConversions
{
    public static readonly CelFunctionSet All = new CelFunctionSet()
        .Add("size", 1, arguments => Size(arguments[0]))
        .Add("int", 1, arguments => Whole(arguments[0]))
        .Add("uint", 1, arguments => Whole(arguments[0]) is >= 0 and var whole ? whole : throw new CelFailureException("unsigned integer overflow"))
        .Add("double", 1, arguments => Number(arguments[0]))
        .Add("bool", 1, arguments => Truth(arguments[0]))
        .Add("string", 1, arguments => Print(arguments[0]))
        .Add("dyn", 1, arguments => arguments[0])
        .Add<CelOptionalValue>("hasValue", optional => optional.Has)
        .Add<CelOptionalValue>("value", optional => optional.Has ? optional.Value : throw new CelFailureException("optional.none() dereference"))
        .Add("orValue", 2,
            arguments => arguments[0] is CelOptionalValue optional ? optional.Has ? optional.Value : arguments[1] : throw CelFailureException.NoOverload())
        .Add<CelOptionalValue, CelOptionalValue>("or", (optional, other) => optional.Has ? optional : other)
        .Add("optional.of", 1, arguments => CelOptionalValue.Of(arguments[0]))
        .Add("optional.none", 0, static _ => CelOptionalValue.None)
        .AddForAny("math.greatest", arguments => CelLists.Extreme(Numbers(arguments), largest: true))
        .AddForAny("math.least", arguments => CelLists.Extreme(Numbers(arguments), largest: false));

    public static long Size(object? value) => value switch
    {
        string text => text.EnumerateRunes().Count(),
        List<object?> list => list.Count,
        JsonObject o => o.Count,
        _ => throw CelFailureException.NoOverload(),
    };

    private static List<object?> Numbers(object?[] arguments)
    {
        List<object?> numbers = arguments is [List<object?> list] ? list : [.. arguments];
        return numbers.All(number => number is long or double) ? numbers : throw CelFailureException.NoOverload();
    }

    private static long Whole(object? value) => value switch
    {
        long whole => whole,
        double number when Math.Abs(number) < 9e18 => (long)number,
        double => throw new CelFailureException("integer overflow"),
        string text when long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var parsed) => parsed,
        DateTimeOffset time => time.ToUnixTimeSeconds(),
        CelDuration duration => duration.Nanoseconds,
        _ => throw CelFailureException.NoOverload(),
    };

    private static double Number(object? value) => value switch
    {
        long whole => whole,
        double number => number,
        string text when double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var parsed) => parsed,
        _ => throw CelFailureException.NoOverload(),
    };

    private static bool Truth(object? value) => value switch
    {
        bool truth => truth,
        "true" or "TRUE" or "True" or "t" or "1" => true,
        "false" or "FALSE" or "False" or "f" or "0" => false,
        _ => throw CelFailureException.NoOverload(),
    };

    public static string Print(object? value) => value switch
    {
        string text => text,
        bool truth => truth ? "true" : "false",
        DateTimeOffset time => CelTimes.Print(time),
        CelDuration duration => $"{(duration.Nanoseconds / 1e9m).ToString("0.#########", CultureInfo.InvariantCulture)}s",
        System.Net.IPAddress or CelCidr or CelQuantity or CelUrl => value.ToString()!,
        long or double => ((IFormattable)value).ToString(null, CultureInfo.InvariantCulture),
        _ => throw CelFailureException.NoOverload(),
    };
}

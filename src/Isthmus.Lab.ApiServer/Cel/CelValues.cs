using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Cel;

/// <summary>Values of CEL, and its operators.</summary>
internal static class CelValues
{
    public static object? Of(JsonNode? node) => node switch
    {
        null => null,
        JsonArray list => list.Select(Of).ToList(),
        JsonObject o => o,
        JsonValue value => value.GetValueKind() switch
        {
            JsonValueKind.String => Json.Text(value),
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            _ => Json.Whole(value) is { } whole ? (object)whole : Json.Number(value),
        },
        _ => null,
    };

    /// <summary>The value as JSON, for an entry of a map.</summary>
    public static JsonNode? ToJson(object? value) => value switch
    {
        null => null,
        string text => text,
        bool truth => truth,
        long whole => whole,
        double number => number,
        JsonObject o => o.DeepClone(),
        List<object?> list => new JsonArray([.. list.Select(ToJson)]),
        _ => CelConversions.Print(value),
    };

    public static object? Apply(string op, object? left, object? right) => op switch
    {
        "==" => Equal(left, right),
        "!=" => !Equal(left, right),
        "in" => Contains(right, left),
        "<" => Compare(left, right) < 0,
        "<=" => Compare(left, right) <= 0,
        ">" => Compare(left, right) > 0,
        ">=" => Compare(left, right) >= 0,
        "+" when left is string a && right is string b => a.Length + b.Length <= CelTexts.MaxLength ? a + b : throw CelFailureException.TooMuchWork(),
        "+" when left is List<object?> a && right is List<object?> b => a.Concat(b).ToList(),
        "+" or "-" when left is CelDuration or DateTimeOffset || right is CelDuration or DateTimeOffset => Span(op, left, right),
        _ => Arithmetic(op, left, right),
    };

    public static bool Equal(object? left, object? right) => (left, right) switch
    {
        (null, null) => true,
        (long or double, long or double) => Number(left).Equals(Number(right)),
        (DateTimeOffset, string) or (string, DateTimeOffset) => CelTimes.Time(left) == CelTimes.Time(right),
        (List<object?> a, List<object?> b) => a.Count == b.Count && a.Zip(b).All(pair => Equal(pair.First, pair.Second)),
        (JsonObject a, JsonObject b) => JsonNode.DeepEquals(a, b),
        _ => Equals(left, right),
    };

    public static int Compare(object? left, object? right) => (left, right) switch
    {
        (long a, long b) => a.CompareTo(b),
        (long or double, long or double) => Number(left)!.Value.CompareTo(Number(right)!.Value),
        (string a, string b) => string.CompareOrdinal(a, b),
        (bool a, bool b) => a.CompareTo(b),
        (CelDuration a, CelDuration b) => a.Nanoseconds.CompareTo(b.Nanoseconds),
        (DateTimeOffset, _) or (_, DateTimeOffset) when CelTimes.Time(left) is { } a && CelTimes.Time(right) is { } b => a.CompareTo(b),
        _ => throw CelFailureException.NoOverload(),
    };

    private static bool Contains(object? holder, object? value) => holder switch
    {
        List<object?> list => list.Any(item => Equal(item, value)),
        JsonObject o => value is string key && o.ContainsKey(key),
        _ => throw CelFailureException.NoOverload(),
    };

    private static object Span(string op, object? left, object? right)
    {
        try
        {
            return (op, left, right) switch
            {
                ("+", CelDuration a, CelDuration b) => new CelDuration(checked(a.Nanoseconds + b.Nanoseconds)),
                ("-", CelDuration a, CelDuration b) => new CelDuration(checked(a.Nanoseconds - b.Nanoseconds)),
                ("+", CelDuration a, _) when CelTimes.Time(right) is { } time => time.AddTicks(a.Nanoseconds / 100),
                ("+", _, CelDuration b) when CelTimes.Time(left) is { } time => time.AddTicks(b.Nanoseconds / 100),
                ("-", _, CelDuration b) when CelTimes.Time(left) is { } time => time.AddTicks(-(b.Nanoseconds / 100)),
                ("-", _, _) when CelTimes.Time(left) is { } a && CelTimes.Time(right) is { } b => new CelDuration(checked((a - b).Ticks * 100)),
                _ => throw CelFailureException.NoOverload(),
            };
        }
        catch (Exception e) when (e is OverflowException or ArgumentOutOfRangeException)
        {
            throw new CelFailureException("return error for overflow");
        }
    }

    private static object Arithmetic(string op, object? left, object? right)
    {
        if (left is double or long && right is double or long && (left is double || right is double))
        {
            var (x, y) = (Number(left)!.Value, Number(right)!.Value);
            return op switch { "+" => x + y, "-" => x - y, "*" => x * y, "/" => x / y, _ => throw CelFailureException.NoOverload() };
        }
        if (left is not long a || right is not long b) throw CelFailureException.NoOverload();
        try
        {
            return op switch { "+" => checked(a + b), "-" => checked(a - b), "*" => checked(a * b), "/" => a / b, _ => a % b };
        }
        catch (Exception e) when (e is OverflowException or DivideByZeroException)
        {
            throw new CelFailureException(e is DivideByZeroException ? "division by zero" : "return error for overflow");
        }
    }

    private static double? Number(object? value) => value switch { long whole => whole, double number => number, _ => null };
}

using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Cel;

/// <summary>The operators and functions of CEL.</summary>
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

    public static object? Apply(string op, object? left, object? right) => op switch
    {
        "==" => Equal(left, right),
        "!=" => !Equal(left, right),
        "in" => Contains(right, left),
        "<" => Compare(left, right) < 0,
        "<=" => Compare(left, right) <= 0,
        ">" => Compare(left, right) > 0,
        ">=" => Compare(left, right) >= 0,
        "+" when left is string a && right is string b => a + b,
        "+" when left is List<object?> a && right is List<object?> b => a.Concat(b).ToList(),
        _ => Arithmetic(op, left, right),
    };

    public static bool Knows(string name, int count) => Function(name, count) is not null;

    /// <summary>Null if the function does not exist for this number of arguments.</summary>
    public static Func<object?[], object?>? Function(string name, int count) => (name, count) switch
    {
        ("size", 1) => Size,
        ("startsWith", 2) => Texts((text, other) => text.StartsWith(other, StringComparison.Ordinal)),
        ("endsWith", 2) => Texts((text, other) => text.EndsWith(other, StringComparison.Ordinal)),
        ("contains", 2) => Texts((text, other) => text.Contains(other, StringComparison.Ordinal)),
        ("matches", 2) => Texts(Matches),
        ("split", 2) => Texts((text, other) => text.Split(other).Cast<object?>().ToList()),
        ("lowerAscii", 1) => Text(text => text.ToLowerInvariant()),
        ("upperAscii", 1) => Text(text => text.ToUpperInvariant()),
        ("trim", 1) => Text(text => text.Trim()),
        ("int", 1) => Whole,
        ("double", 1) => arguments => Number(arguments[0]) ?? throw NoOverload(),
        ("string", 1) => Print,
        ("duration", 1) => Text(text => CelDuration.Parse(text) ?? throw new CelFailureException($"invalid duration: {text}")),
        ("isURL", 1) => Text(text => CelUrl.Parse(text) is not null),
        ("url", 1) => Text(text => CelUrl.Parse(text) ?? throw new CelFailureException($"URL parse error during conversion from string: {text}")),
        ("getScheme", 1) => arguments => arguments[0] is CelUrl url ? url.Scheme : throw NoOverload(),
        ("isSorted", 1) => IsSorted,
        ("min" or "max", 1) => arguments => Extreme(arguments, name == "max"),
        _ => null,
    };

    private static bool Equal(object? left, object? right) => (left, right) switch
    {
        (null, null) => true,
        (long or double, long or double) => Number(left).Equals(Number(right)),
        (List<object?> a, List<object?> b) => a.Count == b.Count && a.Zip(b).All(pair => Equal(pair.First, pair.Second)),
        (JsonObject a, JsonObject b) => JsonNode.DeepEquals(a, b),
        _ => Equals(left, right),
    };

    private static bool Contains(object? holder, object? value) => holder switch
    {
        List<object?> list => list.Any(item => Equal(item, value)),
        JsonObject o => value is string key && o.ContainsKey(key),
        _ => throw NoOverload(),
    };

    private static int Compare(object? left, object? right) => (left, right) switch
    {
        (long a, long b) => a.CompareTo(b),
        (long or double, long or double) => Number(left)!.Value.CompareTo(Number(right)!.Value),
        (string a, string b) => string.CompareOrdinal(a, b),
        (bool a, bool b) => a.CompareTo(b),
        (CelDuration a, CelDuration b) => a.Nanoseconds.CompareTo(b.Nanoseconds),
        _ => throw NoOverload(),
    };

    private static object Arithmetic(string op, object? left, object? right)
    {
        if (left is double or long && right is double or long && (left is double || right is double))
        {
            var (x, y) = (Number(left)!.Value, Number(right)!.Value);
            return op switch { "+" => x + y, "-" => x - y, "*" => x * y, "/" => x / y, _ => throw NoOverload() };
        }
        if (left is not long a || right is not long b) throw NoOverload();
        try
        {
            return op switch { "+" => checked(a + b), "-" => checked(a - b), "*" => checked(a * b), "/" => a / b, _ => a % b };
        }
        catch (Exception e) when (e is OverflowException or DivideByZeroException)
        {
            throw new CelFailureException(e is DivideByZeroException ? "division by zero" : "return error for overflow");
        }
    }

    private static object Size(object?[] arguments) => arguments[0] switch
    {
        string text => (long)text.EnumerateRunes().Count(),
        List<object?> list => (long)list.Count,
        JsonObject o => (long)o.Count,
        _ => throw NoOverload(),
    };

    private static object Matches(string text, string pattern) =>
        GoPattern.Compile(pattern)?.IsMatch(text) ?? throw new CelFailureException($"the pattern {pattern} is not valid");

    private static object Whole(object?[] arguments) => arguments[0] switch
    {
        long whole => whole,
        double number when Math.Abs(number) < 9e18 => (long)number,
        string text when long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var parsed) => parsed,
        _ => throw NoOverload(),
    };

    private static object Print(object?[] arguments) => arguments[0] switch
    {
        string text => text,
        bool truth => truth ? "true" : "false",
        IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
        _ => throw NoOverload(),
    };

    private static object IsSorted(object?[] arguments) =>
        arguments[0] is List<object?> list ? list.Zip(list.Skip(1)).All(pair => Compare(pair.First, pair.Second) <= 0) : throw NoOverload();

    private static object? Extreme(object?[] arguments, bool largest)
    {
        if (arguments[0] is not List<object?> { Count: > 0 } list) throw NoOverload();
        return list.Aggregate((best, item) => Compare(item, best) > 0 == largest ? item : best);
    }

    private static double? Number(object? value) => value switch { long whole => whole, double number => number, _ => null };

    private static Func<object?[], object?> Text(Func<string, object?> function) =>
        arguments => arguments[0] is string text ? function(text) : throw NoOverload();

    private static Func<object?[], object?> Texts(Func<string, string, object?> function) =>
        arguments => arguments is [string text, string other] ? function(text, other) : throw NoOverload();

    private static CelFailureException NoOverload() => new("no such overload");
}

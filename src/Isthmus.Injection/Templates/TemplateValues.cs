using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Isthmus.Injection.Templates;

/// <summary>An argument that a function cannot use.</summary>
internal sealed class TemplateFaultException(string reason) : Exception(reason);

/// <summary>How Go's templates look at values.</summary>
internal static class TemplateValues
{
    /// <summary>Everything but null, false, 0 and what is empty.</summary>
    internal static bool IsTrue(JsonNode? value) => value switch
    {
        null => false,
        JsonArray list => list.Count > 0,
        JsonObject map => map.Count > 0,
        _ => value.GetValueKind() switch
        {
            JsonValueKind.False => false,
            JsonValueKind.True => true,
            JsonValueKind.Number => Number(value) != 0,
            _ => value.ToString().Length > 0,
        },
    };

    /// <summary>What an action prints.</summary>
    internal static string Text(JsonNode? value) => value switch
    {
        null => "",
        JsonArray list => $"[{string.Join(' ', list.Select(Text))}]",
        JsonObject map =>
            $"map[{string.Join(' ', map.OrderBy(entry => entry.Key, StringComparer.Ordinal).Select(entry => $"{entry.Key}:{Text(entry.Value)}"))}]",
        _ => value.GetValueKind() switch
        {
            JsonValueKind.True => "true",
            JsonValueKind.False => "false",
            JsonValueKind.Number => Whole(value) is { } whole
                ? whole.ToString(CultureInfo.InvariantCulture)
                : Number(value).ToString("R", CultureInfo.InvariantCulture),
            _ => value.ToString(),
        },
    };

    internal static double Number(JsonNode? value) =>
        value?.GetValueKind() == JsonValueKind.Number && double.TryParse(value.ToString(), NumberStyles.Float, CultureInfo.InvariantCulture, out var number)
            ? number : throw new TemplateFaultException($"'{Text(value)}' is not a number");

    /// <summary>A number without a fraction; null if it has one.</summary>
    internal static long? Whole(JsonNode value) =>
        long.TryParse(value.ToString(), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var whole) ? whole : null;

    /// <summary>Whether two values are equal. What is not set equals what is empty.</summary>
    internal static bool AreEqual(JsonNode? left, JsonNode? right)
    {
        if (left is null || right is null) return !IsTrue(left) && !IsTrue(right);
        if (left is JsonArray or JsonObject || right is JsonArray or JsonObject) throw new TemplateFaultException("lists and maps cannot be compared");
        var (one, other) = (left.GetValueKind(), right.GetValueKind());
        if (one == JsonValueKind.Number && other == JsonValueKind.Number) return Number(left).Equals(Number(right));
        if (one is JsonValueKind.True or JsonValueKind.False && other is JsonValueKind.True or JsonValueKind.False) return one == other;
        if (one == JsonValueKind.String && other == JsonValueKind.String) return Text(left) == Text(right);
        if (Text(left).Length == 0 || Text(right).Length == 0) return !IsTrue(left) && !IsTrue(right);
        throw new TemplateFaultException($"'{Text(left)}' and '{Text(right)}' are not of the same type");
    }

    internal static int Order(JsonNode? left, JsonNode? right) =>
        left?.GetValueKind() == JsonValueKind.Number ? Number(left).CompareTo(Number(right)) : string.CompareOrdinal(Text(left), Text(right));
}

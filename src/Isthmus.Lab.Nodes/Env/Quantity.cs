using System.Globalization;
using System.Text.Json.Nodes;

namespace Isthmus.Lab.Nodes.Env;

/// <summary>Kubernetes' resource quantities: <c>100m</c>, <c>1.5</c>, <c>64Mi</c>, <c>1e3</c>.</summary>
public static class Quantity
{
    private static readonly (string Suffix, decimal Factor)[] Suffixes =
    [
        ("Ki", 1024m), ("Mi", 1048576m), ("Gi", 1073741824m), ("Ti", 1099511627776m), ("Pi", 1125899906842624m), ("Ei", 1152921504606846976m),
        ("n", 0.000000001m), ("u", 0.000001m), ("m", 0.001m), ("k", 1e3m), ("M", 1e6m), ("G", 1e9m), ("T", 1e12m), ("P", 1e15m), ("E", 1e18m),
    ];

    public static bool TryParse(string? text, out decimal value)
    {
        value = 0;
        if (string.IsNullOrEmpty(text)) return false;
        var factor = 1m;
        foreach (var (suffix, times) in Suffixes)
        {
            if (!text.EndsWith(suffix, StringComparison.Ordinal)) continue;
            factor = times;
            text = text[..^suffix.Length];
            break;
        }
        if (!decimal.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number)) return false;
        try
        {
            value = number * factor;
            return true;
        }
        catch (OverflowException)
        {
            return false;
        }
    }

    /// <summary>A quantity in an object is a string or a number.</summary>
    public static decimal? Read(JsonNode? node) => node is not null && TryParse(node.ToString(), out var value) ? value : null;
}

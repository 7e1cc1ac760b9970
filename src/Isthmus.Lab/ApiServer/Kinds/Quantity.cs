using System.Globalization;

namespace Isthmus.Lab.ApiServer.Kinds;

/// <summary>An amount such as <c>500m</c>, <c>1Gi</c> or <c>2e3</c>, as a number.</summary>
internal static class Quantity
{
    private static readonly (string Suffix, decimal Factor)[] Suffixes =
    [
        ("Ki", 1L << 10), ("Mi", 1L << 20), ("Gi", 1L << 30), ("Ti", 1L << 40), ("Pi", 1L << 50), ("Ei", 1L << 60),
        ("n", 1e-9m), ("u", 1e-6m), ("m", 1e-3m), ("k", 1e3m), ("M", 1e6m), ("G", 1e9m), ("T", 1e12m), ("P", 1e15m), ("E", 1e18m),
    ];

    public static bool TryParse(string text, out decimal amount)
    {
        var factor = 1m;
        foreach (var (suffix, times) in Suffixes)
        {
            if (!text.EndsWith(suffix, StringComparison.Ordinal)) continue;
            (factor, text) = (times, text[..^suffix.Length]);
            break;
        }
        const NumberStyles style = NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent;
        if (!decimal.TryParse(text, style, CultureInfo.InvariantCulture, out amount)) return false;
        try
        {
            amount *= factor;
            return true;
        }
        catch (OverflowException)
        {
            return false;
        }
    }
}

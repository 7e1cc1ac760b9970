using System.Globalization;
using System.Numerics;
using System.Text.Json.Nodes;

namespace Isthmus.Kubernetes.Objects;

/// <summary>Amounts such as `100m`, `1.5Gi`, `2e3`: exact, and printed in Kubernetes' canonical form.</summary>
public static class Quantity
{
    private static readonly string[] Binary = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    private static readonly (string Suffix, int Exponent)[] Decimal =
        [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];

    /// <summary>Null when the text is not a quantity.</summary>
    public static string? Canonical(string text) => Parse(text) is { } parsed ? Print(parsed.Nanos, parsed.Format) : null;

    /// <summary>The value in units of 10⁻⁹; null when the text is not a quantity.</summary>
    public static BigInteger? Nanos(string text) => Parse(text)?.Nanos;

    /// <summary>Parses a quantity whose value fits a decimal.</summary>
    public static bool TryParse(string? text, out decimal value)
    {
        value = 0;
        if (Nanos(text ?? "") is not { } nanos) return false;
        var whole = BigInteger.DivRem(nanos, 1_000_000_000, out var rest);
        if (BigInteger.Abs(whole) > (BigInteger)decimal.MaxValue / 10) return false;
        value = (decimal)whole + ((decimal)rest / 1_000_000_000m);
        return true;
    }

    /// <summary>A quantity in an object is a string or a number.</summary>
    public static decimal? Read(JsonNode? node) => node is not null && TryParse(node.ToString(), out var value) ? value : null;

    private enum Format
    {
        Decimal,
        Binary,
        Exponent,
    }

    private static (BigInteger Nanos, Format Format)? Parse(string text)
    {
        var end = 0;
        if (end < text.Length && text[end] is '+' or '-') end++;
        var start = end;
        while (end < text.Length && (char.IsAsciiDigit(text[end]) || text[end] == '.')) end++;
        var number = text[start..end];
        if (number.Length is 0 or > 64 || number == "." || number.Count(c => c == '.') > 1) return null;
        var suffix = text[end..];
        var negative = text[0] == '-';
        var dot = number.IndexOf('.', StringComparison.Ordinal);
        var digits = BigInteger.Parse("0" + number.Replace(".", "", StringComparison.Ordinal), CultureInfo.InvariantCulture);
        var decimals = dot < 0 ? 0 : number.Length - dot - 1;
        var binary = suffix.Length == 0 ? -1 : Array.IndexOf(Binary, suffix);
        var format = Format.Decimal;
        BigInteger scaled;
        if (binary > 0)
        {
            format = Format.Binary;
            scaled = CeilingDivide(digits * BigInteger.Pow(1024, binary) * 1_000_000_000, BigInteger.Pow(10, decimals));
        }
        else
        {
            int exponent;
            var found = Array.FindIndex(Decimal, unit => unit.Suffix == suffix);
            if (found >= 0) exponent = Decimal[found].Exponent;
            else if (suffix[0] is 'e' or 'E' && int.TryParse(suffix.AsSpan(1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out exponent)
                && Math.Abs(exponent) < 30)
                format = Format.Exponent;
            else return null;
            var power = 9 + exponent - decimals;
            scaled = power >= 0 ? digits * BigInteger.Pow(10, power) : CeilingDivide(digits, BigInteger.Pow(10, -power));
        }
        return (negative ? -scaled : scaled, format);
    }

    private static BigInteger CeilingDivide(BigInteger value, BigInteger by) => (value + by - 1) / by;

    private static string Print(BigInteger nanos, Format format)
    {
        if (nanos.IsZero) return "0";
        var unit = new BigInteger(1_000_000_000);
        // Small or fractional binary amounts are printed as decimal ones.
        if (format == Format.Binary && (nanos % unit != 0 || BigInteger.Abs(nanos) < 1024 * unit)) format = Format.Decimal;
        if (format == Format.Binary)
        {
            var value = nanos / unit;
            var power = 0;
            while (power < Binary.Length - 1 && value % 1024 == 0)
            {
                value /= 1024;
                power++;
            }
            return value.ToString(CultureInfo.InvariantCulture) + Binary[power];
        }
        for (var i = Decimal.Length - 1; i >= 0; i--)
        {
            var size = BigInteger.Pow(10, Decimal[i].Exponent + 9);
            if (nanos % size != 0) continue;
            var suffix = format == Format.Exponent && Decimal[i].Exponent != 0 ? $"e{Decimal[i].Exponent}" : Decimal[i].Suffix;
            return (nanos / size).ToString(CultureInfo.InvariantCulture) + suffix;
        }
        return "0";
    }
}

using System.Globalization;

namespace Isthmus.Core.Problems;

/// <summary>Writes how many there are of something.</summary>
public static class Counted
{
    /// <summary>For example <c>1 Pod</c>, <c>2 Pods</c>, <c>2 policies</c>.</summary>
    /// <param name="many">The plural, where it is not <paramref name="one"/> with an s.</param>
    public static string Of(long number, string one, string? many = null) =>
        string.Create(CultureInfo.InvariantCulture, $"{number} {(number == 1 ? one : many ?? $"{one}s")}");
}

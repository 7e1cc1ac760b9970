namespace Isthmus.Core.Problems;

/// <summary>Finds the name that the user may have meant.</summary>
public static class Spelling
{
    /// <summary>How many letters must be put in, left out or changed to make one word of the other.</summary>
    public static int Distance(string a, string b)
    {
        var row = Enumerable.Range(0, b.Length + 1).ToArray();
        for (var i = 1; i <= a.Length; i++)
        {
            var corner = row[0]++;
            for (var j = 1; j <= b.Length; j++)
            {
                var above = row[j];
                row[j] = Math.Min(Math.Min(row[j], row[j - 1]) + 1, corner + (a[i - 1] == b[j - 1] ? 0 : 1));
                corner = above;
            }
        }
        return row[^1];
    }

    /// <summary>Whether one value was probably meant to be the other. Values that differ in their digits alone, such as db1 and db2, are names of different
    /// things.</summary>
    public static bool IsMistyped(string has, string meant) => Distance(has, meant) <= Math.Clamp(meant.Length / 3, 1, 2)
        && (has == meant || Letters(has) != Letters(meant));

    private static string Letters(string name) => string.Concat(name.Where(letter => !char.IsAsciiDigit(letter)));

    /// <summary>The known name that is nearest, upper and lower case being alike; null when none is near.</summary>
    public static string? Nearest(string word, IEnumerable<string> known) =>
        known.Select(name => (Name: name, Distance: Distance(name.ToLowerInvariant(), word.ToLowerInvariant())))
            .Where(candidate => candidate.Distance <= Math.Clamp(word.Length / 3, 1, 3))
            .OrderBy(candidate => candidate.Distance).ThenBy(candidate => candidate.Name, StringComparer.Ordinal).FirstOrDefault().Name;
}

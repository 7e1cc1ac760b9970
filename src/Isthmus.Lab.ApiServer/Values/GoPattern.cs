using System.Text.RegularExpressions;

namespace Isthmus.Lab.ApiServer.Values;

/// <summary>Compiles patterns written for Go. They run without backtracking, so that no pattern can stop the server.</summary>
internal static class GoPattern
{
    /// <summary>Null when the pattern is not valid, or cannot run without backtracking.</summary>
    public static Regex? Compile(string pattern)
    {
        try
        {
            // .NET spells named groups differently, and its $ also matches before a last newline.
            var text = pattern.Replace("(?P<", "(?<", StringComparison.Ordinal);
            if (text.EndsWith('$') && !text.EndsWith("\\$", StringComparison.Ordinal)) text = text[..^1] + "\\z";
            return new Regex(text, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException)
        {
            return null;
        }
    }
}

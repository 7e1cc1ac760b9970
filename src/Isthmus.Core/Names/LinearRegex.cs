using System.Text;
using System.Text.RegularExpressions;

namespace Isthmus.Core.Names;

/// <summary>Regular expressions that others wrote. Matching takes time in proportion to the text, whatever the pattern.</summary>
public static class LinearRegex
{
    private const RegexOptions Linear = RegexOptions.NonBacktracking | RegexOptions.CultureInvariant;

    /// <summary>Longer patterns are not used.</summary>
    public const int Longest = 4096;

    /// <param name="whole">Whether the pattern must match a value from its beginning to its end.</param>
    /// <exception cref="ArgumentException">The pattern is malformed, or too long.</exception>
    /// <exception cref="NotSupportedException">It cannot be matched in linear time.</exception>
    public static Regex Compile(string pattern, bool whole = false, bool ignoreCase = false) => pattern.Length > Longest
        ? throw new ArgumentException($"it has more than {Longest} characters", nameof(pattern))
        : new(whole ? $@"\A(?:{pattern})\z" : pattern, ignoreCase ? Linear | RegexOptions.IgnoreCase : Linear);

    /// <summary>The pattern that matches just the text. RE2 accepts a backslash only before punctuation.</summary>
    public static string Literal(string text)
    {
        var escaped = new StringBuilder(text.Length);
        foreach (var c in text)
        {
            if (".+*?()|[]{}^$\\".Contains(c, StringComparison.Ordinal)) escaped.Append('\\');
            escaped.Append(c);
        }
        return escaped.ToString();
    }

    /// <summary>Why a pattern cannot be used; null: it can, for whole values and for parts. A pattern whose comment hides the end of the group
    /// around it would be accepted alone, and then refused by every proxy.</summary>
    public static string? Fault(string pattern)
    {
        try
        {
            _ = Compile(pattern);
            _ = Compile(pattern, whole: true);
            return null;
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException)
        {
            return e.Message;
        }
    }
}

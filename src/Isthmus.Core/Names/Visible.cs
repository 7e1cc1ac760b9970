using System.Buffers;
using System.Globalization;
using System.Text;

namespace Isthmus.Core.Names;

/// <summary>
/// Texts of others, for terminals and logs: names, values and answers may hold what moves the cursor, ends the line, or turns the order of what
/// follows. Such characters are written as C# writes them, for example <c>\x1b</c>, <c>\n</c> or <c>\u202e</c>.
/// </summary>
public static class Visible
{
    private static readonly SearchValues<char> Suspects = SearchValues.Create([.. Enumerable.Range(0, char.MaxValue + 1).Select(c => (char)c)
        .Where(IsSuspect)]);

    private static readonly SearchValues<char> SuspectsInLines = SearchValues.Create([.. Enumerable.Range(0, char.MaxValue + 1).Select(c => (char)c)
        .Where(c => IsSuspect(c) && c is not ('\n' or '\t'))]);

    /// <summary>A text that is part of a line: breaks of lines are written out, too. A text without such characters is returned as it is.</summary>
    public static string Text(string text) => Write(text, Suspects, Name);

    /// <summary>A text of lines, whose breaks and tabs are kept.</summary>
    public static string Lines(string text) => Write(text, SuspectsInLines, Name);

    /// <summary>JSON or double-quoted YAML whose value stays the same: what is suspect in it is in its strings, beside breaks of lines and tabs.</summary>
    public static string Json(string json) => Write(json, SuspectsInLines, suspect => $"\\u{((int)suspect).ToString("x4", CultureInfo.InvariantCulture)}");

    /// <summary>Whether a text of one line shows all that it has.</summary>
    public static bool IsWhole(ReadOnlySpan<char> text) => Next(text, Suspects) < 0;

    /// <summary>How a character is written.</summary>
    public static string Name(char suspect) => suspect switch
    {
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        < '\u0100' => $"\\x{((int)suspect).ToString("x2", CultureInfo.InvariantCulture)}",
        _ => $"\\u{((int)suspect).ToString("x4", CultureInfo.InvariantCulture)}",
    };

    private static string Write(string text, SearchValues<char> suspects, Func<char, string> name)
    {
        var at = Next(text, suspects);
        if (at < 0) return text;
        var whole = new StringBuilder(text.Length + 16);
        var rest = text.AsSpan();
        for (; at >= 0; at = Next(rest, suspects))
        {
            whole.Append(rest[..at]).Append(name(rest[at]));
            rest = rest[(at + 1)..];
        }
        return whole.Append(rest).ToString();
    }

    /// <summary>The first suspect; halves of pairs count where they stand alone.</summary>
    private static int Next(ReadOnlySpan<char> text, SearchValues<char> suspects)
    {
        for (var from = 0; ;)
        {
            var at = text[from..].IndexOfAny(suspects);
            if (at < 0) return -1;
            at += from;
            if (!char.IsHighSurrogate(text[at]) || at + 1 == text.Length || !char.IsLowSurrogate(text[at + 1])) return at;
            from = at + 2;
        }
    }

    /// <summary>Controls, what separates lines and paragraphs, what turns the direction of writing, and halves of pairs.</summary>
    private static bool IsSuspect(char c) => char.IsControl(c) || char.IsSurrogate(c)
        || c is '\u061c' or '\u200e' or '\u200f' or '\u2028' or '\u2029' or (>= '\u202a' and <= '\u202e') or (>= '\u2066' and <= '\u2069') or '\ufeff';
}

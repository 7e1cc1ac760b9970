using System.Text;

namespace Isthmus.Output;

/// <summary>Colors results for terminals.</summary>
internal static class Paint
{
    private const string Bad = "\e[1;31m", Doubtful = "\e[33m", Good = "\e[32m", Plain = "\e[0m";

    /// <summary>What is drawn before a mark: the branches of a tree.</summary>
    private const string Branches = " │├└─";

    internal static string Failed(string text) => $"{Bad}{text}{Plain}";

    internal static string Warned(string text) => $"{Doubtful}{text}{Plain}";

    internal static string Passed(string text) => $"{Good}{text}{Plain}";

    /// <summary>Colors the marks at the beginning of lines.</summary>
    internal static string Marks(string text)
    {
        var painted = new StringBuilder(text.Length + 256);
        var isFirst = true;
        foreach (var line in text.AsSpan().EnumerateLines())
        {
            if (!isFirst) painted.Append('\n');
            isFirst = false;
            var at = line.IndexOfAnyExcept(Branches);
            if (at < 0 || at + 1 >= line.Length || line[at + 1] != ' ' || Mark(line[at]) is not { } mark) painted.Append(line);
            else painted.Append(line[..at]).Append(mark).Append(line[(at + 1)..]);
        }
        return painted.ToString();
    }

    private static string? Mark(char mark) => mark switch
    {
        '✔' => Passed("✔"),
        '✘' => Failed("✘"),
        '!' => Warned("!"),
        '?' => Warned("?"),
        _ => null,
    };
}

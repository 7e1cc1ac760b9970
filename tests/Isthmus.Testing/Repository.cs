using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;

namespace Isthmus.Testing;

/// <summary>One C# file of the repository. Its path is relative to the repository.</summary>
public sealed record SourceFile(string Path, IReadOnlyList<string> Lines);

/// <summary>The files that the architecture tests read.</summary>
public static partial class Repository
{
    public static string Root { get; } = Find();

    public static string At(string path) => System.IO.Path.Combine(Root, path);

    /// <summary>The pages whose paths and commands are checked.</summary>
    public static IReadOnlyList<string> Pages { get; } =
        ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md",
            .. Directory.EnumerateFiles(At("docs"), "*.md", SearchOption.AllDirectories).Select(path => System.IO.Path.GetRelativePath(Root, path))
                .Order(StringComparer.Ordinal)];

    public static IEnumerable<SourceFile> Sources(string folder) =>
        Directory.EnumerateFiles(At(folder), "*.cs", SearchOption.AllDirectories)
            .Select(path => System.IO.Path.GetRelativePath(Root, path))
            .Where(path => !path.Contains("/obj/", StringComparison.Ordinal) && !path.Contains("/bin/", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal)
            .Select(path => new SourceFile(path, File.ReadAllLines(At(path))));

    /// <summary>The rows of the table with these header cells on a page, without inline code marks.</summary>
    public static IReadOnlyList<string[]> Table(string page, params string[] head)
    {
        var lines = File.ReadAllLines(At(page));
        var rows = new List<string[]>();
        for (var i = 0; i < lines.Length; i++)
        {
            if (!lines[i].StartsWith('|') || !Cells(lines[i]).SequenceEqual(head)) continue;
            for (i += 2; i < lines.Length && lines[i].StartsWith('|'); i++) rows.Add(Cells(lines[i]));
        }
        return rows;
    }

    /// <summary>Texts in backquotes, outside of blocks.</summary>
    public static IEnumerable<string> InlineCode(string page) =>
        InlineCode().Matches(Blocks().Replace(File.ReadAllText(At(page)), "")).Select(match => match.Groups[1].Value);

    /// <summary>The commands of the page's blocks marked <c>sh</c>, with continued lines joined.</summary>
    public static IEnumerable<string> Commands(string page) =>
        from Match block in Blocks().Matches(File.ReadAllText(At(page)))
        where block.Groups[1].Value == "sh"
        from line in block.Groups[2].Value.Replace("\\\n", " ", StringComparison.Ordinal).Split('\n')
        select line;

    private static string[] Cells(string line) => [.. line.Trim().Trim('|').Split('|').Select(cell => cell.Replace("`", "", StringComparison.Ordinal).Trim())];

    private static string Find([CallerFilePath] string file = "")
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(System.IO.Path.Combine(folder.FullName, "Isthmus.slnx"))) folder = folder.Parent;
        return folder?.FullName ?? System.IO.Path.GetFullPath("../../..", System.IO.Path.GetDirectoryName(file)!);
    }

    [GeneratedRegex("`([^`\n]+)`")]
    private static partial Regex InlineCode();

    [GeneratedRegex("^```(\\w*)\n(.*?)^```$", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Blocks();
}

using System.CommandLine;
using System.Text.RegularExpressions;
using Isthmus.Commands;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Architecture;

/// <summary>The paths, commands and types that README and docs name exist.</summary>
public sealed partial class DocumentationTests
{
    public static TheoryData<string> Pages => [.. Repository.Pages];

    [Theory]
    [MemberData(nameof(Pages))]
    public void Paths_exist(string page)
    {
        var folder = Path.GetDirectoryName(Repository.At(page))!;
        var links = Link().Matches(File.ReadAllText(Repository.At(page))).Select(match => match.Groups[1].Value.Split('#')[0])
            .Where(target => target.Length > 0 && !target.Contains("://", StringComparison.Ordinal)).Select(target => Path.Combine(folder, target));
        var named = Repository.InlineCode(page).Concat(Repository.Commands(page)).SelectMany(text => OwnPath().Matches(text))
            .Select(match => Repository.At(match.Value));
        Assert.Empty(links.Concat(named).Where(path => !Path.Exists(path)).Select(path => $"{page}: {path}"));
    }

    /// <summary>Whoever reads a code can look it up.</summary>
    [Fact]
    public void Every_code_has_an_entry()
    {
        var used = Directory.EnumerateFiles(Repository.At("src"), "*.cs", SearchOption.AllDirectories)
            .SelectMany(file => OwnCode().Matches(File.ReadAllText(file))).Select(match => match.Groups[1].Value).ToHashSet();
        var told = ((string[])["docs/reference/problems.md", "docs/reference/analysis.md"]).SelectMany(page => File.ReadLines(Repository.At(page)))
            .Where(line => line.StartsWith("| ISM", StringComparison.Ordinal))
            .SelectMany(line => line.Split('|')[1].Split(',', StringSplitOptions.TrimEntries)).ToList();
        Assert.Distinct(told);
        Assert.Equal(used.Order(StringComparer.Ordinal), told.Order(StringComparer.Ordinal));
    }

    [GeneratedRegex("\"(ISM[0-9]{4})\"")]
    private static partial Regex OwnCode();

    [Fact]
    public void The_index_lists_every_page()
    {
        var index = Link().Matches(File.ReadAllText(Repository.At("docs/README.md"))).Select(link => link.Groups[1].Value).ToHashSet(StringComparer.Ordinal);
        var pages = Directory.EnumerateFiles(Repository.At("docs"), "*.md", SearchOption.AllDirectories)
            .Select(path => Path.GetRelativePath(Repository.At("docs"), path)).Where(page => page != "README.md");
        // Pages in Chinese are listed by their own index.
        Assert.Empty(pages.Where(page => !page.StartsWith("zh/guides/", StringComparison.Ordinal) || page == "zh/guides/README.md").Except(index));
    }

    [Fact]
    public void Folders_of_the_map_exist()
    {
        var missing =
            from row in Repository.Table("docs/ARCHITECTURE.md", "project", "what is in it")
            from Match folder in Subfolder().Matches(row[1])
            let path = Path.Combine(row[0], folder.Value)
            where !Directory.Exists(Repository.At(path))
            select path;
        Assert.Empty(missing);
        Assert.Equal(Directory.EnumerateDirectories(Repository.At("src")).Where(folder => Directory.EnumerateFiles(folder, "*.csproj").Any())
            .Select(folder => $"src/{Path.GetFileName(folder)}").Order(),
            Repository.Table("docs/ARCHITECTURE.md", "project", "what is in it").Select(row => row[0]).Order());
    }

    [Fact]
    public void Types_that_the_architecture_names_exist()
    {
        var declared = Repository.Sources("src").SelectMany(file => file.Lines).SelectMany(line => Declaration().Matches(line))
            .Select(match => match.Groups[1].Value).ToHashSet(StringComparer.Ordinal);
        var missing = Repository.InlineCode("docs/ARCHITECTURE.md").Where(text => TypeName().IsMatch(text)).Select(text => text.Split('<')[0])
            .Where(name => !declared.Contains(name));
        Assert.Empty(missing.Distinct());
    }

    [Theory]
    [MemberData(nameof(Pages))]
    public void Commands_exist_with_the_options_that_are_given(string page)
    {
        var wrong =
            from text in Repository.InlineCode(page).Concat(Repository.Commands(page))
            from Match call in Call().Matches(text)
            let problem = Problem(call.Groups["program"].Value, [.. call.Groups["rest"].Value.Split(' ', StringSplitOptions.RemoveEmptyEntries)])
            where problem.Length > 0
            select $"{page}: {call.Value.Trim()}: {problem}";
        Assert.Empty(wrong);
    }

    /// <summary>What is wrong with a command line; empty when nothing is. It checks only commands and options, not
    /// arguments.</summary>
    private static string Problem(string program, IReadOnlyList<string> words)
    {
        Command command = program == "kind" ? KindCommand.BuildRoot() : CommandLine.BuildRoot([]);
        if (program != "kind" && words.Count > 0 && CommandLine.RoleNames.Contains(words[0])) return "";
        var options = command.Options.ToList();
        foreach (var word in words)
        {
            if (word is "…" or "--") break;
            // Standard input as a file.
            if (word == "-") continue;
            if (word.StartsWith('-'))
            {
                var name = word.Split('=')[0];
                if (!options.Any(option => option.Name == name || option.Aliases.Contains(name))) return $"'{command.Name}' has no option {name}";
            }
            else if (command.Arguments.Count == 0 && command.Subcommands.Count > 0 && PlainWord().IsMatch(word))
            {
                if (command.Subcommands.FirstOrDefault(sub => sub.Name == word || sub.Aliases.Contains(word)) is not { } sub)
                    return $"'{command.Name}' has no command {word}";
                command = sub;
                options.AddRange(sub.Options);
            }
        }
        return "";
    }

    [GeneratedRegex(@"\]\(([^)\s]+)\)")]
    private static partial Regex Link();

    [GeneratedRegex(@"(?<![\w/.$""-])(\./)?(src|docs|tests|bin|samples|manifests|charts|tools|bench)/[\w./-]*\w/?")]
    private static partial Regex OwnPath();

    [GeneratedRegex(@"\b[A-Z][a-z]\w*/")]
    private static partial Regex Subfolder();

    [GeneratedRegex(@"\b(?:class|record|struct|interface|enum)\s+(?:struct\s+)?(\w+)")]
    private static partial Regex Declaration();

    [GeneratedRegex("^([A-Z][a-z0-9]+){2,}(<T>)?$")]
    private static partial Regex TypeName();

    [GeneratedRegex(@"(?<=^|[;&|(!]\s*|\./|bin/|\bdo )(?<program>isthmus|istioctl|kind)(?<rest>(?: +(?:[^\s|;&<>()""'\\$#]+|""[^""]*""|\$\w+))*)")]
    private static partial Regex Call();

    [GeneratedRegex("^[a-z][a-z-]*$")]
    private static partial Regex PlainWord();
}

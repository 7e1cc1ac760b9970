using System.Security.Cryptography;
using System.Text.RegularExpressions;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Architecture;

/// <summary>The pages in Chinese: each is of its English page as that is now, and has the same commands and outputs, so that the test that runs
/// the guides runs those of both.</summary>
public sealed partial class ChinesePagesTests
{
    public static TheoryData<string, string> Pages =>
    [
        ("README.md", "README.zh.md"), ("docs/faq.md", "docs/zh/faq.md"), ("docs/trace.md", "docs/zh/trace.md"),
        .. Directory.EnumerateFiles(Repository.At("docs/guides"), "*.md").Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)
            .Select(name => ($"docs/guides/{name}", $"docs/zh/guides/{name}")),
    ];

    [Theory]
    [MemberData(nameof(Pages))]
    public void A_page_is_of_its_English_page_as_that_is_now(string english, string chinese)
    {
        var (source, page) = (File.ReadAllText(Repository.At(english)), File.ReadAllText(Repository.At(chinese)));
        Assert.Equal(Blocks().Matches(source).Select(block => block.Value), Blocks().Matches(page).Select(block => block.Value));
        Assert.Equal(Includes(english, source),
            Includes(chinese, page).Select(path => path.Replace("docs/zh/guides/", "docs/guides/", StringComparison.Ordinal)));
        Assert.Equal(Headings().Count(source), Headings().Count(page));
        var mark = $"<!-- English source: {english} {Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(Repository.At(english))))} -->";
        Assert.True(page.EndsWith($"\n{mark}\n", StringComparison.Ordinal),
            $"{english} has changed since {chinese} was written: change that page, too, and end it with\n{mark}");
    }

    [Fact]
    public void No_page_is_left_of_an_English_one_that_is_gone() => Assert.Equal(
        Pages.Select(row => row.Data.Item2).Where(path => path.StartsWith("docs/zh/", StringComparison.Ordinal)).Order(StringComparer.Ordinal),
        Directory.EnumerateFiles(Repository.At("docs/zh"), "*.md", SearchOption.AllDirectories).Select(path => Path.GetRelativePath(Repository.Root, path))
            .Order(StringComparer.Ordinal));

    /// <summary>The pages whose commands a guide includes, as paths from the root.</summary>
    private static IEnumerable<string> Includes(string page, string text) =>
        Include().Matches(text)
            .Select(match => Path.GetRelativePath(Repository.Root,
                Path.GetFullPath(Path.Combine(Repository.At(Path.GetDirectoryName(page)!), match.Groups[1].Value))));

    [GeneratedRegex("^```[^\n]*\n.*?^```$", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Blocks();

    [GeneratedRegex("^<!-- run: (.+?) -->$", RegexOptions.Multiline)]
    private static partial Regex Include();

    [GeneratedRegex("^#+ ", RegexOptions.Multiline)]
    private static partial Regex Headings();
}

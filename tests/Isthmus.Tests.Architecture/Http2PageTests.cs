using System.Text.RegularExpressions;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Architecture;

/// <summary><c>docs/http2.md</c> has a row for each section of RFC 9113 and RFC 8441 with rules for a proxy. Each of its rows, and of the hostile clients in
/// <c>docs/security.md</c>, names a test that exists.</summary>
public sealed partial class Http2PageTests
{
    private static readonly string[] Sections =
    [
        "3.4", "4.1", "4.2", "4.3", "4.3.1", "5.1", "5.1.1", "5.1.2", "5.2", "5.3.2", "5.4.1", "5.4.2", "5.5", "6.1", "6.2", "6.3", "6.4", "6.5", "6.5.2",
        "6.5.3", "6.6", "6.7", "6.8", "6.9",
        "6.9.1", "6.9.2", "6.10", "8.1", "8.1.1", "8.2.1", "8.2.2", "8.2.3", "8.3", "8.3.1", "8.3.2", "8.4", "8.5", "8.6", "8.7", "10.3", "10.5", "10.5.1",
        "RFC 8441 3", "RFC 8441 4", "RFC 8441 5",
    ];

    private static readonly IReadOnlyList<string[]> Rows = Repository.Table("docs/http2.md", "section", "rule", "what the proxy does", "test");

    [Fact]
    public void Every_section_has_a_row() => Assert.Equal(Sections, Rows.Select(row => row[0]).Distinct());

    [Fact]
    public void Every_rule_has_a_test_that_exists()
    {
        var tests = Repository.Sources("tests")
            .SelectMany(file => Tests().Matches(string.Join('\n', file.Lines))
                .Select(test => $"{Path.GetFileNameWithoutExtension(file.Path)}.{test.Groups[1].Value}"))
            .ToHashSet(StringComparer.Ordinal);
        var named = Rows.Select(row => row[3]).Concat(Repository.Table("docs/security.md", "attack", "bound", "test").Select(row => row[2])).ToList();
        Assert.InRange(named.Count, Rows.Count + 10, int.MaxValue);
        Assert.DoesNotContain(named, test => !tests.Contains(test));
    }

    /// <summary>A method of a test, after its attributes and remarks.</summary>
    [GeneratedRegex(@"\[(?:Fact|Theory)\b[^\n]*\n(?:(?![ ]*(?:public|internal) )[^\n]*\n)*?[ ]*(?:public|internal) (?:async )?(?:void|Task) (\w+)\(")]
    private static partial Regex Tests();
}

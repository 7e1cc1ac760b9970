using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Architecture;

/// <summary>The list of the cases of the Gateway API's conformance suite names tests that there are, and the page counts them.</summary>
public sealed class GatewayCaseTests
{
    private static readonly List<(string Profile, string Case, string Shown, string Test)> Cases =
    [
        .. File.ReadAllLines(Repository.At("tests/gateway-api-cases.tsv")).Where(line => line.Length > 0 && line[0] != '#')
            .Select(line => line.Split('\t')).Select(cells => (cells[0], cells[1], cells[2], cells[3])),
    ];

    /// <summary>The documents in which cases of the lab are stated: the names of the cases, and whether backends can be elsewhere, too.</summary>
    private static readonly List<(string[] Names, bool IsElsewhere)> OfLab =
    [
        .. Directory.GetFiles(Repository.At("tests/Isthmus.Tests.Mesh/GatewayApi/cases"), "*.yaml")
            .SelectMany(file => File.ReadAllText(file).Split("\n---\n")).Select(text => text.Split('\n')).Select(lines =>
                (lines.Single(line => line.StartsWith("cases: [", StringComparison.Ordinal))["cases: [".Length..].TrimEnd(']').Split(", "),
                    lines.Contains("elsewhere: true"))),
    ];

    [Fact]
    public void Every_case_is_named_once() => Assert.Equal(172, Cases.Select(item => item.Case).Distinct(StringComparer.Ordinal).Count());

    [Fact]
    public void Every_test_exists()
    {
        var classes = Repository.Sources("tests").ToLookup(file => Path.GetFileNameWithoutExtension(file.Path), file => file.Lines);
        Assert.All(Cases, item =>
        {
            var (name, method) = item.Test.Split('.') is [var test, var one] ? (test, one) : (item.Test, "");
            Assert.Contains(classes[name], lines => method.Length == 0 || lines.Any(line => line.Contains($" {method}(", StringComparison.Ordinal)));
        });
    }

    [Fact]
    public void Every_case_runs_once_in_a_lab() => Assert.Equal(
        Cases.Select(item => item.Case).Order(StringComparer.Ordinal), OfLab.SelectMany(item => item.Names).Order(StringComparer.Ordinal));

    [Fact]
    public void The_page_counts_them()
    {
        var elsewhere = OfLab.Where(item => item.IsElsewhere).SelectMany(item => item.Names).ToHashSet(StringComparer.Ordinal);
        Assert.Equal(
            Cases.GroupBy(item => item.Profile).Select(group => $"{group.Key} {group.Count()} {Of(group, "traffic")} {Of(group, "configuration")} "
                + $"{Of(group, "status")} {group.Count(item => elsewhere.Contains(item.Case))}"),
            Repository.Table("docs/reference/gateway-api.md", "cases of", "number", "with traffic", "by configuration", "by status", "with two clusters")
                .Select(row => string.Join(' ', row)));
    }

    private static int Of(IEnumerable<(string Profile, string Case, string Shown, string Test)> cases, string shown) =>
        cases.Count(item => item.Shown == shown);
}

using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Architecture;

/// <summary>The list of faults that operators make names tests that there are, and rows that they have.</summary>
public sealed class OperatorFaultTests
{
    private static readonly List<(string Fault, string Shown, string Test)> Faults =
    [
        .. File.ReadAllLines(Repository.At("tests/operator-faults.tsv")).Where(line => line.Length > 0 && line[0] != '#')
            .Select(line => line.Split('\t')).Select(cells => (cells[0], cells[1], cells[2])),
    ];

    [Fact]
    public void Every_fault_is_named_once_and_most_are_made_in_a_running_mesh()
    {
        Assert.Equal(Faults.Count, Faults.Select(item => item.Fault).Distinct(StringComparer.Ordinal).Count());
        Assert.All(Faults, item => Assert.Contains(item.Shown, (string[])["traffic", "lab", "objects"]));
        Assert.True(Faults.Count(item => item.Shown != "objects") > 40, "faults that only objects show prove little");
    }

    [Fact]
    public void Every_test_exists()
    {
        var classes = Repository.Sources("tests").ToLookup(file => Path.GetFileNameWithoutExtension(file.Path), file => file.Lines);
        Assert.All(Faults, item =>
        {
            // "Class.Method", "Class ROW", or a class of cases.
            var (name, rest) = item.Test.Split('.', ' ') is [var test, ..] ? (test, item.Test[test.Length..]) : (item.Test, "");
            var text = rest.Length == 0 ? "" : rest[0] == '.' ? $" {rest[1..]}(" : rest[1..];
            Assert.Contains(classes[name], lines => text.Length == 0 || lines.Any(line => line.Contains(text, StringComparison.Ordinal)));
        });
    }
}

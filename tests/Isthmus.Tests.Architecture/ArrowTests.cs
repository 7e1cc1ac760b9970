using System.Text.RegularExpressions;
using System.Xml.Linq;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Architecture;

/// <summary>The dependencies of namespaces are those in docs/ARCHITECTURE.md.</summary>
public sealed partial class ArrowTests
{
    private const string Page = "docs/ARCHITECTURE.md";

    [Fact]
    public void Projects_use_exactly_the_projects_of_their_row()
    {
        var rows = Repository.Table(Page, "project", "uses").ToDictionary(row => row[0], row => List(row[1]));
        var projects = Directory.EnumerateFiles(Repository.At("src"), "*.csproj", SearchOption.AllDirectories).ToList();
        Assert.Equal(projects.Select(Path.GetFileNameWithoutExtension).Order(), rows.Keys.Order());
        foreach (var project in projects)
        {
            var used = XDocument.Load(project).Descendants("ProjectReference")
                .Select(reference => Path.GetFileNameWithoutExtension(reference.Attribute("Include")!.Value));
            Assert.Equal(rows[Path.GetFileNameWithoutExtension(project)].Order(), used.Order());
        }
    }

    public static TheoryData<string, string> NamespaceRows => [.. Repository.Table(Page, "namespace", "uses").Select(row => (row[0], row[1]))];

    [Theory]
    [MemberData(nameof(NamespaceRows))]
    public void Namespaces_use_nothing_but_those_of_their_row(string name, string uses)
    {
        string[] allowed = [name, .. List(uses)];
        var files = Repository.Sources(Folder(name)).ToList();
        Assert.NotEmpty(files);
        var strangers =
            from file in files
            from line in file.Lines
            where !line.TrimStart().StartsWith("//", StringComparison.Ordinal) && !line.StartsWith("namespace ", StringComparison.Ordinal)
            from used in FullName().Matches(line).Select(match => match.Value).Concat(Siblings(name, line))
            where !allowed.Any(prefix => used == prefix || used.StartsWith(prefix + ".", StringComparison.Ordinal))
            select $"{file.Path}: {used}";
        Assert.Empty(strangers.Distinct());
    }

    /// <summary>Inside a namespace, you can name its siblings without their common prefix.</summary>
    private static IEnumerable<string> Siblings(string name, string line)
    {
        var parent = name[..name.LastIndexOf('.')];
        var folder = Repository.At(Folder(parent));
        if (!Directory.Exists(folder)) return [];
        return Directory.EnumerateDirectories(folder)
            .Select(path => Path.GetFileName(path))
            .Where(sibling => $"{parent}.{sibling}" != name && Regex.IsMatch(line, $@"(?<![\w.""]){sibling}\.[A-Z]\w*\.[A-Z]"))
            .Select(sibling => $"{parent}.{sibling}");
    }

    /// <summary>The folder in the project with the longest name that the namespace begins with.</summary>
    private static string Folder(string name)
    {
        var parts = name.Split('.');
        var project = Enumerable.Range(1, parts.Length).Last(count => Directory.Exists(Repository.At($"src/{string.Join('.', parts[..count])}")));
        return $"src/{string.Join('.', parts[..project])}/{string.Join('/', parts[project..])}";
    }

    private static string[] List(string cell) => cell.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    [GeneratedRegex(@"\bIsthmus\.[A-Z]\w*\.[A-Z][\w.]*")]
    private static partial Regex FullName();
}

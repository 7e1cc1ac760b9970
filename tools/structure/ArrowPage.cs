using System.Text;

namespace Isthmus.Structure;

/// <summary>The arrows of all projects as a block of docs/ARCHITECTURE.md.</summary>
internal static class ArrowPage
{
    private const string Begin = "<!-- arrows: dotnet run --project tools/structure -c Release -- --write -->\n```\n";
    private const string End = "```\n<!-- /arrows -->";

    /// <param name="root">The folder of the checkout.</param>
    /// <param name="configuration">The build to read, as spelled in its folder: <c>release</c>, <c>debug</c>.</param>
    internal static IReadOnlyList<NamespaceArrows> Read(string root, string configuration) =>
        [.. from project in Directory.EnumerateFiles(Path.Combine(root, "src"), "*.csproj", SearchOption.AllDirectories).Order(StringComparer.Ordinal)
            let name = Path.GetFileNameWithoutExtension(project)
            select NamespaceArrows.Read(Path.Combine(root, "artifacts/bin", name, configuration, name + ".dll"), Path.GetDirectoryName(project)!)];

    internal static string Print(IReadOnlyList<NamespaceArrows> projects)
    {
        var text = new StringBuilder();
        foreach (var project in projects)
        {
            if (project.Uses.Count < 2) continue;
            text.Append(project.Project).Append('\n');
            foreach (var (name, uses) in project.Uses)
                text.Append($"  {Short(name, project)} → {(uses.Count == 0 ? "–" : string.Join(", ", uses.Select(used => Short(used, project))))}\n");
        }
        return text.ToString();
    }

    /// <summary>The block of arrows in a page.</summary>
    internal static string Find(string page)
    {
        var (begin, end) = Place(page);
        return page[begin..end];
    }

    internal static string Replace(string page, string block)
    {
        var (begin, end) = Place(page);
        return page[..begin] + block + page[end..];
    }

    private static (int Begin, int End) Place(string page)
    {
        var begin = page.IndexOf(Begin, StringComparison.Ordinal);
        var end = page.IndexOf(End, StringComparison.Ordinal);
        if (begin < 0 || end < begin) throw new InvalidDataException($"the page has no block that begins with {Begin}");
        return (begin + Begin.Length, end);
    }

    /// <summary>The namespace without what it has in common with the project's name; <c>.</c> is the project's own root.</summary>
    private static string Short(string name, NamespaceArrows project)
    {
        if (name.Equals(project.Project, StringComparison.OrdinalIgnoreCase)) return ".";
        var common = project.Project;
        while (!name.StartsWith(common + '.', StringComparison.OrdinalIgnoreCase)) common = common[..common.LastIndexOf('.')];
        return name[(common.Length + 1)..];
    }
}

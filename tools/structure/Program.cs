using Isthmus.Structure;

// dotnet run --project tools/structure                 the arrows, as docs/ARCHITECTURE.md shows them
// dotnet run --project tools/structure -- --circles    only the circles; exit status 1 if there are any
// dotnet run --project tools/structure -- --sizes      classes and parameter lists that are too long; exit status 1 if there are any
// dotnet run --project tools/structure -- --write      writes the arrows into docs/ARCHITECTURE.md
var root = new DirectoryInfo(AppContext.BaseDirectory);
while (root is not null && !File.Exists(Path.Combine(root.FullName, "Isthmus.slnx"))) root = root.Parent;
if (root is null)
{
    Console.Error.WriteLine("structure: not inside a checkout: Isthmus.slnx was not found in any parent folder");
    return 2;
}
var configuration = Path.GetFileName(AppContext.BaseDirectory.TrimEnd('/'));
var arrows = ArrowPage.Read(root.FullName, configuration);
if (args is ["--circles"])
{
    var circles = arrows.SelectMany(project => project.Circles()).ToList();
    foreach (var circle in circles) Console.WriteLine(string.Join(' ', circle));
    return circles.Count == 0 ? 0 : 1;
}
if (args is ["--sizes"])
{
    var classes = Sizes.Classes(Path.Combine(root.FullName, "src")).Where(type => type.Lines > Sizes.LongestClass).OrderByDescending(type => type.Lines)
        .ToList();
    foreach (var (name, lines) in classes) Console.WriteLine($"{lines,5} lines       {name}");
    var lists = arrows.SelectMany(project => Sizes.LongLists(project.Assembly)).OrderByDescending(method => method.Count).ToList();
    foreach (var (name, count) in lists) Console.WriteLine($"{count,5} parameters  {name}");
    return classes.Count + lists.Count == 0 ? 0 : 1;
}
var page = Path.Combine(root.FullName, "docs/ARCHITECTURE.md");
if (args is ["--write"]) File.WriteAllText(page, ArrowPage.Replace(File.ReadAllText(page), ArrowPage.Print(arrows)));
else Console.Write(ArrowPage.Print(arrows));
return 0;

using System.Collections;
using System.Reflection;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Architecture;

/// <summary>Rules for every source file.</summary>
public sealed partial class SourceTests
{
    private const int LongestFile = 450, WidestLine = 160, WidestText = 200;

    /// <summary>The samples themselves, the images that replace them, and the quickstart.</summary>
    private static readonly string[] KnowsSamples = ["src/Isthmus.Samples/", "src/Isthmus.Images/Description/", "src/isthmus/Quickstart/",
        "src/isthmus/Commands/QuickstartCommand.cs"];

    [Fact]
    public void No_file_is_longer_than_somebody_can_read()
    {
        // The rows of a table are read one by one.
        var worst = Repository.Sources("src").Concat(Repository.Sources("tests")).Select(file => (file.Path, Count: file.Lines.Count - Rows(file.Lines)))
            .OrderByDescending(file => file.Count).Take(3).ToList();
        Assert.True(worst[0].Count <= LongestFile, string.Join('\n', worst.Select(file => $"{file.Count} lines: {file.Path}")));
    }

    /// <summary>How many lines are attributes with the values of a test, of one line or more.</summary>
    private static int Rows(IReadOnlyList<string> lines)
    {
        var (rows, isRow) = (0, false);
        foreach (var line in lines)
        {
            isRow |= line.TrimStart().StartsWith("[InlineData(", StringComparison.Ordinal);
            if (!isRow) continue;
            rows++;
            isRow = !line.EndsWith(")]", StringComparison.Ordinal);
        }
        return rows;
    }

    /// <summary>The console of .NET changes the mode of a terminal as soon as anything of it is used that reads.</summary>
    [Fact]
    public void Commands_leave_the_mode_of_a_terminal_alone() => Assert.Empty(
        from file in Repository.Sources("src/isthmus")
        where !file.Path.EndsWith("/Output/Terminal.cs", StringComparison.Ordinal)
        from line in file.Lines
        where ReadingConsole().IsMatch(line)
        select $"{file.Path}: {line.Trim()}: use Terminal");

    [GeneratedRegex(@"\bConsole\.(In\b|Read|OpenStandardInput|CancelKeyPress|Key|Cursor|Foreground|Background|ResetColor|Clear|Window|Title|TreatControl)")]
    private static partial Regex ReadingConsole();

    [Fact]
    public void No_line_is_wider_than_a_screen()
    {
        var wide =
            from folder in (string[])["src", "tests", "bench", "tools"]
            from file in Repository.Sources(folder)
            from line in OutsideOfTexts(file.Lines)
            where line.Length > WidestLine && !WideText().IsMatch(line)
            select $"{line.Length} columns: {file.Path}: {line.Trim()}";
        Assert.Empty(wide);
    }

    /// <summary>Texts, too: they can be broken between words, or between the members of an object.</summary>
    [Fact]
    public void No_text_is_much_wider_than_a_screen() => Assert.Empty(
        from folder in (string[])["src", "tests", "bench", "tools"]
        from file in Repository.Sources(folder)
        from line in file.Lines
        where line.Length > WidestText
        select $"{line.Length} columns: {file.Path}: {line.Trim()}");

    [Theory]
    [InlineData(2, "    var a = 1;", "    var text = \"\"\"", "        anything at all", "        \"\"\";", "    var c = 3;")]
    [InlineData(0, "    var text = \"\"\"one line\"\"\";")]
    [InlineData(2, "    var text = \"\"\"one\"\"\" + $\"\"\"", "        other", "        third \"\"\";")]
    public void Lines_within_a_text_are_what_the_text_says(int left, params string[] lines) => Assert.Equal(lines.Length - left, OutsideOfTexts(lines).Count());

    /// <summary>The lines that are no part of a text of several lines.</summary>
    private static IEnumerable<string> OutsideOfTexts(IReadOnlyList<string> lines)
    {
        var isInside = false;
        foreach (var line in lines)
        {
            var wasInside = isInside;
            if (Quotes().Count(line) % 2 == 1) isInside = !isInside;
            if (!wasInside) yield return line;
        }
    }

    [Fact]
    public void Nothing_but_the_samples_and_the_quickstart_knows_the_name_of_a_sample()
    {
        var found =
            from file in Repository.Sources("src")
            where !KnowsSamples.Any(allowed => file.Path.StartsWith(allowed, StringComparison.Ordinal))
            from line in file.Lines
            where SampleName().IsMatch(line)
            select $"{file.Path}: {line.Trim()}";
        Assert.Empty(found);
    }

    /// <summary>Also what the installation creates and removes, in its order, and what is made for a Gateway.</summary>
    private static readonly string[] ListsKinds = ["src/Isthmus.Mesh/Config/MeshApi.cs", "src/Isthmus.ControlPlane/GatewayApi/MadeObjects.cs",
        "src/Isthmus.Operate/Install/Installed.cs"];

    /// <summary>They do not see the table: the lab has none of the mesh's kinds, and a DNS server reads one.</summary>
    private static readonly string[] OwnKinds = ["src/Isthmus.Lab", "src/Isthmus.Dns/", "src/Isthmus.Kubernetes/Objects/Kinds.cs"];

    /// <summary>A list beside the table of descriptors is one that the next kind is missing from.</summary>
    [Fact]
    public void Nothing_but_the_table_of_descriptors_lists_kinds()
    {
        var found =
            from file in Repository.Sources("src")
            where !ListsKinds.Contains(file.Path) && !OwnKinds.Any(own => file.Path.StartsWith(own, StringComparison.Ordinal))
            let list = KindList().Match(string.Join(' ', file.Lines.Select(line => line.Trim())))
            where list.Success
            select $"{file.Path}: {list.Value}";
        Assert.Empty(found);
    }

    /// <summary>The client of Kubernetes has a table of its own, since it does not see the one of the mesh.</summary>
    [Fact]
    public void Both_tables_of_kinds_say_the_same_of_a_kind()
    {
        var both = Kinds.All.Join(MeshApi.All, kind => (kind.Group, kind.Kind), kind => (kind.Group, kind.Kind), (kind, mesh) => (kind, mesh)).ToList();
        Assert.Superset(new HashSet<string> { "Pod", "EndpointSlice", "Ingress", "Deployment" }, both.Select(pair => pair.kind.Kind).ToHashSet());
        Assert.All(both, pair => Assert.Equal((pair.mesh.Plural, pair.mesh.IsNamespaced), (pair.kind.Plural, pair.kind.Namespaced)));
        Assert.All(both, pair => Assert.Contains(pair.kind.Version, pair.mesh.Versions));
    }

    /// <summary>Profiles of features have the names of kinds, and which kinds own Pods is not which have templates.</summary>
    private static readonly string[] NamesKinds = ["src/Isthmus.Mesh/Model/GatewayApi/GatewayFeatures.cs", "src/Isthmus.Operate/Migration/MigrationCheck.cs"];

    /// <summary>Also not by their names, except the kinds that a check of the analysis cannot do without.</summary>
    [Fact]
    public void Nothing_but_the_table_of_descriptors_lists_names_of_kinds()
    {
        var kinds = MeshApi.All.Select(kind => kind.Kind).ToHashSet(StringComparer.Ordinal);
        var found =
            from file in Repository.Sources("src")
            where !NamesKinds.Contains(file.Path) && !OwnKinds.Any(own => file.Path.StartsWith(own, StringComparison.Ordinal))
            from Match list in NameList().Matches(string.Join(' ', file.Lines.Select(line => line.Trim())))
            where Names().Matches(list.Value).Count(name => kinds.Contains(name.Groups[1].Value)) > 2
            select $"{file.Path}: {list.Value}";
        Assert.Empty(found);
    }

    /// <summary>Tasks that are not awaited, where the method catches everything itself.</summary>
    private static readonly string[] Discarded = ["src/Isthmus.Core/Tasks/BackgroundTasks.cs", "src/Isthmus.Dns/Server/DnsListener.cs"];

    [Fact]
    public void Every_task_has_an_owner_that_sees_its_failure()
    {
        var found =
            from file in Repository.Sources("src")
            where !Discarded.Contains(file.Path)
            from line in file.Lines
            where DiscardedTask().IsMatch(line)
            select $"{file.Path}: {line.Trim()}";
        Assert.Empty(found);
    }

    /// <summary>Its restore downloads a compiler.</summary>
    private static readonly string[] BuildsNothing = ["tools/readytorun/readytorun.csproj"];

    [Fact]
    public void The_solution_builds_every_project()
    {
        var solution = File.ReadAllText(Repository.At("Isthmus.slnx"));
        var projects =
            from folder in (string[])["src", "tests", "bench", "tools"]
            from path in Directory.EnumerateFiles(Repository.At(folder), "*.csproj", SearchOption.AllDirectories)
            select Path.GetRelativePath(Repository.Root, path);
        Assert.DoesNotContain(projects.Except(BuildsNothing), project => !solution.Contains($"\"{project}\"", StringComparison.Ordinal));
    }

    [Fact]
    public void Fast_tests_are_all_that_need_no_clusters()
    {
        var projects =
            from path in Directory.EnumerateFiles(Repository.At("tests"), "Isthmus.Tests*.csproj", SearchOption.AllDirectories)
            select Path.GetRelativePath(Repository.Root, path);
        var fast = JsonNode.Parse(File.ReadAllText(Repository.At("tests/Unit.slnf")))!["solution"]!["projects"]!.AsArray().Select(path => path!.ToString());
        Assert.Equal(projects.Except(["tests/Isthmus.Tests.Mesh/Isthmus.Tests.Mesh.csproj"]).Order(StringComparer.Ordinal), fast.Order(StringComparer.Ordinal));
    }

    /// <summary><c>./test --fast</c> repeats the tests of another project only if what was compiled for it, or a file that is not code, has changed.</summary>
    [Fact]
    public void Only_tests_of_the_architecture_read_code() =>
        Assert.DoesNotContain(Repository.Sources("tests"),
            file => !file.Path.StartsWith("tests/Isthmus.Tests.Architecture/", StringComparison.Ordinal)
                && file.Lines.Any(line => line.Contains("Repository.Sources(", StringComparison.Ordinal)));

    [Fact]
    public void Namespaces_follow_folders()
    {
        var found =
            from file in Repository.Sources("src").Concat(Repository.Sources("tests"))
            let declared = file.Lines.FirstOrDefault(line => line.StartsWith("namespace ", StringComparison.Ordinal))
            where declared is not null
            let folder = Path.GetDirectoryName(file.Path)![(file.Path.IndexOf('/', StringComparison.Ordinal) + 1)..].Replace('/', '.')
            let expected = folder == "isthmus" || folder.StartsWith("isthmus.", StringComparison.Ordinal) ? "I" + folder[1..] : folder
            where declared != $"namespace {expected};"
            select $"{file.Path}: {declared}";
        Assert.Empty(found);
    }

    /// <summary>Records are compared to detect changes: a member that compares by reference would always report
    /// one.</summary>
    [Fact]
    public void Records_of_the_mesh_compare_by_value_to_the_last_member()
    {
        var found =
            from type in typeof(MeshService).Assembly.GetTypes()
            where type.Namespace is "Isthmus.Mesh.Model" or "Isthmus.Mesh.Generate"
                && type.GetMethod("PrintMembers", BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.Public) is not null
            from field in type.GetFields(BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.Public)
            where ComparesByReference(field.FieldType)
            select $"{type.Name}.{field.Name}: {field.FieldType}";
        Assert.Empty(found);
    }

    private static bool ComparesByReference(Type type) =>
        type != typeof(string) && typeof(IEnumerable).IsAssignableFrom(type) && type.Namespace != "Isthmus.Core.Collections"
            && !type.Namespace!.StartsWith("Isthmus.Wire", StringComparison.Ordinal);

    /// <summary>A line that is one text, or ends with a raw one, in which nothing can be broken.</summary>
    [GeneratedRegex("""^\s*([+:?.]+ |\[?InlineData\(|(yield )?return |[\w.]+\(|\[(\.\. )?)?[$@]*"|[$]*\"{3}""")]
    private static partial Regex WideText();

    [GeneratedRegex("\"\"\"+")]
    private static partial Regex Quotes();

    [GeneratedRegex(@"_ = (?:[\w.?!]*Async\(|Task\.Run\(|Task\.Factory)|async void ")]
    private static partial Regex DiscardedTask();

    [GeneratedRegex("helloworld|httpbin|tcp-echo|app=sleep|deploy(ment)?/sleep", RegexOptions.IgnoreCase)]
    private static partial Regex SampleName();

    [GeneratedRegex(
        @"(MeshApi\.\w+|(Kubernetes\.Objects\.)?Kinds\.[A-Z]\w+)\s*(,\s*(MeshApi\.\w+|(Kubernetes\.Objects\.)?Kinds\.[A-Z]\w+)\s*){2,}[\],]"
            + @"|new\(""[a-z.-]+\.[a-z.-]+"", ""v\d\w*"", ""[A-Z]\w+"", ""[a-z]+"", (true|false)\)")]
    private static partial Regex KindList();

    /// <summary>An array with a type, or alternatives.</summary>
    [GeneratedRegex(@"""[A-Z]\w+""( or ""[A-Z]\w+""){2,}|string\[\]\)?( \w+ =)? ?\[""[A-Z]\w+""(, ""[A-Z]\w+""){2,}")]
    private static partial Regex NameList();

    [GeneratedRegex(@"""([A-Z]\w+)""")]
    private static partial Regex Names();
}

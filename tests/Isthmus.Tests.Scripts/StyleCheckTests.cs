using System.Diagnostics;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Scripts;

/// <summary><c>tools/style</c> on projects that are compiled with the arguments of this one.</summary>
public sealed class StyleCheckTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-style-").FullName;

    public StyleCheckTests()
    {
        File.WriteAllText(Path.Combine(_directory, ".editorconfig"), """
            root = true
            [*.cs]
            dotnet_style_require_accessibility_modifiers = always
            dotnet_diagnostic.IDE0040.severity = warning
            dotnet_diagnostic.xUnit2013.severity = none
            """);
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task Every_warning_of_a_project_and_every_known_vulnerability_fails_the_check()
    {
        Add("faulty", """
            public class Faulty
            {
                int _one = 1;
                [Xunit.Fact] public void Test() { Xunit.Assert.Equal(true, _one == 1); Xunit.Assert.Equal(1, "1".ToCharArray().Length); string? none = null; none.Trim(); }
            }
            """);
        Add("accepted", """
            public class Accepted
            {
            #pragma warning disable xUnit2004
                [Xunit.Fact] public void Test() => Xunit.Assert.Equal(true, 1 == int.Parse("1"));
            }
            """);
        Add("generated", "public class Generated { int _one = 1; }", inside: "artifacts/obj/generated");
        Add("vulnerable", "public class Vulnerable;",
            assets: """{"logs": [{"code": "NU1903", "level": "Warning", "message": "Package 'Old' has a known vulnerability"}, {"code": "NU1900", "message": "no feed"}]}""");
        var (code, lines) = await CheckAsync("faulty", "accepted", "generated", "vulnerable");
        Assert.Equal(1, code);
        Assert.Equal(["faulty.cs(3,9): error IDE0040", "faulty.cs(4,39): error xUnit2004", "faulty.cs(4,146): error CS8602", "vulnerable: warning NU1903"],
            lines);
    }

    [Fact]
    public async Task A_project_that_was_not_built_is_named()
    {
        var (code, lines) = await CheckAsync("missing");
        Assert.Equal(1, code);
        Assert.Equal(["style: error"], lines);
    }

    /// <summary>What a build leaves of a project with one source.</summary>
    private void Add(string project, string source, string inside = "", string assets = "{}")
    {
        var release = Directory.CreateDirectory(Path.Combine(_directory, "artifacts/obj", project, "release"));
        File.WriteAllText(Path.Combine(release.FullName, "../project.assets.json"), assets);
        var file = Path.Combine(_directory, inside, $"{project}.cs");
        File.WriteAllText(file, source);
        // Without most analyzers, which would be compiled each time.
        var mine = File.ReadAllLines(Repository.At("artifacts/obj/Isthmus.Tests.Scripts/release/compiler.rsp"))
            .Where(line => !line.EndsWith(".cs", StringComparison.Ordinal) && !line.EndsWith(".NetAnalyzers.dll", StringComparison.Ordinal));
        File.WriteAllLines(Path.Combine(release.FullName, "compiler.rsp"), [.. mine, "/target:library", $"/analyzerconfig:{_directory}/.editorconfig", file]);
    }

    /// <summary>The exit status, and what is printed: up to the code of each problem.</summary>
    private async Task<(int Code, IReadOnlyList<string> Lines)> CheckAsync(params string[] projects)
    {
        await File.WriteAllTextAsync(Path.Combine(_directory, "Isthmus.slnx"),
            $"<Solution>{string.Concat(projects.Select(name => $"<Project Path=\"src/{name}.csproj\" />"))}</Solution>", TestContext.Current.CancellationToken);
        using var process = Process.Start(new ProcessStartInfo("dotnet", [Repository.At("artifacts/bin/style/release/style.dll"), "artifacts"])
        {
            WorkingDirectory = _directory, RedirectStandardOutput = true, RedirectStandardError = true,
        })!;
        var errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        var output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken) + await errors;
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (process.ExitCode, [.. output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line =>
        {
            var parts = line.Replace(_directory + "/", "", StringComparison.Ordinal).Split(": ", 3);
            return string.Join(": ", parts.Take(2));
        })]);
    }
}

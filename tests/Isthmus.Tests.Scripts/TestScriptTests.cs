using System.Diagnostics;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Scripts;

/// <summary><c>./test</c> in its own directory, with programs that stand for the compiler and the tests.</summary>
public sealed class TestScriptTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-test-").FullName;

    public TestScriptTests()
    {
        File.Copy(Path.Combine(Repository.Root, "test"), Path.Combine(_directory, "test"));
        Write("tools/charts/render", "exit 0");
        Directory.CreateDirectory(Path.Combine(_directory, "tests"));
        File.WriteAllText(Path.Combine(_directory, "tests/Unit.slnf"), """
            {"solution": {"projects": [
              "tests/Isthmus.Tests.Proxy/Isthmus.Tests.Proxy.csproj",
              "tests/Isthmus.Tests.Architecture/Isthmus.Tests.Architecture.csproj"
            ]}}
            """);
    }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Theory]
    [InlineData("INT")]
    [InlineData("TERM")]
    public async Task What_a_stopped_run_has_started_ends_with_it(string signal)
    {
        Write("tools/compile", """
            flock running sleep 600 &
            wait
            """);
        // A test process in the background of a shell ignores SIGINT, and so would its children.
        using var run = Process.Start(new ProcessStartInfo("env",
            ["--default-signal=INT", "./test", "--style"]) { WorkingDirectory = _directory, RedirectStandardOutput = true })!;
        await UntilAsync(running: true);
        Assert.Equal(0, await RunAsync("bash", "-c", $"kill -{signal} {run.Id}"));
        await run.WaitForExitAsync(Stop);
        Assert.Equal(130, run.ExitCode);
        await UntilAsync(running: false);
    }

    [Fact]
    public async Task The_last_lines_tell_why_a_test_failed()
    {
        Write("tools/compile", "exit 0");
        Write("programs/dotnet", LongLines.Joined("""
            case $1 in */Isthmus.Tests.Architecture.dll) ;; *) echo 'Total: 0, Errors: 0, Failed: 0, Skipped: 0'; exit ;; esac
            while [ $# -gt 1 ]; do [ "$1" != -xml ] || report=$2; shift; done
            cat >"$report" <<'END'
            <assemblies><assembly><collection><test id="1" name="Shop.Sells" result="Pass" time="0.1" type="Shop" method="Sells"/>\
            <test id="2" name="Shop.Buys(from: &quot;A &amp; B&quot;)" result="Fail" time="0.1" type="Shop" method="Buys">\
            <failure exception-type="E"><message><![CDATA[Expected: 1 < 2
            Actual: none]]></message><stack-trace><![CDATA[   at Shop.Buys()]]></stack-trace></failure></test>\
            <test id="3" name="Shop.Pays" result="Pass" time="0.1" type="Shop" method="Pays"/></collection></assembly></assemblies>
            END
            echo 'a long log'
            echo '   Tests  Total: 3, Errors: 0, Failed: 1, Skipped: 0'
            exit 1
            """));
        using var run = Process.Start(new ProcessStartInfo(Path.Combine(_directory, "test"), ["--fast"])
        {
            WorkingDirectory = _directory,
            RedirectStandardOutput = true,
            Environment = { ["PATH"] = $"{Path.Combine(_directory, "programs")}:{Environment.GetEnvironmentVariable("PATH")}" },
        })!;
        var printed = await run.StandardOutput.ReadToEndAsync(Stop);
        await run.WaitForExitAsync(Stop);
        Assert.Equal(1, run.ExitCode);
        Assert.EndsWith("""
            Shop.Buys(from: "A & B")
            Expected: 1 < 2
            Actual: none
               at Shop.Buys()
            2 passed, 1 failed

            """, printed, StringComparison.Ordinal);
        Assert.DoesNotContain("Shop.Sells", printed[printed.IndexOf("why tests failed", StringComparison.Ordinal)..], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Nothing_is_analyzed_again_until_a_file_is_changed_added_or_removed()
    {
        Write("tools/compile", "echo \"$*\" >>artifacts/compiled");
        Write("programs/dotnet", "echo \"$*\" >>artifacts/analyzed");
        Write("src/one", "one");
        Write("src/two", "two");
        await StyleAsync(analyses: 1);
        await StyleAsync(analyses: 1);
        Write("src/one", "changed");
        await StyleAsync(analyses: 2);
        Write("src/three", "added");
        await StyleAsync(analyses: 3);
        File.Delete(Path.Combine(_directory, "src/two"));
        await StyleAsync(analyses: 4);
        Assert.Equal(Enumerable.Repeat("Isthmus.slnx -c Release -p:AheadOfTime=false -v q -nologo", 4), await LinesAsync("compiled"));
        Assert.Equal(Enumerable.Repeat("artifacts/bin/style/release/style.dll artifacts", 4), await LinesAsync("analyzed"));
        Write("programs/dotnet", "echo >>artifacts/analyzed; exit 1");
        await StyleAsync(analyses: 5, status: 1);
        await StyleAsync(analyses: 6, status: 1);
        Write("tools/compile", "exit 1");
        await StyleAsync(analyses: 6, status: 1);
    }

    [Fact]
    public async Task Fast_tests_compile_only_their_projects_and_nothing_ahead_of_time()
    {
        Write("tools/compile", """
            echo "$*" >>artifacts/compiled
            mkdir -p artifacts/bin/Isthmus.Tests/release
            touch artifacts/bin/Isthmus.Tests/release/Isthmus.Tests.dll
            """);
        Write("programs/dotnet", """
            while [ $# -gt 1 ]; do [ "$1" != -xml ] || touch "$2"; shift; done
            echo '   Tests  Total: 1, Errors: 0, Failed: 0, Skipped: 0'
            """);
        foreach (var source in (string[])["src/one", "Directory.Build.props", "global.json", "tools/native"]) Write(source, "");
        foreach (var _ in (int[])[1, 2]) await FastAsync();
        Assert.Equal("--keep-server tests/Unit.slnf -c Release -p:AheadOfTime=false -v q -nologo", Assert.Single(await LinesAsync("compiled")));

        // The launcher has built the program, so that nothing is left to do for it; then a source changes.
        Write("artifacts/isthmus.stamp", "");
        Write("tests/one", "one");
        await FastAsync();
        Assert.EndsWith(" -p:AheadOfTime=true -v q -nologo --no-restore", (await LinesAsync("compiled"))[1], StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Combine(_directory, "artifacts/isthmus.stamp")));
        Write("src/one", "changed");
        await FastAsync();
        Assert.EndsWith(" -p:AheadOfTime=false -v q -nologo --no-restore", (await LinesAsync("compiled"))[2], StringComparison.Ordinal);
        Assert.False(File.Exists(Path.Combine(_directory, "artifacts/isthmus.stamp")));

        // Packages may have changed.
        Write("src/one.csproj", "changed");
        await FastAsync();
        Assert.EndsWith(" -p:AheadOfTime=false -v q -nologo", (await LinesAsync("compiled"))[3], StringComparison.Ordinal);

        async Task FastAsync() => Assert.Equal(0, await RunAsync("sh", "-c", "PATH=$PWD/programs:$PATH ./test --fast >/dev/null"));
    }

    [Fact]
    public async Task Fast_tests_that_passed_are_repeated_only_if_something_that_they_read_has_changed()
    {
        WriteProjects();
        Assert.Equal(Both, await FastAsync("2 passed, 0 failed"));
        Assert.Equal(None, await FastAsync(
            "test: not repeated, since they passed with the same inputs: Isthmus.Tests.Proxy Isthmus.Tests.Architecture (to repeat them, remove "
                + "artifacts/passed)\n0 passed, 0 failed"));
        await ChangesAsync(
            ("src/proxy.cs", "other code", Both),
            ("src/proxy.cs", "other code\n// and a remark", All),
            ("docs/other.md", "other text", All),
            ("charts/values", "b", Both),
            ("charts/more", "b", Both),
            ("tests/Isthmus.Tests.Proxy/golden/one", "b", Both),
            ("tests/Isthmus.Tests.Architecture/golden/one", "b", All));
        File.SetUnixFileMode(Path.Combine(_directory, "charts/more"), UnixFileMode.UserRead);
        Assert.Equal(Both, await FastAsync(""));
    }

    [Fact]
    public async Task Fast_tests_are_repeated_for_pages_and_programs_that_their_code_names()
    {
        WriteProjects();
        Assert.Equal(Both, await FastAsync("2 passed, 0 failed"));
        await ChangesAsync(
            ("docs/proxy.md", "other text", Both),
            ("docs/proxy.md", "text", None),
            ("tests/Isthmus.Tests.Proxy/Tests.cs", "no pages", Both),
            ("docs/proxy.md", "new text", All),
            ("tests/Isthmus.Tests.Proxy/Tests.cs", "Repository.Pages", Both),
            ("docs/other.md", "new text", Both),
            ("tests/Isthmus.Tests.Proxy/Tests.cs", "At(\"artifacts/bin/tool/release/tool.dll\")", All),
            ("artifacts/bin/tool/release/tool.dll", "b", ["proxy"]));
    }

    [Fact]
    public async Task Fast_tests_are_repeated_if_one_failed_or_if_you_want_their_cases_or_files()
    {
        WriteProjects();
        Write("failing", "");
        Assert.Equal(Both, await FastAsync("0 passed, 2 failed", status: 1));
        Assert.Equal(Both, await FastAsync("0 passed, 2 failed", status: 1));
        File.Delete(Path.Combine(_directory, "failing"));
        Assert.Equal(Both, await FastAsync("2 passed, 0 failed"));
        Assert.Equal(None, await FastAsync("0 passed, 0 failed"));
        Assert.Equal(Both, await FastAsync("2 passed, 0 failed", "--seed 1"));
        Assert.Equal(Both, await FastAsync("2 passed, 0 failed", "--accept"));
        Assert.Equal(Both, await FastAsync("2 passed, 0 failed", "Shop"));
    }

    private static string[] None => [];

    private static string[] All => ["all"];

    private static string[] Both => ["all", "proxy"];

    /// <summary>Two projects. The tests of one read all files, those of the other what their code names.</summary>
    private void WriteProjects()
    {
        // Of sources, the compiler notices only the first line.
        Write("tools/compile", """
            for project in Isthmus.Tests.Proxy Isthmus.Tests.Architecture; do
              mkdir -p artifacts/bin/$project/release
              sed -n 2p src/proxy.cs tests/$project/Tests.cs >artifacts/bin/$project/release/$project.dll
            done
            """);
        Write("programs/dotnet", """
            case $1 in */Isthmus.Tests.Architecture.dll) echo all >>artifacts/run ;; *) echo proxy >>artifacts/run ;; esac
            while [ $# -gt 1 ]; do [ "$1" != -xml ] || touch "$2"; shift; done
            [ ! -e failing ] || { echo 'Total: 1, Errors: 0, Failed: 1, Skipped: 0'; exit 1; }
            echo 'Total: 1, Errors: 0, Failed: 0, Skipped: 0'
            """);
        Write("src/proxy.cs", "code");
        Write("tests/Isthmus.Tests.Architecture/Tests.cs", "code");
        Write("tests/Isthmus.Tests.Proxy/Tests.cs", "code \"docs/proxy.md\"");
        Write("docs/proxy.md", "text");
        Write("docs/other.md", "text");
        Write("charts/values", "a");
        Write("tests/Isthmus.Tests.Proxy/golden/one", "a");
    }

    private async Task ChangesAsync(params (string File, string Text, string[] Repeated)[] changes)
    {
        foreach (var (file, text, repeated) in changes)
        {
            Write(file, text);
            Assert.Equal(repeated, await FastAsync(""));
        }
    }

    /// <summary>Runs the fast tests, whose last lines are these.</summary>
    /// <returns>The projects that ran.</returns>
    private async Task<string[]> FastAsync(string end, string option = "", int status = 0)
    {
        Write("artifacts/run", "");
        Assert.Equal(status, await RunAsync("sh", "-c", $"PATH=$PWD/programs:$PATH ./test --fast {option} >printed"));
        Assert.EndsWith(end + "\n", await File.ReadAllTextAsync(Path.Combine(_directory, "printed"), Stop), StringComparison.Ordinal);
        File.Delete(Path.Combine(_directory, "printed"));
        return [.. (await LinesAsync("run")).Skip(2).Order(StringComparer.Ordinal)];
    }

    private async Task StyleAsync(int analyses, int status = 0)
    {
        Assert.Equal(status, await RunAsync("sh", "-c", "PATH=$PWD/programs:$PATH ./test --style >/dev/null"));
        Assert.Equal(analyses, (await LinesAsync("analyzed")).Length);
    }

    private Task<string[]> LinesAsync(string name) => File.ReadAllLinesAsync(Path.Combine(_directory, "artifacts", name), Stop);

    /// <summary>A shell script in the directory.</summary>
    private void Write(string name, string commands)
    {
        var path = Path.Combine(_directory, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, $"#!/bin/sh\n{commands}\n");
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    /// <summary>Waits for whoever holds the lock.</summary>
    private Task UntilAsync(bool running) =>
        Eventually.TrueAsync(async () => await RunAsync("flock", "--nonblock", "running", "true") != 0 == running, $"running: {running}");

    private async Task<int> RunAsync(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { WorkingDirectory = _directory })!;
        await process.WaitForExitAsync(Stop);
        return process.ExitCode;
    }
}

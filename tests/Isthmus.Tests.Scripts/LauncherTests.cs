using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Scripts;

/// <summary>The launcher in its own directory, with a <c>dotnet</c> whose build ends when the test says so.</summary>
public sealed partial class LauncherTests : IDisposable
{
    private const string Announcement = "isthmus: building, once per change; about a minute the first time ...";

    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(1);

    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-launcher-").FullName;

    public LauncherTests()
    {
        Directory.CreateDirectory(Path.Combine(_directory, "src"));
        Directory.CreateDirectory(Path.Combine(_directory, "tools"));
        foreach (var script in (string[])["isthmus", "tools/compile"]) File.Copy(Path.Combine(Repository.Root, script), Path.Combine(_directory, script));
        Executable("bin/dotnet", """
            #!/bin/sh
            # A shell whose child happens to end by itself while Ctrl-C arrives forgets the signal.
            trap 'trap - INT; kill -INT $$' INT
            [ "$1" = build ] || { echo "runs $2"; exit; }
            while [ -e "$ROOT" ] && [ ! -e "$ROOT/built" ] && [ ! -e "$ROOT/broken" ]; do sleep 0.05; done
            [ ! -e "$ROOT/broken" ] || { echo "error CS1002"; exit 1; }
            """);
        File.WriteAllText(Path.Combine(_directory, "global.json"), "");
        File.WriteAllText(Path.Combine(_directory, "Directory.Build.props"), "");
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task A_pipe_gets_one_line_about_the_build()
    {
        Touch("built");
        using var process = Start(Path.Combine(_directory, "isthmus"), "version");
        var error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        Assert.Equal("runs version\n", await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken));
        Assert.Equal($"{Announcement}\n", await error);
    }

    [Theory]
    [InlineData("src/one.cs")]
    [InlineData("global.json")]
    [InlineData("Directory.Build.props")]
    [InlineData("Directory.Build.targets")]
    [InlineData("Directory.Packages.props")]
    public async Task A_change_of_what_the_build_reads_builds_again(string changed)
    {
        Touch("built");
        Executable("artifacts/bin/isthmus/release/isthmus.dll", "");
        Assert.True(await BuildsAsync());
        Assert.False(await BuildsAsync());
        var path = Path.Combine(_directory, changed);
        File.WriteAllText(path, "changed");
        File.SetLastWriteTimeUtc(path, DateTime.UtcNow.AddMinutes(1));
        Assert.True(await BuildsAsync());

        async Task<bool> BuildsAsync()
        {
            using var process = Start(Path.Combine(_directory, "isthmus"), "version");
            var error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
            Assert.Equal("runs version\n", await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken));
            return (await error).Contains(Announcement, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("built", "runs version")]
    [InlineData("broken", "error CS1002")]
    public async Task A_terminal_sees_that_the_build_goes_on_and_nothing_of_it_stays(string end, string said)
    {
        using var process = StartInTerminal();
        var output = await UntilClockAsync(process);
        Touch(end);
        Assert.Equal([Announcement, said], (await ScreenAsync(process, output)).Take(2));
    }

    [Fact]
    public async Task An_interrupted_build_leaves_nothing_but_the_announcement()
    {
        using var process = StartInTerminal();
        var output = await UntilClockAsync(process);
        var screen = ScreenAsync(process, output);
        await InterruptAsync(process);
        Assert.Equal([Announcement, ""], await screen);
    }

    /// <summary>Presses Ctrl-C until the program ends: one can get lost between a shell and its children.</summary>
    private static async Task InterruptAsync(Process process)
    {
        var ended = process.WaitForExitAsync(TestContext.Current.CancellationToken);
        for (var i = 0; i < 30 && !ended.IsCompleted; i++)
        {
            try
            {
                await process.StandardInput.WriteAsync('\x3');
                await process.StandardInput.FlushAsync(TestContext.Current.CancellationToken);
            }
            catch (IOException)
            {
                // The program has just ended.
            }
            await Task.WhenAny(ended, Task.Delay(TimeSpan.FromSeconds(1), TestContext.Current.CancellationToken));
        }
        if (!ended.IsCompleted) process.Kill(entireProcessTree: true);
        Assert.True(ended.IsCompleted, "Ctrl-C does not end the build");
    }

    // If the tests run in the background, SIGINT may be ignored, and programs inherit that.
    private Process StartInTerminal() => Start("env", "--default-signal=INT", "script", "-qec", $"{Path.Combine(_directory, "isthmus")} version", "/dev/null");

    // A busy machine may skip the first second.
    [GeneratedRegex(@"\r[1-9]\d* s")]
    private static partial Regex Clock();

    private static async Task<string> UntilClockAsync(Process process)
    {
        var output = new StringBuilder();
        var buffer = new char[1024];
        while (!Clock().IsMatch(output.ToString()))
        {
            var read = await process.StandardOutput.ReadAsync(buffer, TestContext.Current.CancellationToken).AsTask()
                .WaitAsync(Longest, TestContext.Current.CancellationToken);
            Assert.True(read > 0, output.ToString());
            output.Append(buffer, 0, read);
        }
        return output.ToString();
    }

    private static async Task<IReadOnlyList<string>> ScreenAsync(Process process, string output)
    {
        var screen = new TerminalScreen(100);
        screen.Write(output
            + await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken).WaitAsync(Longest, TestContext.Current.CancellationToken));
        return screen.Lines;
    }

    private Process Start(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        start.Environment["PATH"] = $"{Path.Combine(_directory, "bin")}:{Environment.GetEnvironmentVariable("PATH")}";
        start.Environment["ROOT"] = _directory;
        return Process.Start(start)!;
    }

    private void Executable(string name, string text)
    {
        var file = Path.Combine(_directory, name);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, text);
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    private void Touch(string name) => File.WriteAllText(Path.Combine(_directory, name), "");
}

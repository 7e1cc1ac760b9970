using System.Diagnostics;
using Isthmus.Tests.Architecture;
using Xunit;

namespace Isthmus.Tests.Commands;

/// <summary><c>./test</c> in its own directory, with a compiler whose child does not end by itself.</summary>
public sealed class TestScriptTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-test-").FullName;

    public TestScriptTests()
    {
        Directory.CreateDirectory(Path.Combine(_directory, "tools"));
        File.Copy(Path.Combine(Repository.Root, "test"), Path.Combine(_directory, "test"));
        var compile = Path.Combine(_directory, "tools", "compile");
        File.WriteAllText(compile, """
            #!/bin/sh
            flock running sleep 600 &
            wait
            """);
        File.SetUnixFileMode(compile, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Theory]
    [InlineData("INT")]
    [InlineData("TERM")]
    public async Task What_a_stopped_run_has_started_ends_with_it(string signal)
    {
        // A test process in the background of a shell ignores SIGINT, and so would its children.
        using var run = Process.Start(new ProcessStartInfo("env", ["--default-signal=INT", "./test", "--style"]) { WorkingDirectory = _directory, RedirectStandardOutput = true })!;
        await UntilAsync(running: true);
        Assert.Equal(0, await RunAsync("bash", "-c", $"kill -{signal} {run.Id}"));
        await run.WaitForExitAsync(Stop);
        Assert.Equal(130, run.ExitCode);
        await UntilAsync(running: false);
    }

    /// <summary>Waits for whoever holds the lock.</summary>
    private async Task UntilAsync(bool running)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        patience.CancelAfter(TimeSpan.FromMinutes(1));
        while (await RunAsync("flock", "--nonblock", "running", "true") == 0 == running) await Task.Delay(20, patience.Token);
    }

    private async Task<int> RunAsync(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { WorkingDirectory = _directory })!;
        await process.WaitForExitAsync(Stop);
        return process.ExitCode;
    }
}

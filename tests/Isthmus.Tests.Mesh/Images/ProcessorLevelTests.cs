using System.Diagnostics;
using System.Runtime.Intrinsics.X86;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Mesh.Images;

/// <summary>The native program beside its build for newer processors.</summary>
[Trait("shard", "images")]
public sealed class ProcessorLevelTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory().FullName;

    [Fact]
    public async Task What_runs_for_long_is_started_as_the_build_for_newer_processors_and_nothing_else_is()
    {
        Assert.SkipUnless(Environment.GetEnvironmentVariable("ISTHMUS_TEST_PROGRAM") is { Length: > 0 }, "the program is not native");
        Assert.SkipUnless(Avx2.IsSupported && Bmi2.IsSupported && Fma.IsSupported, "this machine's processor is older");
        var program = Path.Combine(_directory, "isthmus");
        File.Copy(Environment.GetEnvironmentVariable("ISTHMUS_TEST_PROGRAM")!, program);
        Assert.Equal(2, await ExitCodeAsync(program, "proxy", "--no-such-flag"));

        // Stands for the other build, and says how it was started.
        var other = Path.Combine(Directory.CreateDirectory(Path.Combine(_directory, "x86-64-v3")).FullName, "isthmus");
        await File.WriteAllTextAsync(other, "#!/bin/sh\necho \"$# $2 $KEPT\"\nexit 77\n", TestContext.Current.CancellationToken);
        Assert.NotEqual(77, await ExitCodeAsync(program, "proxy", "--no-such-flag")); // It cannot be executed yet.
        File.SetUnixFileMode(other, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        Assert.Equal(77, await ExitCodeAsync(program, "proxy", "--no-such-flag"));
        Assert.Equal(77, await ExitCodeAsync(program, "discovery", "two words"));
        Assert.Equal("2 two words yes\n", _output);
        Assert.Equal(0, await ExitCodeAsync(program, "version", "--remote=false"));
    }

    private string _output = "";

    private async Task<int> ExitCodeAsync(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["KEPT"] = "yes";
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        _output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await error;
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return process.ExitCode;
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);
}

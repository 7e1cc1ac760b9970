using System.Diagnostics;

namespace Isthmus.Tests.Commands;

/// <summary>The program, started as a user starts it.</summary>
internal static class StartedProgram
{
    /// <summary>Starts the native program that <c>ISTHMUS_TEST_PROGRAM</c> names; otherwise the one of the same build as the tests, which takes
    /// ten times as long.</summary>
    internal static async Task<(int ExitCode, string Output, string Error)> RunAsync(IEnumerable<string> arguments, CancellationToken stop,
        params (string Name, string Value)[] environment) => await RunAsync(Start(arguments, environment), stop);

    /// <summary>How the program is started.</summary>
    internal static ProcessStartInfo Start(IEnumerable<string> arguments, params (string Name, string Value)[] environment)
    {
        var start = Environment.GetEnvironmentVariable("ISTHMUS_TEST_PROGRAM") is { Length: > 0 } native
            ? new ProcessStartInfo(native, arguments)
            : new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "isthmus.dll"), .. arguments]);
        foreach (var (name, value) in environment) start.Environment[name] = value;
        return start;
    }

    /// <summary>Waits for the end of a program.</summary>
    internal static async Task<(int ExitCode, string Output, string Error)> RunAsync(ProcessStartInfo start, CancellationToken stop)
    {
        start.RedirectStandardOutput = start.RedirectStandardError = true;
        using var process = Process.Start(start)!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(stop), process.StandardError.ReadToEndAsync(stop));
        await process.WaitForExitAsync(stop);
        return (process.ExitCode, await output, await error);
    }
}

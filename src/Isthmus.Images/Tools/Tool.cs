using System.ComponentModel;
using System.Diagnostics;
using Isthmus.Core.Problems;

namespace Isthmus.Images.Tools;

/// <summary>Runs a program of this machine. It ends when the command is interrupted.</summary>
internal static class Tool
{
    /// <param name="remedy">What to do if the program is missing.</param>
    /// <param name="read">Reads the program's output, to its end.</param>
    /// <exception cref="ProblemException">The program is missing or failed.</exception>
    internal static async Task<T> RunAsync<T>(string program, IEnumerable<string> arguments, string? directory, string remedy, Func<Stream, Task<T>> read,
        CancellationToken stop)
    {
        var start = new ProcessStartInfo(program,
            arguments) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = directory ?? "" };
        start.Environment["LC_ALL"] = "C.UTF-8";
        start.Environment["DEBIAN_FRONTEND"] = "noninteractive";
        using var process = Start(start, remedy);
        try
        {
            var errors = process.StandardError.ReadToEndAsync(stop);
            var result = await read(process.StandardOutput.BaseStream);
            var said = await errors;
            await process.WaitForExitAsync(stop);
            if (process.ExitCode != 0) throw new ProblemException(program, $"failed with exit code {process.ExitCode}: {LastLines(said)}");
            return result;
        }
        finally
        {
            if (!process.HasExited) process.Kill(entireProcessTree: true);
        }
    }

    /// <summary>Runs a program and returns its output as text.</summary>
    internal static Task<string> RunAsync(string program, IEnumerable<string> arguments, string? directory, string remedy, CancellationToken stop) =>
        RunAsync(program, arguments, directory, remedy, async output =>
        {
            using var reader = new StreamReader(output);
            return await reader.ReadToEndAsync(stop);
        }, stop);

    private static Process Start(ProcessStartInfo start, string remedy)
    {
        try
        {
            return Process.Start(start) ?? throw new ProblemException(start.FileName, "could not be started", remedy);
        }
        catch (Win32Exception e)
        {
            throw new ProblemException(start.FileName, "the program was not found", remedy, e);
        }
    }

    private static string LastLines(string said) =>
        string.Join("; ", said.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).TakeLast(3));
}

using System.Diagnostics;
using System.Text;
using Isthmus.Lab.Machine.Linux;
using Xunit;

namespace Isthmus.Tests.Commands;

/// <summary>The program on a terminal of its own.</summary>
public sealed class TerminalModeTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>Programs that take the whole screen switch the keypad and the cursor keys, and take it back. This one has no use for it.</summary>
    [Theory]
    [InlineData("version --remote=false", "version:")]
    [InlineData("profile list", "minimal")]
    [InlineData("profile dump nope", "nope")]
    [InlineData("uninstall --help", "--purge")]
    public async Task A_terminal_has_the_mode_that_it_had(string line, string shown)
    {
        foreach (var variables in (string[])["TERM=xterm-256color", "TERM=xterm NO_COLOR=1"])
        {
            var said = await RunAsync(line, variables);
            Assert.Contains(shown, said, StringComparison.Ordinal);
            Assert.DoesNotContain("\e[?1h", said, StringComparison.Ordinal);
            Assert.DoesNotContain("\e=", said, StringComparison.Ordinal);
        }
    }

    private static async Task<string> RunAsync(string line, string variables)
    {
        using var terminal = PseudoTerminal.Open();
        terminal.Resize(120, 40);
        var program = Path.Combine(AppContext.BaseDirectory, "isthmus.dll");
        var start = new ProcessStartInfo("sh", ["-c", $"exec setsid -c env {variables} dotnet {program} {line} <>{terminal.SlavePath} >&0 2>&0"]);
        // The first user of the slave may be late, and the last one is gone when the program has ended.
        using var kept = File.Open(terminal.SlavePath, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        using var process = Process.Start(start)!;
        var said = new StringBuilder();
        var reading = Task.Run(() =>
        {
            using var stream = new FileStream(terminal.Master, FileAccess.Read, bufferSize: 0);
            var buffer = new byte[4096];
            try
            {
                while (stream.Read(buffer) is > 0 and var count) said.Append(Encoding.UTF8.GetString(buffer, 0, count));
            }
            catch (IOException)
            {
                // The slave has no user any more.
            }
        }, Stop);
        await process.WaitForExitAsync(Stop);
        kept.Close();
        await reading.WaitAsync(TimeSpan.FromMinutes(1), Stop);
        return said.ToString();
    }
}

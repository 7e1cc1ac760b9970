using System.Diagnostics;
using System.Text;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Testing;
using Microsoft.Win32.SafeHandles;
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
    [InlineData("analyze --use-kube=false nope.yaml", "nope.yaml")]
    [InlineData("validate -f nope.yaml", "nope.yaml")]
    [InlineData("migrate --use-kube=false nope.yaml", "nope.yaml")]
    [InlineData("kube-inject -f nope.yaml", "nope.yaml")]
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

    /// <summary>Who interrupts a command gets the terminal back as it was, too.</summary>
    [Fact]
    public async Task A_terminal_has_the_mode_that_it_had_after_an_interruption()
    {
        using var silent = new ByteServer(async client => await client.HearAllAsync());
        var kubeconfig = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(kubeconfig, $$"""
                {apiVersion: v1, kind: Config, current-context: c1, contexts: [{name: c1, context: {cluster: c1, user: c1} }], users: [{name: c1, user: {token: t} }],
                 clusters: [{name: c1, cluster: {server: 'https://127.0.0.1:{{silent.Port}}', insecure-skip-tls-verify: true} }]}
                """, Stop);
            var said = await RunAsync($"verify --kubeconfig {kubeconfig}", "TERM=xterm-256color", async terminal =>
            {
                await Eventually.TrueAsync(() => silent.Heard is [{ Length: > 0 }, ..]);
                terminal.WriteByte(3);
            });
            var modes = said.Split("\r\n", StringSplitOptions.RemoveEmptyEntries).Where(line => line.StartsWith("mode ", StringComparison.Ordinal)).ToList();
            Assert.Equal(2, modes.Count);
            Assert.Equal(modes[0], modes[1]);
            Assert.Contains("Interrupted.", said, StringComparison.Ordinal);
            Assert.DoesNotContain("\e[?1h", said, StringComparison.Ordinal);
            Assert.DoesNotContain("\e=", said, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(kubeconfig);
        }
    }

    /// <param name="meanwhile">What somebody types.</param>
    private static async Task<string> RunAsync(string line, string variables, Func<FileStream, Task>? meanwhile = null)
    {
        using var terminal = PseudoTerminal.Open();
        terminal.Resize(120, 40);
        var program = Path.Combine(AppContext.BaseDirectory, "isthmus.dll");
        const string mode = "echo mode $(stty -g)";
        // Whoever starts the tests in the background lets them ignore the signal, and programs inherit that.
        var script = $"trap : INT; {mode}; env --default-signal=INT {variables} dotnet {program} {line}; {mode}";
        var start = new ProcessStartInfo("sh", ["-c", $"exec setsid -c sh -c '{script}' <>{terminal.SlavePath} >&0 2>&0"]);
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
        if (meanwhile is not null)
        {
            using var typed = new FileStream(new SafeFileHandle(terminal.Master.DangerousGetHandle(), ownsHandle: false), FileAccess.Write, bufferSize: 0);
            await meanwhile(typed);
        }
        await process.WaitForExitAsync(Stop);
        kept.Close();
        await reading.WaitAsync(TimeSpan.FromMinutes(1), Stop);
        return said.ToString();
    }
}

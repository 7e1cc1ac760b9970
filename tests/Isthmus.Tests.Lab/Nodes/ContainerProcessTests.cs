using System.Diagnostics;
using Isthmus.Lab.Nodes.Containers;
using Isthmus.Lab.Nodes.Processes;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Lab.Nodes;

public sealed class ContainerProcessTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_program_of_a_container_is_not_known_while_PID_1_still_prepares_it()
    {
        // The processes of a container: the outer one, the one that creates the namespaces, and PID 1, which becomes the program when it reads a line.
        using var outer = Process.Start(new ProcessStartInfo("sh")
        {
            ArgumentList = { "-c", $"sh -c 'sh -c \"read line; exec sleep 1000\" {ContainerLauncher.Preparing}; :'; :" },
            RedirectStandardInput = true,
        })!;
        try
        {
            using var container = ContainerProcess.Started(ProcessIdentity.Of(outer.Id), Path.GetTempPath());
            var clock = new ManualClock();
            var early = container.FindProgramAsync(clock, Stop);
            await Eventually.TrueAsync(() => container.FindInit() is not null);
            await Eventually.TrueAsync(() =>
            {
                clock.Jump(TimeSpan.FromMinutes(1));
                return early.IsCompleted;
            });
            Assert.Null(await early);
            await outer.StandardInput.WriteLineAsync("go");
            await outer.StandardInput.FlushAsync(Stop);
            Assert.Equal(container.FindInit(), await container.FindProgramAsync(TimeProvider.System, Stop));
        }
        finally
        {
            outer.Kill(entireProcessTree: true);
        }
    }

    [Fact]
    public async Task A_process_that_is_becoming_another_program_is_not_yet_the_containers()
    {
        const int Programs = 200;
        var script = Path.GetTempFileName();
        await File.WriteAllTextAsync(script, $"[ $1 = 0 ] || exec sh \"$0\" $(($1 - 1)) {ContainerLauncher.Preparing}\nexec sleep 1000\n", Stop);
        using var outer = Process.Start("sh", ["-c", $"sh -c 'sh {script} {Programs} {ContainerLauncher.Preparing}; :'; :"]);
        try
        {
            using var container = ContainerProcess.Started(ProcessIdentity.Of(outer.Id), Path.GetTempPath());
            var program = await container.FindProgramAsync(TimeProvider.System, Stop);
            Assert.Equal("sleep\0" + "1000\0", await File.ReadAllTextAsync($"/proc/{program}/cmdline", Stop));
        }
        finally
        {
            outer.Kill(entireProcessTree: true);
            File.Delete(script);
        }
    }
}

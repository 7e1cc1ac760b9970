using System.Diagnostics;
using Xunit;

namespace Isthmus.Tests.Mesh.Lab.Nodes;

public sealed class PodTests
{
    private const string Sleeper = """
        metadata: {name: a}
        spec:
          restartPolicy: Always
          terminationGracePeriodSeconds: 1
          containers:
          - name: main
            image: host.lab.internal/rootfs
            command: [sh, -c, "echo hello; echo oops >&2; exec sleep 1000"]
        """;

    [Fact]
    public async Task A_Pod_runs_its_command_with_an_address_of_its_own_and_its_output_is_in_the_log()
    {
        await using var rig = NodeRig.Start();
        var clock = Stopwatch.StartNew();
        rig.Apply(Sleeper);
        var status = await rig.ReadyAsync("a");
        TestContext.Current.TestOutputHelper?.WriteLine($"ready after {clock.ElapsedMilliseconds} ms");
        Assert.Equal("Running", (string?)status["phase"]);
        Assert.StartsWith("10.244.0.", (string?)status["podIP"], StringComparison.Ordinal);
        await Until(async () => await rig.LogAsync("a", "main") is var log && log.Contains("hello\n") && log.Contains("oops\n"));
        var (code, output) = await rig.ExecAsync("a", "main", "sh", "-c", "hostname; ls /; cat /etc/resolv.conf; ps ax; id; grep Cap /proc/self/status; touch /usr/x; touch /tmp/ok; ls -la /dev");
        TestContext.Current.TestOutputHelper?.WriteLine(output);
        Assert.Equal(0, code);
    }

    private static async Task Until(Func<Task<bool>> holds)
    {
        var clock = Stopwatch.StartNew();
        while (!await holds())
        {
            Assert.True(clock.Elapsed.TotalSeconds < 10, "it never held");
            await Task.Delay(10, TestContext.Current.CancellationToken);
        }
    }
}

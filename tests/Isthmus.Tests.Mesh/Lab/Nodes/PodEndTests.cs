using System.Diagnostics;
using System.Text.Json.Nodes;
using Isthmus.Testing;
using Xunit;
using static Isthmus.Tests.Mesh.Lab.Nodes.PodSteps;

namespace Isthmus.Tests.Mesh.Lab.Nodes;

/// <summary>How Pods end, and what a node finds when it comes back.</summary>
[Trait("shard", "node")]
public sealed class PodEndTests
{
    [Fact]
    public async Task Deleting_a_Pod_lets_it_say_goodbye_after_its_endpoints_have_left()
    {
        await using var rig = NodeRig.Start();
        var pod = rig.Apply(Yaml("a", "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done", """
                lifecycle: {preStop: {exec: {command: [sh, -c, "echo hook > /proc/1/fd/1"]}}}
            """));
        var address = (string)(await rig.ReadyAsync("a"))["podIP"]!;
        rig.Api.ReadyAddresses[address] = true;
        await Eventually.TrueAsync(async () => (await rig.LogAsync("a", "main")).Contains("up"));
        Delete(rig, pod, 10);
        // It asks repeatedly, and leaves the Pod alone meanwhile.
        await Eventually.TrueAsync(() => rig.Api.ReadinessQuestions > 3);
        Assert.Equal("up\n", await rig.LogAsync("a", "main"));
        var saw = "";
        rig.Api.Removing = async () => saw = await rig.LogAsync("a", "main");
        rig.Api.ReadyAddresses[address] = false;
        await Eventually.TrueAsync(() => rig.Api.Removed.Contains("a"));
        Assert.Equal("up\nhook\nbye\n", saw);
        await Eventually.TrueAsync(() => !Directory.Exists(rig.Context.Settings.PodDirectory("uid-a")));
        Assert.Empty(Directory.GetFiles("/run/netns"));
    }

    [Fact]
    public async Task A_Pod_that_ignores_SIGTERM_is_killed_when_its_grace_is_over()
    {
        await using var rig = NodeRig.Start();
        var pod = rig.Apply(Yaml("a", "trap '' TERM; while :; do sleep 0.05; done"));
        await rig.ReadyAsync("a");
        var clock = Stopwatch.StartNew();
        Delete(rig, pod, 1);
        await Eventually.TrueAsync(() => rig.Api.Removed.Contains("a"));
        Assert.True(clock.Elapsed.TotalSeconds >= 0.5, $"killed after {clock.Elapsed}");
        Assert.Equal(137, (int)rig.Api.Statuses["a"]["containerStatuses"]![0]!["state"]!["terminated"]!["exitCode"]!);
    }

    [Fact]
    public async Task An_unexpected_failure_while_a_Pod_ends_is_told_and_the_Pod_ends_all_the_same()
    {
        await using var rig = NodeRig.Start();
        var pod = rig.Apply(Yaml("a", "trap 'exit 0' TERM; while :; do sleep 0.05; done"));
        await rig.ReadyAsync("a");
        rig.Api.UnexpectedFailures = 2;
        Delete(rig, pod, 10);
        await Eventually.TrueAsync(() => rig.Api.Removed.Contains("a"));
        await EventAsync(rig, e => (string?)e["reason"] == "FailedSync" && ((string)e["message"]!).EndsWith("nobody expects this", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_Pod_that_is_deleted_while_the_node_is_away_leaves_nothing_behind()
    {
        var first = NodeRig.Start();
        var pod = first.Apply(Yaml("a", "exec sleep 1000"));
        await first.ReadyAsync("a");
        await first.CrashAsync();
        await using var second = NodeRig.Start(first.State, first.Api);
        Delete(second, pod, 0);
        await Eventually.TrueAsync(() => !Directory.Exists(second.Context.Settings.PodDirectory("uid-a")));
        Assert.Contains("a", second.Api.Removed);
        Assert.Empty(Directory.GetFiles("/run/netns"));
        Assert.Empty(await second.Network.AttachedAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_restarted_node_finds_its_Pods_running_and_learns_of_ends_that_it_missed()
    {
        var first = NodeRig.Start();
        var lasting = first.Apply(Yaml("a", "i=0; while :; do echo $((i+=1)); sleep 0.02; done",
            "    readinessProbe: {exec: {command: [\"true\"], timeoutSeconds: 30}}"));
        var ending = first.Apply(Yaml("b", "until test -e /tmp/go; do sleep 0.02; done; sleep 3; exit 5", spec: "  restartPolicy: Never"));
        var before = await first.ReadyAsync("a");
        await first.ReadyAsync("b");
        await first.ExecAsync("b", "main", "touch", "/tmp/go");
        await first.CrashAsync();
        var ends = first.Context.Settings.PodDirectory("uid-b");
        await Eventually.TrueAsync(() => new DirectoryInfo(ends).EnumerateFiles("*.exit", SearchOption.AllDirectories).Any(file => file.Length > 0));

        await using var second = NodeRig.Start(first.State, first.Api);
        first.Api.Statuses.Clear();
        second.Pods.Apply(With(lasting, before));
        second.Pods.Apply(With(ending, []));
        var after = await second.ReadyAsync("a");
        Assert.Equal((string?)before["containerStatuses"]![0]!["containerID"], (string?)after["containerStatuses"]![0]!["containerID"]);
        Assert.Equal((string?)before["podIP"], (string?)after["podIP"]);
        Assert.Equal(5, (int)(await second.PhaseAsync("b", "Failed"))["containerStatuses"]![0]!["state"]!["terminated"]!["exitCode"]!);
        // Nothing written while nobody read is lost, and nothing arrives twice.
        await Eventually.TrueAsync(async () => (await second.LogAsync("a", "main")).Count(letter => letter == '\n') > 50);
        var lines = (await second.LogAsync("a", "main")).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(int.Parse).ToList();
        Assert.Equal(Enumerable.Range(1, lines.Count), lines);
    }

    [Fact]
    public async Task Containers_of_Pods_that_vanished_while_the_node_was_away_are_ended()
    {
        var first = NodeRig.Start();
        first.Apply(Yaml("a", "exec sleep 1000"));
        await first.ReadyAsync("a");
        await first.CrashAsync();
        await using var second = NodeRig.Start(first.State, first.Api);
        await second.Pods.CollectOrphansAsync();
        Assert.False(Directory.Exists(second.Context.Settings.PodDirectory("uid-a")));
        Assert.Empty(Directory.GetFiles("/run/netns"));
        Assert.Empty(await second.Network.AttachedAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Hooks_of_sidecars_run_when_the_Pod_begins_to_end_and_signals_follow_the_application_in_reverse_order()
    {
        await using var rig = NodeRig.Start();
        var pod = rig.Apply(Yaml("a",
            "trap 'while ! [ $(wc -l < /s/order) = 2 ]; do sleep 0.02; done; echo app >> /s/order; exit 0' TERM; while :; do sleep 0.02; done", """
                volumeMounts: [{name: s, mountPath: /s}]
              volumes: [{name: s, emptyDir: {medium: Memory}}]
            """, $"""
              initContainers:
            {Side("one")}
            {Side("two")}
            """));
        await rig.ReadyAsync("a");
        Delete(rig, pod, 30);
        await Eventually.TrueAsync(() => rig.Api.Removed.Contains("a"));
        var message = (string)rig.Api.Statuses["a"]["initContainerStatuses"]![0]!["state"]!["terminated"]!["message"]!;
        Assert.Equal(["hook", "hook", "app", "two", "one"], message.Split('\n', StringSplitOptions.RemoveEmptyEntries));

        static string Side(string name) => $$"""
              - name: {{name}}
                restartPolicy: Always
                image: host.lab.internal/rootfs
                command: [sh, -c, "trap 'echo {{name}} >> /s/order; cat /s/order > /dev/termination-log; exit 0' TERM; while :; do sleep 0.02; done"]
                lifecycle: {preStop: {exec: {command: [sh, -c, "echo hook >> /s/order"]} } }
                volumeMounts: [{name: s, mountPath: /s}]
            """;
    }

    [Theory]
    [InlineData("httpGet: {path: /nowhere, port: 8080}", null)] // a kubelet ignores the status
    [InlineData("httpGet: {path: /, port: 9}", "Connection refused")]
    [InlineData("tcpSocket: {port: 8080}", "invalid handler")]
    public async Task Only_a_hook_without_an_answer_fails(string hook, string? message)
    {
        await using var rig = NodeRig.Start();
        var pod = rig.Apply(Yaml("a", "python3 -m http.server 8080 --directory /tmp & trap 'exit 0' TERM; wait", $$"""
                readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1, failureThreshold: 60}
                lifecycle: {preStop: { {{hook}} } }
            """));
        await rig.ReadyAsync("a");
        Delete(rig, pod, 10);
        await Eventually.TrueAsync(() => rig.Api.Removed.Contains("a"));
        bool IsFailure(JsonObject e) => (string?)e["reason"] == "FailedPreStopHook";
        if (message is not null) await EventAsync(rig, IsFailure);
        var failures = rig.Api.Events.Where(IsFailure).Select(e => (string)e["message"]!).ToList();
        if (message is null) Assert.Empty(failures);
        else Assert.Contains(message, Assert.Single(failures), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_sidecar_is_asked_to_end_even_if_the_application_uses_all_the_time()
    {
        await using var rig = NodeRig.Start();
        var pod = rig.Apply(Yaml("a", "trap '' TERM; while :; do sleep 0.05; done", spec: """
              initContainers:
              - name: side
                restartPolicy: Always
                image: host.lab.internal/rootfs
                command: [sh, -c, "trap 'echo asked > /dev/termination-log; exit 0' TERM; while :; do sleep 0.02; done"]
            """));
        await rig.ReadyAsync("a");
        Delete(rig, pod, 1);
        await Eventually.TrueAsync(() => rig.Api.Removed.Contains("a"));
        var status = rig.Api.Statuses["a"];
        Assert.Equal(137, (int)status["containerStatuses"]![0]!["state"]!["terminated"]!["exitCode"]!);
        Assert.Equal("asked", ((string?)status["initContainerStatuses"]![0]!["state"]!["terminated"]!["message"])?.Trim());
    }

    [Fact]
    public async Task Sidecars_outlive_the_work_and_end_after_it()
    {
        await using var rig = NodeRig.Start();
        rig.Apply(Yaml("job", "sleep 0.3; test -e /s/up", """
                volumeMounts: [{name: s, mountPath: /s}]
              volumes: [{name: s, emptyDir: {medium: Memory}}]
            """, """
              restartPolicy: Never
              initContainers:
              - name: side
                restartPolicy: Always
                image: host.lab.internal/rootfs
                command: [sh, -c, "trap 'echo side ends; exit 0' TERM; touch /s/up; while :; do sleep 0.05; done"]
                startupProbe: {exec: {command: [test, -e, /s/up]}, periodSeconds: 1}
                volumeMounts: [{name: s, mountPath: /s}]
            """));
        await rig.PhaseAsync("job", "Succeeded");
        Assert.Equal("side ends\n", await rig.LogAsync("job", "side"));
    }
}

using System.Text.Json.Nodes;
using System.Diagnostics;
using System.Globalization;
using Isthmus.Testing;
using Xunit;
using static Isthmus.Tests.Mesh.Lab.Nodes.PodSteps;

namespace Isthmus.Tests.Mesh.Lab.Nodes;

[Trait("shard", "node")]
public sealed class PodTests
{
    [Fact]
    public async Task A_Pod_runs_with_an_address_of_its_own_and_its_output_is_in_the_log()
    {
        await using var rig = NodeRig.Start();
        rig.Apply(Yaml("a", "echo hello; echo oops >&2; exec sleep 1000"));
        var status = await rig.ReadyAsync("a");
        Assert.Equal("Running", (string?)status["phase"]);
        Assert.StartsWith("10.244.0.", (string?)status["podIP"], StringComparison.Ordinal);
        Assert.StartsWith("isthmus://", (string?)status["containerStatuses"]![0]!["containerID"], StringComparison.Ordinal);
        await Eventually.TrueAsync(async () => await rig.LogAsync("a", "main") is var log && log.Contains("hello\n") && log.Contains("oops\n"));
        await EventAsync(rig, e => (string?)e["reason"] == "Started");
        Assert.Equal((0, "a\n"), await rig.ExecAsync("a", "main", "hostname"));
        var (_, addresses) = await rig.ExecAsync("a", "main", "ip", "-o", "-4", "addr", "show", "eth0");
        Assert.Contains((string)status["podIP"]!, addresses, StringComparison.Ordinal);
        Assert.Contains("search default.svc.cluster.local", (await rig.ExecAsync("a", "main", "cat", "/etc/resolv.conf")).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_terminal_of_a_container_is_logged_and_nothing_else_is_inherited()
    {
        await using var rig = NodeRig.Start();
        rig.Apply(Yaml("a", "tty; exec sleep 1000", "    tty: true\n    stdin: true"));
        await rig.ReadyAsync("a");
        await Eventually.TrueAsync(async () => (await rig.LogAsync("a", "main")).Contains("/dev/pts/0"));
        var (_, listed) = await rig.ExecAsync("a", "main", "sh", "-c", "ls /proc/1/fd | tr '\\n' ' '");
        Assert.Equal("0 1 2 ", listed);
    }

    [Fact]
    public async Task Pods_that_start_one_after_the_other_all_become_ready()
    {
        await using var rig = NodeRig.Start();
        rig.Apply(Yaml("warm", "exec sleep 1000"));
        await rig.ReadyAsync("warm");
        var times = new List<double>();
        for (var i = 0; i < 5; i++)
        {
            var clock = Stopwatch.StartNew();
            rig.Apply(Yaml($"p{i}", "exec sleep 1000"));
            await rig.ReadyAsync($"p{i}");
            times.Add(clock.Elapsed.TotalMilliseconds);
        }
        // Figures for information, not limits: the machine may be busy.
        TestContext.Current.TestOutputHelper?.WriteLine($"ready after {string.Join(", ", times.Order().Select(time => $"{time:0.0} ms"))}");
        var addresses = Enumerable.Range(0, 5).Select(i => (string?)rig.Api.Statuses[$"p{i}"]["podIP"]).ToList();
        Assert.Equal(5, addresses.Distinct().Count());
        Assert.All(Enumerable.Range(0, 5), i => Assert.Equal("Running", (string?)rig.Api.Statuses[$"p{i}"]["phase"]));
    }

    [Fact]
    public async Task The_machine_is_read_only_its_secrets_are_hidden_and_it_cannot_be_changed_from_a_Pod()
    {
        var secret = Path.Combine(Path.GetTempPath(), $"secret-{Guid.NewGuid():n}");
        await File.WriteAllTextAsync(secret, "x", TestContext.Current.CancellationToken);
        await using var rig = NodeRig.Start();
        rig.Apply(Yaml("a", "exec sleep 1000"));
        await rig.ReadyAsync("a");
        foreach (var path in new[] { "/usr", "/etc", "/", "/proc/sys/kernel", "/sys" })
            Assert.NotEqual(0, (await rig.ExecAsync("a", "main", "touch", $"{path}/made-by-a-pod")).Code);
        Assert.NotEqual(0, (await rig.ExecAsync("a", "main", "sh", "-c", "echo x > /proc/sys/kernel/core_pattern")).Code);
        Assert.Equal(0,
            (await rig.ExecAsync("a", "main", "sh", "-c", "touch /tmp/x /run/x /var/run/y /var/lib/made-by-a-pod /var/tmp/x && test -e /run/y")).Code);
        Assert.False(File.Exists("/var/lib/made-by-a-pod"));
        foreach (var path in new[] { "/etc/shadow", "/etc/ssh", secret, rig.State, "/run/docker.sock", "/var/run/docker.sock" })
            Assert.NotEqual(0, (await rig.ExecAsync("a", "main", "test", "-e", path)).Code);
        Assert.Equal("", (await rig.ExecAsync("a", "main", "sh", "-c", "ls -A /root /home /etc/ssl/private 2>/dev/null | grep -v :$ | grep .")).Output);
        Assert.Equal("1\n", (await rig.ExecAsync("a", "main", "sh", "-c", "ls -d /proc/[0-9]* | grep -c /1$")).Output);
        Assert.NotEqual(0, (await rig.ExecAsync("a", "main", "mount", "-t", "tmpfs", "tmpfs", "/tmp")).Code);
        File.Delete(secret);
    }

    [Fact]
    public async Task Init_containers_run_first_and_share_volumes_and_arguments_are_expanded()
    {
        await using var rig = NodeRig.Start();
        rig.Apply("""
            metadata: {name: a, labels: {app: demo}}
            spec:
              serviceAccountName: default
              restartPolicy: Never
              initContainers:
              - {name: one, image: host.lab.internal/rootfs, command: [sh, -c, "echo -n first > /work/deep/x"],
                  volumeMounts: [{name: work, mountPath: /work/deep}]}
              - {name: two, image: host.lab.internal/rootfs, command: [sh, -c, "echo -n -second >> /w/x"], volumeMounts: [{name: work, mountPath: /w}]}
              containers:
              - name: main
                image: host.lab.internal/rootfs
                command: [sh, -c, "cat /usr/share/new/x; echo; echo $(GREETING) '$$(GREETING)'; echo $KUBERNETES_SERVICE_HOST; exit 3"]
                env:
                - {name: WHO, valueFrom: {fieldRef: {fieldPath: "metadata.labels['app']"}}}
                - {name: GREETING, value: "hi-$(WHO)"}
                volumeMounts: [{name: work, mountPath: /usr/share/new}]
              volumes: [{name: work, emptyDir: {}}]
            """);
        var status = await rig.PhaseAsync("a", "Failed");
        Assert.Equal("first-second\nhi-demo $(GREETING)\n10.96.0.1\n", await rig.LogAsync("a", "main"));
        Assert.Equal(3, (int)status["containerStatuses"]![0]!["state"]!["terminated"]!["exitCode"]!);
        Assert.All(status["initContainerStatuses"]!.AsArray(), one => Assert.Equal("Completed", (string?)one!["state"]!["terminated"]!["reason"]));
    }

    [Fact]
    public async Task A_sidecar_starts_before_later_init_containers_and_restarts_beside_the_application()
    {
        await using var rig = NodeRig.Start();
        rig.Apply(Yaml("a", "while :; do sleep 1; done", """
                volumeMounts: [{name: s, mountPath: /s}]
              volumes: [{name: s, emptyDir: {}}]
            """, """
              initContainers:
              - name: side
                restartPolicy: Always
                image: host.lab.internal/rootfs
                command: [sh, -c, "until test -e /s/end; do sleep 0.02; done; rm /s/end"]
                startupProbe: {exec: {command: [test, -e, /s/up]}, periodSeconds: 1, failureThreshold: 60}
                readinessProbe: {exec: {command: [test, -e, /s/ready]}, periodSeconds: 1}
                volumeMounts: [{name: s, mountPath: /s}]
              - {name: after, image: host.lab.internal/rootfs, command: [test, -e, /s/up], volumeMounts: [{name: s, mountPath: /s}]}
            """));
        var waiting = await rig.StatusAsync("a", status => status["initContainerStatuses"]?[0]?["state"]?["running"] is not null);
        Assert.Equal(("Pending", false), ((string?)waiting["phase"], (bool)waiting["initContainerStatuses"]![0]!["started"]!));
        Assert.Equal("PodInitializing", (string?)waiting["initContainerStatuses"]![1]!["state"]!["waiting"]!["reason"]);
        Assert.Equal("containers with incomplete status: [side after]", Message(waiting, "Initialized"));
        await rig.ExecAsync("a", "side", "touch", "/s/up");
        var running = await rig.PhaseAsync("a", "Running");
        Assert.Equal("Completed", (string?)running["initContainerStatuses"]![1]!["state"]!["terminated"]!["reason"]);
        Assert.Equal("containers with unready status: [side]",
            Message(await rig.StatusAsync("a", status => (bool)status["containerStatuses"]![0]!["ready"]!), "Ready"));
        await rig.ExecAsync("a", "side", "touch", "/s/ready");
        await rig.ReadyAsync("a");
        await rig.ExecAsync("a", "side", "touch", "/s/end");
        var again = await rig.StatusAsync("a",
            status => (int)status["initContainerStatuses"]![0]!["restartCount"]! == 1 && (bool)status["initContainerStatuses"]![0]!["ready"]!);
        Assert.Equal((0, "Running"), ((int)again["containerStatuses"]![0]!["restartCount"]!, (string?)again["phase"]));

        static string? Message(JsonObject status, string condition) =>
            (string?)status["conditions"]!.AsArray().Single(one => (string?)one!["type"] == condition)!["message"];
    }

    [Fact]
    public async Task Configuration_is_mounted_and_a_running_Pod_sees_its_change()
    {
        await using var rig = NodeRig.Start();
        rig.Api.ConfigMaps["default/c"] = new() { Data = { ["k"] = "one" } };
        rig.Api.Secrets["default/s"] = new() { Data = { ["p"] = Convert.ToBase64String("word"u8) } };
        rig.Apply(Yaml("a", "exec sleep 1000", """
                volumeMounts: [{name: c, mountPath: /etc/conf}, {name: p, mountPath: /var/run/secrets/tokens}]
                env: [{name: P, valueFrom: {secretKeyRef: {name: s, key: p}}}]
              volumes:
              - {name: c, configMap: {name: c}}
              - name: p
                projected:
                  sources:
                  - serviceAccountToken: {audience: me, path: token}
                  - secret: {name: s}
                  - downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}
            """, metadata: ", labels: {a: b}"));
        await rig.ReadyAsync("a");
        Assert.Equal("one", (await rig.ExecAsync("a", "main", "cat", "/etc/conf/k")).Output);
        Assert.Equal("token-me-1word", (await rig.ExecAsync("a", "main", "cat", "/run/secrets/tokens/token", "/run/secrets/tokens/p")).Output);
        Assert.Equal("a=\"b\"", (await rig.ExecAsync("a", "main", "cat", "/var/run/secrets/tokens/labels")).Output);
        Assert.Equal("word", (await rig.ExecAsync("a", "main", "printenv", "P")).Output.Trim());
        rig.Api.ConfigMaps["default/c"] = new() { Data = { ["k"] = "two", ["new"] = "x" } };
        rig.Pods.Refresh("default");
        await Eventually.TrueAsync(async () => (await rig.ExecAsync("a", "main", "cat", "/etc/conf/k", "/etc/conf/new")).Output == "twox");
        Assert.NotEqual(0, (await rig.ExecAsync("a", "main", "touch", "/etc/conf/x")).Code);
    }

    [Fact]
    public async Task An_image_that_is_missing_and_must_not_be_pulled_is_said_as_by_kubelets()
    {
        await using var rig = NodeRig.Start();
        rig.Apply("metadata: {name: a}\nspec: {containers: [{name: main, image: nginx, imagePullPolicy: Never}]}");
        var status = await rig.StatusAsync("a", one => (string?)one["containerStatuses"]![0]!["state"]!["waiting"]?["reason"] == "ErrImageNeverPull");
        Assert.Equal("Container image \"nginx\" is not present with pull policy of Never",
            (string?)status["containerStatuses"]![0]!["state"]!["waiting"]!["message"]);
    }

    [Fact]
    public async Task What_is_missing_is_said_and_waited_for()
    {
        await using var rig = NodeRig.Start();
        rig.Apply(Yaml("a", "exec sleep 1000", "    envFrom: [{configMapRef: {name: later}}]"));
        await rig.StatusAsync("a", status => (string?)status["containerStatuses"]![0]!["state"]!["waiting"]?["reason"] == "CreateContainerConfigError");
        rig.Api.ConfigMaps["default/later"] = new() { Data = { ["X"] = "1" } };
        await rig.ReadyAsync("a");
        rig.Apply("metadata: {name: b}\nspec: {containers: [{name: main, image: nginx}]}");
        var status = await rig.StatusAsync("b", one => (string?)one["containerStatuses"]![0]!["state"]!["waiting"]?["reason"] == "ErrImagePull");
        Assert.Contains("host.lab.internal/rootfs", (string)status["containerStatuses"]![0]!["state"]!["waiting"]!["message"]!, StringComparison.Ordinal);
        rig.Apply("metadata: {name: c}\nspec: {containers: [{name: main, image: host.lab.internal/rootfs, command: [nonesuch]}]}");
        await rig.StatusAsync("c", one => one["containerStatuses"]![0]!["lastState"]!["terminated"] is { } end
            && ((string)end["message"]!).Contains("nonesuch", StringComparison.Ordinal) && (int)end["exitCode"]! == 128);
    }

    [Fact]
    public async Task What_cannot_be_mounted_is_said_ever_less_often_and_mounted_when_it_comes()
    {
        await using var rig = NodeRig.Start();
        rig.Apply(Yaml("a", "exec sleep 1000", "    volumeMounts: [{name: v, mountPath: /v}]", "  volumes: [{name: v, configMap: {name: later}}]"));
        var status = await rig.StatusAsync("a", one => one["containerStatuses"] is not null);
        Assert.Equal("ContainerCreating", (string?)status["containerStatuses"]![0]!["state"]!["waiting"]!["reason"]);
        var said = () => rig.Api.Events.Where(one => (string?)one["reason"] == "FailedMount")
            .Select(one => DateTimeOffset.Parse((string)one["lastTimestamp"]!, CultureInfo.InvariantCulture)).ToList();
        await Eventually.TrueAsync(() => said() is [var first, .., var last] && last - first >= TimeSpan.FromSeconds(2));
        Assert.InRange(said().Count, 2, 8);
        Assert.Contains(rig.Api.Events, one => (string?)one["message"] == "MountVolume.SetUp failed for volume \"v\" : configmap \"later\" not found");
        rig.Api.ConfigMaps["default/later"] = new() { Data = { ["x"] = "1" } };
        rig.Pods.Refresh("default");
        await rig.ReadyAsync("a");
        rig.Apply("metadata: {name: b}\nspec: {initContainers: [{name: first, image: none}], containers: [{name: main, image: none}]}");
        status = await rig.StatusAsync("b", one => one["containerStatuses"] is not null);
        Assert.Equal("PodInitializing", (string?)status["containerStatuses"]![0]!["state"]!["waiting"]!["reason"]);
    }

    [Fact]
    public async Task A_container_that_is_added_to_a_running_Pod_runs_there_once()
    {
        await using var rig = NodeRig.Start();
        rig.Apply(Yaml("a", "exec sleep 1000"));
        var address = (string)(await rig.ReadyAsync("a"))["podIP"]!;
        rig.Apply(Yaml("a", "exec sleep 1000",
            "  ephemeralContainers: [{name: debugger, image: host.lab.internal/rootfs, command: [sh, -c, 'ip -o -4 addr show eth0; while [ ! -e /tmp/go ]; do "
                + "sleep 0.1; done; exit 3']}]"));
        await rig.StatusAsync("a", one => one["ephemeralContainerStatuses"]?[0]?["state"]?["running"] is not null);
        await Eventually.TrueAsync(async () => (await rig.LogAsync("a", "debugger")).Contains(address));
        await rig.ExecAsync("a", "debugger", "touch", "/tmp/go");
        var status = await rig.StatusAsync("a", one => (int?)one["ephemeralContainerStatuses"]?[0]?["state"]?["terminated"]?["exitCode"] == 3);
        // The Pod is unaffected.
        Assert.Equal(("Running", true, 0),
            ((string?)status["phase"], (bool)status["containerStatuses"]![0]!["ready"]!, (int)status["ephemeralContainerStatuses"]![0]!["restartCount"]!));
    }

    [Fact]
    public async Task A_container_that_ends_is_restarted_at_once_and_then_waits()
    {
        await using var rig = NodeRig.Start();
        rig.Apply(Yaml("a", "echo again >> /dev/termination-log; exit 7"));
        var status = await rig.StatusAsync("a", one => (string?)one["containerStatuses"]![0]!["state"]!["waiting"]?["reason"] == "CrashLoopBackOff");
        var container = status["containerStatuses"]![0]!;
        Assert.Equal(1, (int)container["restartCount"]!);
        Assert.Equal(7, (int)container["lastState"]!["terminated"]!["exitCode"]!);
        Assert.Equal("again\n", (string?)container["lastState"]!["terminated"]!["message"]);
        Assert.Equal("Running", (string?)status["phase"]);
    }

    // To the node, a PID 1 with CAP_SYS_ADMIN still prepares the container.
    [Fact]
    public async Task No_container_however_privileged_gets_the_capability_to_mount()
    {
        await using var rig = NodeRig.Start();
        rig.Apply(Yaml("a", "exec sleep 1000", "    securityContext: {privileged: true, capabilities: {add: [ALL]}}"));
        await rig.ReadyAsync("a");
        var (_, capabilities) = await rig.ExecAsync("a", "main", "sed", "-n", "s/^CapPrm:\\t//p", "/proc/1/status");
        Assert.Equal(0UL, ulong.Parse(capabilities.Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture) >> 21 & 1);
    }

    /// <summary>Of each failure, and not only when enough of them have come together.</summary>
    [Fact]
    public async Task A_probe_that_fails_is_told_before_it_counts()
    {
        await using var rig = NodeRig.Start();
        rig.Apply(Yaml("a", "python3 -m http.server 8080 --directory /tmp", """
                readinessProbe: {httpGet: {path: /none, port: 8080}, periodSeconds: 1, failureThreshold: 1000}
            """));
        await EventAsync(rig, e => (string?)e["reason"] == "Unhealthy"
            && (string?)e["message"] == "Readiness probe failed: HTTP probe failed with statuscode: 404");
    }

    [Fact]
    public async Task Probes_decide_over_readiness_and_restarts()
    {
        await using var rig = NodeRig.Start();
        rig.Apply(Yaml("a", "python3 -m http.server 8080 --directory /tmp", """
                ports: [{name: web, containerPort: 8080}]
                readinessProbe: {httpGet: {path: /ok, port: web}, periodSeconds: 1, failureThreshold: 1}
                livenessProbe: {exec: {command: [sh, -c, "! test -e /tmp/dead"]}, periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 30}
                startupProbe: {tcpSocket: {port: 8080}, periodSeconds: 1, failureThreshold: 60}
            """));
        await rig.StatusAsync("a", status => (bool?)status["containerStatuses"]![0]!["started"] == true);
        Assert.False((bool)rig.Api.Statuses["a"]["containerStatuses"]![0]!["ready"]!);
        Assert.Equal(0, (await rig.ExecAsync("a", "main", "touch", "/tmp/ok")).Code);
        await rig.ReadyAsync("a");
        await rig.ExecAsync("a", "main", "rm", "/tmp/ok");
        await rig.StatusAsync("a", status => (bool?)status["containerStatuses"]![0]!["ready"] == false);
        await rig.ExecAsync("a", "main", "touch", "/tmp/dead");
        await rig.StatusAsync("a", status => (int)status["containerStatuses"]![0]!["restartCount"]! == 1);
        await EventAsync(rig, e => (string?)e["reason"] == "Unhealthy" && ((string)e["message"]!).StartsWith("Liveness", StringComparison.Ordinal));
        await EventAsync(rig, e => (string?)e["reason"] == "Killing");
        Assert.Equal("Container main failed liveness probe, will be restarted",
            (string?)Assert.Single(rig.Api.Events, e => (string?)e["reason"] == "Killing")["message"]);
    }
}

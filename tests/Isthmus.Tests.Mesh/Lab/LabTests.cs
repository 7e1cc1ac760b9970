using System.Diagnostics;
using System.Text.Json.Nodes;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Testing;
using Isthmus.Tests.Mesh.Images;
using Isthmus.Tests.Mesh.Lab.Nodes;
using Xunit;

namespace Isthmus.Tests.Mesh.Lab;

public sealed class LabTests
{
    [Fact]
    public async Task Two_clusters_come_up_isolated_and_go_without_a_trace()
    {
        await using var rig = await LabRig.CreateAsync();
        (await rig.IsthmusAsync("lab", "up", "--clusters", "2", "--no-wait")).Expect(0);
        var clusters = (JsonArray)(await rig.StatusAsync())["clusters"]!;
        Assert.Equal(["https://172.18.0.2:6443", "https://172.18.0.3:6443"], clusters.Select(cluster => (string)cluster!["server"]!));
        Assert.Equal(clusters[0]!["podRange"]!.ToString(), clusters[1]!["podRange"]!.ToString());
        Assert.Contains("kube-system", (await rig.KubectlAsync("--context", "cluster1", "get", "namespaces", "-o", "name")).Expect(0));
        Assert.Contains("kube-system", (await rig.KubectlAsync("--context", "cluster2", "get", "namespaces", "-o", "name")).Expect(0));
        Assert.Equal("cluster1\ncluster2\n", (await rig.KubectlAsync("config", "get-contexts", "-o", "name")).Expect(0));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(rig.Kubeconfig));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(rig.Home.Directory));

        var processes = rig.Processes();
        Assert.True(processes.Count >= 5, $"supervisor, API servers and nodes: {processes.Count} processes");
        var networks = LabRig.Networks(processes);
        (await rig.IsthmusAsync("lab", "down")).Expect(0);
        await NothingIsLeftAsync(processes, networks);
        Assert.False(Directory.Exists(rig.Home.Directory));
        Assert.False(File.Exists(rig.Kubeconfig));
        Assert.Contains("There is no lab", (await rig.IsthmusAsync("lab", "down")).Expect(0));
    }

    [Fact]
    public async Task After_SIGKILL_only_files_are_left_and_the_next_up_resumes_them()
    {
        await using var rig = await LabRig.CreateAsync();
        (await rig.IsthmusAsync("lab", "up", "--clusters", "1")).Expect(0);
        (await rig.KubectlAsync("annotate", "namespace", "default", "survives=yes")).Expect(0);
        var loopback = Path.Combine(Path.GetDirectoryName(rig.Kubeconfig)!, "loopback");
        (await rig.IsthmusAsync("lab", "kubeconfig", "--loopback", "--kubeconfig", loopback)).Expect(0);
        await ImagesAreLoadedAndRunAsync(rig);
        var processes = rig.Processes();
        var networks = LabRig.Networks(processes);
        ProcessImage.Kill(rig.Supervisor, Signals.Kill);
        await NothingIsLeftAsync(processes, networks);
        Assert.False((bool)(await rig.StatusAsync())["running"]!);

        (await rig.IsthmusAsync("lab", "up", "--clusters", "1")).Expect(0);
        // The loopback address is the same as before.
        Assert.Equal("yes",
            (await rig.KubectlAsync($"--kubeconfig={loopback}", "get", "namespace", "default", "-o", "jsonpath={.metadata.annotations.survives}")).Expect(0));
        // Readiness must describe what runs now, not what the killed lab last wrote.
        Assert.Equal("1",
            (await rig.KubectlAsync("-n", "kube-system", "get", "pods", "-l", "k8s-app=kube-dns", "-o",
                "jsonpath={.items[*].status.containerStatuses[0].restartCount}"))
                .Expect(0));
        // Images survive, and what a removed image left does not.
        await LabRig.UntilAsync(() => rig.KubectlAsync("logs", "greeter", "-c", "greeter"), $"hello from tiny as {TinyUser} in /work");
        Assert.Contains("is in use by container greeter of Pod default/greeter",
            (await rig.IsthmusAsync("lab", "image", "remove", "example.com/tiny:1")).Errors, StringComparison.Ordinal);
        (await rig.KubectlAsync("delete", "pod", "greeter", "--now")).Expect(0);
        Assert.Equal("Removed example.com/tiny:1\n", (await rig.IsthmusAsync("lab", "image", "remove", "example.com/tiny:1")).Expect(0));
        Assert.Contains("No images are loaded.", (await rig.IsthmusAsync("lab", "image", "list")).Expect(0), StringComparison.Ordinal);
        ProcessImage.Kill(rig.Supervisor, Signals.Kill);
        (await rig.IsthmusAsync("lab", "down")).Expect(0);
        Assert.False(Directory.Exists(rig.Home.Directory));
        Assert.False(File.Exists(rig.Kubeconfig));
        Assert.False(File.Exists(loopback));
    }

    [Fact]
    public async Task A_second_up_changes_nothing_and_processes_that_die_are_started_again()
    {
        await using var rig = await LabRig.CreateAsync();
        (await rig.IsthmusAsync("lab", "up", "--clusters", "1", "--no-wait")).Expect(0);
        var first = rig.Supervisor;
        (await rig.IsthmusAsync("lab", "up", "--clusters", "1", "--no-wait")).Expect(0);
        Assert.Equal(first, rig.Supervisor);

        // The PID is the machine's, not the one inside the lab's namespaces, which could be any process here.
        var server = (int)(await rig.StatusAsync())["clusters"]![0]!["apiServerPid"]!;
        Assert.Contains("lab-apiserver", await File.ReadAllTextAsync($"/proc/{server}/cmdline", TestContext.Current.CancellationToken),
            StringComparison.Ordinal);
        Process.GetProcessById(server).Kill();
        (await rig.IsthmusAsync("lab", "up", "--clusters", "1", "--no-wait")).Expect(0);
        var after = (await rig.StatusAsync())["clusters"]![0]!;
        Assert.NotEqual(server, (int)after["apiServerPid"]!);
        Assert.Equal(1, (int)after["apiServerRestarts"]!);
    }

    [Fact]
    public async Task Clusters_are_added_and_removed_one_by_one_and_the_last_takes_the_lab_along()
    {
        await using var rig = await LabRig.CreateAsync();
        (await rig.IsthmusAsync("lab", "create", "cluster", "--name", "one", "--network", "n", "--no-wait")).Expect(0);
        (await rig.IsthmusAsync("lab", "create", "cluster", "--name", "two", "--network", "n", "--no-wait")).Expect(0);
        var routes = (await rig.IsthmusAsync("lab", "shell", "--cluster", "one", "--", "ip", "route")).Expect(0);
        Assert.Contains("10.245.0.0/16 via 172.18.0.3 dev eth0", routes);
        (await rig.IsthmusAsync("lab", "delete", "cluster", "--name", "two")).Expect(0);
        Assert.DoesNotContain("10.245.0.0/16", (await rig.IsthmusAsync("lab", "shell", "--cluster", "one", "--", "ip", "route")).Expect(0));
        // Programs inside begin where you are.
        Assert.Equal(Directory.GetCurrentDirectory() + "\n", (await rig.IsthmusAsync("lab", "shell", "--", "pwd")).Expect(0));
        Assert.Equal("one\n", (await rig.KubectlAsync("config", "get-contexts", "-o", "name")).Expect(0));
        (await rig.IsthmusAsync("lab", "delete", "cluster", "--name", "one")).Expect(0);
        Assert.False(Directory.Exists(rig.Home.Directory));
    }

    [Fact]
    public async Task Scripts_written_for_kind_keep_working()
    {
        await using var rig = await LabRig.CreateAsync();
        var created = await rig.KindAsync("create", "cluster", "--name", "cluster1", "--image", "kindest/node:v1.32.0", "--wait", "0s");
        created.Expect(0);
        Assert.Contains("--image kindest/node:v1.32.0 is ignored", created.Errors);
        Assert.Equal("cluster1\n", (await rig.KindAsync("get", "clusters")).Expect(0));
        (await rig.KubectlAsync("config", "set-cluster", "kind-cluster1", "--server=https://172.18.0.2:6443")).Expect(0);
        (await rig.KubectlAsync("config", "rename-context", "kind-cluster1", "cluster1")).Expect(0);
        Assert.Contains("kube-system", (await rig.KubectlAsync("--context=cluster1", "get", "namespaces", "-o", "name")).Expect(0));
        var copy = Path.Combine(Path.GetDirectoryName(rig.Kubeconfig)!, "copy");
        await File.WriteAllTextAsync(copy, (await rig.KindAsync("get", "kubeconfig", "--name", "cluster1")).Expect(0), TestContext.Current.CancellationToken);
        Assert.Contains("kube-system", (await rig.KubectlAsync($"--kubeconfig={copy}", "get", "namespaces", "-o", "name")).Expect(0));
        (await rig.KindAsync("delete", "cluster", "--name", "cluster1")).Expect(0);
        Assert.False(File.Exists(rig.Kubeconfig));
    }

    [Fact]
    public async Task An_interrupted_up_removes_what_it_made()
    {
        await using var rig = await LabRig.CreateAsync();
        using var up = rig.Begin("lab", "up", "--clusters", "2");
        await Eventually.TrueAsync(() => Directory.Exists(rig.Home.Cluster("cluster2")), "the second cluster's directory");
        var supervisor = rig.Supervisor;
        ProcessImage.Kill(up.Id, Signals.Int);
        await up.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(130, up.ExitCode);
        await Eventually.TrueAsync(() => !LabRig.Exists(supervisor), "the supervisor's end");
        Assert.False(Directory.Exists(rig.Home.Directory));
        Assert.False(File.Exists(rig.Kubeconfig));
    }

    [Fact]
    public async Task Down_removes_a_supervisor_that_its_killed_starter_left_before_it_listened()
    {
        await using var rig = await LabRig.CreateAsync();
        using var up = rig.Begin("lab", "up", "--clusters", "1");
        await Eventually.TrueAsync(() => File.Exists(rig.Home.Log("supervisor")), "the supervisor's process");
        ProcessImage.Kill(up.Id, Signals.Kill);
        await up.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Contains("The lab is removed.", (await rig.IsthmusAsync("lab", "down")).Expect(0));
        Assert.Empty(rig.Supervisors());
        Assert.False(Directory.Exists(rig.Home.Directory));
    }

    [Theory]
    [InlineData("0 is not between", "lab", "up", "--clusters", "0")]
    [InlineData("names 'cluster9'", "lab", "up", "--network", "cluster9=A")]
    [InlineData("is not CLUSTER=VALUE", "lab", "up", "--zone", "cluster1")]
    [InlineData("unknown command \"lab nonsense\"", "lab", "nonsense")]
    [InlineData("not a valid name", "lab", "create", "cluster", "--name", "Not_A_Name")]
    [InlineData("is not running", "lab", "delete", "cluster", "--name", "nobody")]
    [InlineData("is not running", "lab", "shell")]
    [InlineData("is not running", "lab", "image", "load", "file.tar")]
    [InlineData("is not running", "lab", "image", "remove", "a:1")]
    [InlineData("'xml' is not an output format", "lab", "status", "-o", "xml")]
    public async Task A_wrong_request_is_one_clear_error_and_leaves_nothing(string words, params string[] arguments)
    {
        await using var rig = await LabRig.CreateAsync();
        var refused = await rig.IsthmusAsync(arguments);
        Assert.NotEqual(0, refused.Code);
        Assert.Contains(words, refused.Errors);
        Assert.DoesNotContain("   at ", refused.Errors);
        Assert.False(Directory.Exists(rig.Home.Directory));
    }

    /// <summary>The user of the image. Where there is one user ID only, all programs have it.</summary>
    private static string TinyUser => RuncRig.HasOneUser ? "0" : "33";

    /// <summary>An image of others runs as its archive says. The test's Pod keeps running.</summary>
    private static async Task ImagesAreLoadedAndRunAsync(LabRig rig)
    {
        (await rig.KubectlAsync("run", "greeter", "--image=example.com/tiny:1", "--image-pull-policy=IfNotPresent", "--env=WHO=tiny")).Expect(0);
        (await rig.KubectlAsync("run", "never", "--image=example.com/other:1", "--image-pull-policy=Never")).Expect(0);
        await LabRig.UntilAsync(() => rig.KubectlAsync("get", "events"), "Load it with 'isthmus lab image load FILE.tar'");
        await LabRig.UntilAsync(() => rig.KubectlAsync("get", "pods"), "ErrImageNeverPull");
        (await rig.KubectlAsync("delete", "pod", "greeter", "never", "--now")).Expect(0);

        var archive = Path.Combine(Path.GetDirectoryName(rig.Kubeconfig)!, "tiny.tar");
        new TestImage
        {
            Names = ["example.com/tiny:1"],
            Config =
                """
                {"Entrypoint": ["/bin/sh", "-c", "echo hello from $WHO as $(/bin/busybox id -u) in $(/bin/busybox pwd); exec /bin/busybox sleep 1000"],
                 "Env": ["WHO=nobody"], "User": "33", "WorkingDir": "/work"}
                """,
            Layers = [TestImage.Layer(TestImage.File("bin/busybox", ImagePodTests.BusyBox(), 0b111_101_101), TestImage.Link("bin/sh", "busybox"))],
        }.WriteDocker(archive);
        Assert.Contains("Loaded example.com/tiny:1: ", (await rig.IsthmusAsync("lab", "image", "load", archive)).Expect(0), StringComparison.Ordinal);
        Assert.Contains("example.com/tiny:1", (await rig.IsthmusAsync("lab", "image", "list")).Expect(0), StringComparison.Ordinal);
        var listed = JsonNode.Parse((await rig.IsthmusAsync("lab", "image", "list", "-o", "json")).Expect(0))!["images"]![0]!;
        Assert.Equal(("33", "/work"), ((string?)listed["user"], (string?)listed["workingDirectory"]));
        var text = Path.Combine(Path.GetDirectoryName(rig.Kubeconfig)!, "text");
        await File.WriteAllTextAsync(text, "text", TestContext.Current.CancellationToken);
        Assert.Contains("is not an archive of images", (await rig.IsthmusAsync("lab", "image", "load", text)).Errors, StringComparison.Ordinal);

        (await rig.KubectlAsync("run", "greeter", "--image=example.com/tiny:1", "--image-pull-policy=Never", "--env=WHO=tiny")).Expect(0);
        await LabRig.UntilAsync(() => rig.KubectlAsync("logs", "greeter"), $"hello from tiny as {TinyUser} in /work");
        Assert.Equal($"{TinyUser}\n", (await rig.KubectlAsync("exec", "greeter", "--", "/bin/busybox", "id", "-u")).Expect(0));
        // As with containerd: an error of the API, not an exit code of the program that never ran.
        var missing = await rig.KubectlAsync("exec", "greeter", "--", "nowhere");
        Assert.Equal(1, missing.Code);
        Assert.Contains("error: Internal error occurred: error executing command in container: failed to exec in container: failed to start exec ",
            missing.Errors, StringComparison.Ordinal);
        await LabRig.UntilAsync(() => rig.KubectlAsync("get", "nodes", "-o", "jsonpath={.items[0].status.images[*].names}"), "example.com/tiny:1");
    }

    private static async Task NothingIsLeftAsync(List<int> processes, HashSet<string> networks)
    {
        await Eventually.TrueAsync(() => processes.All(process => !LabRig.Exists(process)), "the end of every process");
        // The kernel removes them a moment after their last process.
        await Eventually.TrueAsync(() => !networks.Overlaps(LabRig.Networks(PidsOfAll())), "the end of every network namespace");
        Assert.DoesNotContain("isthmus-lab-", await File.ReadAllTextAsync("/proc/self/mountinfo", TestContext.Current.CancellationToken));
    }

    private static IEnumerable<int> PidsOfAll() =>
        Directory.EnumerateDirectories("/proc").Select(path => int.TryParse(Path.GetFileName(path), out var id) ? id : 0).Where(id => id > 0);
}

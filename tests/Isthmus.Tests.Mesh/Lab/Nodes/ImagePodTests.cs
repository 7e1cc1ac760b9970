using Isthmus.Core.Problems;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Lab.Nodes.Images;
using Isthmus.Testing;
using Xunit;
using static Isthmus.Testing.TestImage;
using static Isthmus.Tests.Mesh.Lab.Nodes.PodSteps;

namespace Isthmus.Tests.Mesh.Lab.Nodes;

/// <summary>Pods that run images of others, which have no program of the machine.</summary>
[Trait("shard", "images")]
public sealed class ImagePodTests
{
    private static readonly string[] Words = ["sh", "sleep", "cat", "id", "ls", "env", "touch", "test", "tty", "pwd", "mount", "kill"];

    [Fact]
    public async Task A_Pod_runs_an_image_with_its_entry_point_user_environment_and_working_directory()
    {
        await using var rig = NodeRig.Start();
        // Without a range of IDs, everybody is root.
        var user = rig.Context.CanSetGroups ? "web" : "root";
        Load(rig, "tiny:1",
            $$"""{"Entrypoint": ["/entry"], "Cmd": ["default"], "Env": ["PATH=/tools", "GREETING=it's \"me\""], "User": "{{user}}", "WorkingDir": "/made/for/it"}""",
            TestImage.File("entry", "#!/tools/sh\necho $0 $1; echo $GREETING; id -u; id -G; pwd; echo $HOME; exec sleep 1000\n", 0b111_101_101));
        rig.Apply(Pod("a", "tiny:1", "env: [{name: FROM_POD, value: \"two\\nlines\"}]"));
        var status = await rig.ReadyAsync("a");
        var (id, home) = user == "web" ? ("33\n33 44", "/srv") : ("0\n0", "/root");
        await Eventually.TrueAsync(async () => (await rig.LogAsync("a", "main")).EndsWith(home + "\n", StringComparison.Ordinal));
        Assert.Equal($"/entry default\nit's \"me\"\n{id}\n/made/for/it\n{home}\n", await rig.LogAsync("a", "main"));
        Assert.StartsWith("sha256:", (string?)status["containerStatuses"]![0]!["imageID"], StringComparison.Ordinal);
        // A command in the container has the same identity, environment and directory, and the image's programs.
        Assert.Equal((0, $"{id[..id.IndexOf('\n', StringComparison.Ordinal)]}\n/made/for/it\ntwo\nlines\n"),
            await rig.ExecAsync("a", "main", "sh", "-c", "id -u; pwd; echo \"$FROM_POD\""));
        Assert.Equal((7, ""), await rig.ExecAsync("a", "main", "sh", "-c", "exit 7"));
        Assert.Equal("sleep\n", (await rig.ExecAsync("a", "main", "sh", "-c", "cat /proc/1/comm")).Output);
        var missing = await Assert.ThrowsAsync<Isthmus.Lab.Nodes.Containers.LaunchException>(() => rig.ExecAsync("a", "main", "nsenter"));
        Assert.Matches(
            "^failed to exec in container: failed to start exec \"[0-9a-f]{64}\": OCI runtime exec failed: exec failed: unable to start container process: "
                + "exec: \"nsenter\": executable file not found in \\$PATH: unknown$",
            missing.Message);
        missing = await Assert.ThrowsAsync<Isthmus.Lab.Nodes.Containers.LaunchException>(() => rig.ExecAsync("a", "main", "/nowhere/nsenter"));
        Assert.EndsWith("exec: \"/nowhere/nsenter\": stat /nowhere/nsenter: no such file or directory: unknown", missing.Message);
        missing = await Assert.ThrowsAsync<Isthmus.Lab.Nodes.Containers.LaunchException>(() => rig.ExecAsync("a", "main", "/etc/hosts"));
        Assert.EndsWith("exec: \"/etc/hosts\": permission denied: unknown", missing.Message);
        Assert.Equal("10.244.0.2\ta\n",
            (await rig.ExecAsync("a", "main", "sh", "-c", "while read line; do case $line in 10*) echo \"$line\";; esac; done </etc/hosts")).Output);
        // Nothing of the machine is there.
        Assert.Equal("dev\nentry\netc\nmade\nproc\nsys\ntools\n", (await rig.ExecAsync("a", "main", "ls", "/")).Output);
        Assert.Equal("",
            (await rig.ExecAsync("a", "main", "sh", "-c",
                "cat /proc/1/mountinfo | while read a b c d e f; do case $e in /|/dev*|/proc|/sys|/etc/*) ;; *) echo $e;; esac; done")).Output);
    }

    [Fact]
    public async Task Variables_may_have_names_that_no_shell_knows()
    {
        await using var rig = NodeRig.Start();
        Load(rig, "tiny:1", """{"Entrypoint": ["/tools/sleep", "1000"], "Env": ["PATH=/tools"]}""");
        rig.Apply(Pod("a", "tiny:1",
            "env: [{name: PLAIN, value: x}, {name: spring.profiles.active, value: test}, {name: -with-hyphen, value: \"it's\\ntwo\"}]"));
        await rig.ReadyAsync("a");
        var environment = (await rig.ExecAsync("a", "main", "cat", "/proc/1/environ")).Output.Split('\0', StringSplitOptions.RemoveEmptyEntries);
        foreach (var one in (string[])["PLAIN=x", "spring.profiles.active=test", "-with-hyphen=it's\ntwo"]) Assert.Contains(one, environment);
        // Those of the shell that starts the program stay out.
        Assert.DoesNotContain(environment, one => one.Split('=')[0] is "OLDPWD" or "PWD");
    }

    [Fact]
    public async Task Containers_of_one_image_do_not_see_what_others_write_and_a_root_may_be_read_only()
    {
        await using var rig = NodeRig.Start();
        var image = Load(rig, "tiny:1", """{"Entrypoint": ["/tools/sleep", "1000"], "Env": ["PATH=/tools"]}""", TestImage.File("data", "image"),
            TestImage.Directory("full"), TestImage.File("full/x", ""));
        rig.Apply(Pod("a", "tiny:1"));
        rig.Apply(Pod("b", "tiny:1"));
        rig.Apply(Pod("c", "tiny:1", "securityContext: {readOnlyRootFilesystem: true}"));
        foreach (var name in (string[])["a", "b", "c"]) await rig.ReadyAsync(name);
        Assert.Equal((0, ""), await rig.ExecAsync("a", "main", "sh", "-c", "echo changed > /data; /tools/busybox rm -r /full; touch /full /new"));
        Assert.Equal((0, "image"), await rig.ExecAsync("b", "main", "cat", "/data"));
        Assert.Equal((0, "x\n"), await rig.ExecAsync("b", "main", "ls", "/full"));
        Assert.NotEqual(0, (await rig.ExecAsync("b", "main", "test", "-e", "/new")).Code);
        Assert.NotEqual(0, (await rig.ExecAsync("c", "main", "touch", "/data")).Code);
        Assert.Equal(0, (await rig.ExecAsync("c", "main", "touch", "/dev/shm/x")).Code);
        Assert.Equal("image", await System.IO.File.ReadAllTextAsync(Path.Combine(rig.Images.FilesOf(image), "data"), TestContext.Current.CancellationToken));
        // Its files are in use.
        var removal = new ImageRemoval(rig.Images, [rig.State]);
        Assert.Contains("is in use by container main of Pod default/",
            Assert.Throws<ProblemException>(() => removal.Run("tiny:1", TestContext.Current.CancellationToken)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_image_may_be_a_single_program_and_have_a_terminal_and_a_stop_signal_of_its_own()
    {
        await using var rig = NodeRig.Start();
        new TestImage
        {
            Names = ["scratch:1"], Config = """{"Entrypoint": ["/busybox"], "StopSignal": "SIGUSR1"}""",
            Layers = [Layer(TestImage.File("busybox", BusyBox(), 0b111_101_101))],
        }.WriteOci(Archive(rig));
        new ImageLoad(rig.Images).Run(Archive(rig), null, TestContext.Current.CancellationToken);
        var pod = rig.Apply(Pod("a", "scratch:1",
            "args: [sh, -c, \"trap 'echo asked; exit 0' USR1; tty; while :; do /busybox sleep 0.05; done\"]\n    tty: true\n    stdin: true"));
        var status = await rig.ReadyAsync("a");
        Assert.StartsWith("docker.io/library/scratch@sha256:", (string?)status["containerStatuses"]![0]!["imageID"], StringComparison.Ordinal);
        await Eventually.TrueAsync(async () => (await rig.LogAsync("a", "main")).Contains("/dev/pts/0", StringComparison.Ordinal));
        Assert.Equal((0, "root\n"), await rig.ExecAsync("a", "main", "/busybox", "sh", "-c", "echo root"));
        var saw = "";
        Delete(rig, pod, 30);
        await Eventually.TrueAsync(async () =>
            (saw = await rig.LogAsync("a", "main") is { Length: > 0 } log ? log : saw).Length > 0 && rig.Api.Removed.Contains("a"));
        var ended = rig.Api.Statuses["a"]["containerStatuses"]![0]!["state"]!["terminated"];
        Assert.Equal(0, (int)ended!["exitCode"]!);
    }

    [Fact]
    public async Task A_hostile_image_cannot_lead_mounts_out_of_its_root()
    {
        await using var rig = NodeRig.Start();
        var outside = Path.Combine(rig.State, "outside");
        System.IO.Directory.CreateDirectory(outside);
        Load(rig, "bad:1", """{"Entrypoint": ["/tools/sleep", "1000"], "Env": ["PATH=/tools"], "WorkingDir": "/leads/out"}""",
            Link("dev", outside), Link("proc", outside), Link("sys", $"../../../../../../..{outside}"), Link("leads", outside), Link("var", outside),
            TestImage.File("mnt", "a file"));
        rig.Apply(Pod("a", "bad:1", "volumeMounts: [{name: v, mountPath: /var/deep}]", "volumes: [{name: v, emptyDir: {}}]"));
        await rig.ReadyAsync("a");
        Assert.Equal(0, (await rig.ExecAsync("a", "main", "touch", "/var/deep/x", "/dev/null")).Code);
        Assert.Empty(System.IO.Directory.EnumerateFileSystemEntries(outside));
        // A volume where the image has a file cannot be mounted; the Pod says so.
        rig.Apply(Pod("b", "bad:1", "volumeMounts: [{name: v, mountPath: /mnt/x}]", "volumes: [{name: v, emptyDir: {}}]"));
        await EventAsync(rig,
            one => (string?)one["involvedObject"]?["name"] == "b" && ((string?)one["message"] ?? "").Contains("/mnt", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_pull_policy_decides_about_an_image_that_is_not_loaded()
    {
        await using var rig = NodeRig.Start();
        rig.Apply(Pod("never", "later:1", "imagePullPolicy: Never"));
        rig.Apply(Pod("absent", "later:1", "imagePullPolicy: IfNotPresent"));
        var status = await rig.StatusAsync("never", one => one["containerStatuses"]?[0]?["state"]?["waiting"]?["reason"]?.ToString() == "ErrImageNeverPull");
        Assert.Contains("is not present with pull policy of Never", (string?)status["containerStatuses"]![0]!["state"]!["waiting"]!["message"],
            StringComparison.Ordinal);
        status = await rig.StatusAsync("absent",
            one => one["containerStatuses"]?[0]?["state"]?["waiting"]?["reason"]?.ToString() is "ErrImagePull" or "ImagePullBackOff");
        Assert.Contains("isthmus lab image load", (string?)status["containerStatuses"]![0]!["state"]!["waiting"]!["message"], StringComparison.Ordinal);
        await EventAsync(rig, one => ((string?)one["message"] ?? "").Contains("Load it with 'isthmus lab image load FILE.tar'", StringComparison.Ordinal));
        Load(rig, "later:1", """{"Entrypoint": ["/tools/sleep", "1000"]}""");
        await rig.ReadyAsync("never");
        await rig.ReadyAsync("absent");
    }

    [Fact]
    public async Task Where_the_kernel_allows_no_more_layers_a_container_gets_a_copy()
    {
        await using var rig = NodeRig.Start();
        Load(rig, "tiny:1", """{"Entrypoint": ["/tools/sleep", "1000"], "Env": ["PATH=/tools"]}""", TestImage.File("data", "image"));
        var images = Path.Combine(rig.State, "images");
        // The kernel stacks two such file systems, and not a third.
        for (var i = 0; i < 2; i++) Overlay(images, Path.Combine(rig.State, $"stack{i}"));
        try
        {
            rig.Apply(Pod("a", "tiny:1"));
            await rig.ReadyAsync("a");
            Assert.Equal((0, "image"), await rig.ExecAsync("a", "main", "cat", "/data"));
            Assert.Equal((0, ""), await rig.ExecAsync("a", "main", "touch", "/data", "/new"));
            Assert.Contains("/ - tmpfs",
                (await rig.ExecAsync("a", "main", "sh", "-c",
                    "cat /proc/1/mountinfo | while read a b c d e f; do [ $e != / ] || echo \"$e ${f#* }\"; done")).Output,
                StringComparison.Ordinal);
        }
        finally
        {
            rig.Pods.Remove("uid-a");
            foreach (var mounted in (string[])[images, images, Path.Combine(rig.State, "stack0"), Path.Combine(rig.State, "stack1")])
                Mounts.TryUnmount(mounted);
        }
    }

    [Fact]
    public void A_disk_without_space_is_told_and_nothing_is_left()
    {
        if (Environment.GetEnvironmentVariable("ISTHMUS_TEST_NAMESPACE") != "1") Assert.Skip("needs namespaces of its own: see NodeRig");
        var disk = System.IO.Directory.CreateTempSubdirectory("isthmus-full-").FullName;
        try
        {
            Mounts.Tmpfs(disk, "size=1m");
            new TestImage { Names = ["large:1"], Layers = [Layer(TestImage.File("x", new byte[2 << 20], 0b110_100_100))] }.WriteDocker(disk + ".tar");
            var images = new UnpackedImages(Path.Combine(disk, "images"));
            var told = Assert.Throws<ProblemException>(() => new ImageLoad(images).Run(disk + ".tar", null, TestContext.Current.CancellationToken));
            Assert.Contains($"does not fit on the disk of {disk}/images", told.Message, StringComparison.Ordinal);
            Assert.Empty(System.IO.Directory.EnumerateDirectories(Path.Combine(disk, "images")));
        }
        finally
        {
            Mounts.TryUnmount(disk);
            System.IO.Directory.Delete(disk);
            System.IO.File.Delete(disk + ".tar");
        }
    }

    private static void Overlay(string directory, string work)
    {
        System.IO.Directory.CreateDirectory(work);
        Mounts.Tmpfs(work);
        foreach (var name in (string[])["upper", "work"]) System.IO.Directory.CreateDirectory(Path.Combine(work, name));
        Mounts.Mount("overlay", directory, "overlay", 0, $"lowerdir={directory},upperdir={work}/upper,workdir={work}/work,userxattr");
    }

    private static UnpackedImage Load(NodeRig rig, string name, string config, params System.Formats.Tar.PaxTarEntry[] more)
    {
        System.Formats.Tar.PaxTarEntry[] tools = [TestImage.File("tools/busybox", BusyBox(), 0b111_101_101),
            .. Words.Select(word => Link($"tools/{word}", "busybox"))];
        new TestImage
        {
            Names = [name], Config = config,
            Layers = [Layer([.. tools, TestImage.File("etc/passwd", "root:x:0:0::/root:/\nweb:x:33:33::/srv:/\n"),
                TestImage.File("etc/group", "web:x:33:\nmore:x:44:web\n")]),
                Layer(more)],
        }.WriteDocker(Archive(rig));
        return Assert.Single(new ImageLoad(rig.Images).Run(Archive(rig), null, TestContext.Current.CancellationToken));
    }

    private static string Archive(NodeRig rig) => Path.Combine(rig.State, "image.tar");

    /// <summary><c>./test</c> unpacks the package busybox-static there.</summary>
    internal static byte[] BusyBox() => System.IO.File.ReadAllBytes(Path.Combine(BuiltProgram.Artifacts, "busybox/bin/busybox"));

    private static string Pod(string name, string image, string more = "", string spec = "") => $$"""
        metadata: {name: {{name}}}
        spec:
          terminationGracePeriodSeconds: 2
          serviceAccountName: default
          {{spec}}
          containers:
          - name: main
            image: {{image}}
            {{more}}
        """;
}

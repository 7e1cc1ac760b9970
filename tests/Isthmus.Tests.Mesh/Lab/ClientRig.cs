using System.Diagnostics;
using Xunit;

namespace Isthmus.Tests.Mesh.Lab;

/// <summary>A lab of one cluster for clients that nobody here wrote, and their kubeconfig with a loopback address.</summary>
public sealed class ClientRig : IAsyncLifetime
{
    private const string Pods = """
        apiVersion: v1
        kind: Pod
        metadata: {name: web}
        spec:
          terminationGracePeriodSeconds: 0
          containers:
          - {name: web, image: host.lab.internal/rootfs, command: [python3, -m, http.server, "8080", --directory, /usr/share/common-licenses]}
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: talk}
        spec:
          terminationGracePeriodSeconds: 0
          containers:
          - {name: talk, image: host.lab.internal/rootfs, stdin: true, command: [sh, -c, "while read line; do echo heard $line; done; sleep 3600"]}
        """;

    private LabRig? _lab;

    internal LabRig Lab => _lab!;

    /// <summary>The kubeconfig that <c>isthmus lab kubeconfig --loopback</c> wrote.</summary>
    internal string Loopback => Path.Combine(Path.GetDirectoryName(Lab.Kubeconfig)!, "loopback");

    public async ValueTask InitializeAsync()
    {
        _lab = await LabRig.CreateAsync();
        (await Lab.IsthmusAsync("lab", "up", "--clusters", "1")).Expect(0);
        (await Lab.IsthmusAsync("lab", "kubeconfig", "--loopback", "--kubeconfig", Loopback)).Expect(0);
        await ApplyAsync(Pods);
        (await Lab.KubectlAsync("wait", "--for=condition=Ready", "pod/web", "pod/talk", "--timeout=60s")).Expect(0);
    }

    internal async Task ApplyAsync(string yaml)
    {
        var file = Path.Combine(Path.GetDirectoryName(Lab.Kubeconfig)!, "objects.yaml");
        await File.WriteAllTextAsync(file, yaml, TestContext.Current.CancellationToken);
        (await Lab.KubectlAsync("apply", "-f", file)).Expect(0);
        File.Delete(file);
    }

    /// <summary>Runs a client outside of the lab, where its user runs it.</summary>
    internal static async Task<string> RunAsync(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        return await EndAsync(process);
    }

    /// <summary>Starts a program of Node.js, with the packages that <c>./test</c> installs.</summary>
    internal Process BeginNode(string script, params string[] arguments)
    {
        var directory = Path.Combine(BuiltProgram.Artifacts, "npm");
        Assert.True(Directory.Exists(directory), $"{directory} is missing: run ./test, which installs it");
        var start = new ProcessStartInfo("node", ["--input-type=module", "--eval", script, "--", .. arguments])
        {
            RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = directory, Environment = { ["KUBECONFIG"] = Loopback },
        };
        return Process.Start(start)!;
    }

    /// <summary>The rest of a client's output.</summary>
    internal static async Task<string> EndAsync(Process process)
    {
        var errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        var output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(process.ExitCode == 0, output + await errors);
        return output;
    }

    public async ValueTask DisposeAsync()
    {
        if (_lab is not null) await _lab.DisposeAsync();
    }
}

using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Text.Json;
using Isthmus.Tests.Mesh.Faults;
using Isthmus.Tests.Mesh.Lab;
using Isthmus.Tests.Mesh.Meshes;
using Xunit;

namespace Isthmus.Tests.Mesh.WebConsole;

/// <summary><c>isthmus console</c> in a browser: each page, two faults that appear while it is open, keyboard, accessibility, both screens
/// and themes. With <c>./test --accept ConsoleTests</c> it writes the pictures of <c>docs/console.md</c>.</summary>
[Collection(nameof(SharedMesh))]
[Trait("shard", nameof(SharedMesh))]
public sealed class ConsoleTests(MeshRig mesh) : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-browser-").FullName;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Each_page_shows_the_mesh_in_a_browser_and_faults_appear_by_themselves()
    {
        var lab = await mesh.LabAsync();
        await new FaultRig(mesh, lab).AgreesAsync();
        await using var load = new SteadyLoad(lab);
        foreach (var cluster in MeshRig.Clusters) await load.UntilHeardAsync(cluster, TimeSpan.Zero, "v1", "v2");
        using var console = lab.Begin("console", "--browser=false");
        try
        {
            var address = "";
            while (!address.Contains("#token=", StringComparison.Ordinal))
                address = (await console.StandardOutput.ReadLineAsync(Stop)
                    ?? throw new InvalidOperationException(await console.StandardError.ReadToEndAsync(Stop)))
                    .Trim();
            MeshRig.Note(await BrowseAsync(address, lab));
            MeshRig.Note($"memory of the server: {Memory(console.Id)}");
        }
        finally
        {
            console.Kill(entireProcessTree: true);
            await console.WaitForExitAsync(CancellationToken.None);
        }
        await load.FinishAsync(0);
    }

    /// <summary>The console as a Deployment: who has no token sees nothing, a viewer of one namespace sees that, and a viewer of everything the mesh.</summary>
    [Fact]
    public async Task In_a_cluster_viewers_log_in_and_see_what_their_tokens_may_read()
    {
        var lab = await mesh.LabAsync();
        const string operation =
            "{apiVersion: install.istio.io/v1alpha1, kind: IstioOperator, metadata: {name: console}, spec: {profile: empty, values: {console: {enabled: true}, "
                + "global: {multiCluster: {clusterName: cluster1}}}}}";
        var viewer = $"viewer-{RandomNumberGenerator.GetHexString(6, lowercase: true)}";
        await mesh.WithFileAsync(operation, async file =>
        {
            (await lab.IsthmusAsync("install", "--context=cluster1", "-y", "-f", file)).Expect(0);
            try
            {
                var account = await mesh.KubectlAsync("cluster1",
                    "-n istio-system get deployment isthmus-console -o "
                        + "jsonpath={.spec.template.spec.serviceAccountName}={.spec.template.spec.automountServiceAccountToken}");
                Assert.Equal("isthmus-console=false", account.Trim());
                Assert.Equal("no",
                    (await lab.KubectlAsync("--context=cluster1", "auth", "can-i", "list", "pods", "-A",
                        "--as=system:serviceaccount:istio-system:isthmus-console")).Output.Trim());
                foreach (var (name,
                    bind) in ((string, string)[])[($"{viewer}-one", "-n sample create rolebinding {0} --clusterrole=view --serviceaccount=sample:{0}"),
                    ($"{viewer}-all", "create clusterrolebinding {0} --clusterrole=cluster-admin --serviceaccount=sample:{0}")])
                {
                    await mesh.KubectlAsync("cluster1", $"-n sample create serviceaccount {name}");
                    await mesh.KubectlAsync("cluster1", string.Format(CultureInfo.InvariantCulture, bind, name));
                }
                string[] tokens = [(await mesh.KubectlAsync("cluster1", $"-n sample create token {viewer}-one")).Trim(),
                    (await mesh.KubectlAsync("cluster1", $"-n sample create token {viewer}-all")).Trim()];
                using var forward = lab.Begin("dashboard", "console", "--context=cluster1", "--browser=false", "--port=0");
                try
                {
                    var address = await forward.StandardOutput.ReadLineAsync(Stop)
                        ?? throw new InvalidOperationException(await forward.StandardError.ReadToEndAsync(Stop));
                    MeshRig.Note(await BrowseAsync(address, lab, tokens));
                    // Ctrl-C ends it, with an open page.
                    using var interrupt = Process.Start("kill", ["-INT", forward.Id.ToString(CultureInfo.InvariantCulture)]);
                    await forward.WaitForExitAsync(Stop);
                    Assert.Equal(0, forward.ExitCode);
                }
                finally
                {
                    if (!forward.HasExited) forward.Kill(entireProcessTree: true);
                }
            }
            finally
            {
                await lab.KubectlAsync("--context=cluster1", "-n", "sample", "delete", "serviceaccount", $"{viewer}-one", $"{viewer}-all");
                await lab.KubectlAsync("--context=cluster1", "-n", "sample", "delete", "rolebinding", $"{viewer}-one");
                await lab.KubectlAsync("--context=cluster1", "delete", "clusterrolebinding", $"{viewer}-all");
                (await lab.IsthmusAsync("uninstall", "--context=cluster1", "-y", "-f", file)).Expect(0);
            }
            Assert.Equal("",
                (await mesh.KubectlAsync("cluster1", "-n istio-system get deployments,serviceaccounts,services -l app=isthmus-console -o name")).Trim());
        });
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private async Task<string> BrowseAsync(string address, LabRig lab, params string[] tokens)
    {
        var artifacts = BuiltProgram.Artifacts;
        var browser = Path.Combine(artifacts, "browser");
        // Libraries and fonts that ./test unpacked because this machine lacks them.
        var libraries = Directory.GetDirectories(Path.Combine(browser, "usr/lib"), "*-linux-gnu")
            .SelectMany(folder => (string[])[folder, Path.Combine(folder, "pulseaudio")]);
        var fonts = Path.Combine(_directory, "fonts.conf");
        await File.WriteAllTextAsync(fonts,
            $"""<fontconfig><include ignore_missing="yes">/etc/fonts/fonts.conf</include><dir>{browser}/usr/share/fonts</dir><cachedir>{_directory}</cachedir></fontconfig>""",
            Stop);
        var settings = JsonSerializer.Serialize(new Dictionary<string, string>
        {
            ["address"] = address,
            ["program"] = Path.Combine(browser, "usr/lib/chromium/chromium-headless-shell"),
            ["libraries"] = string.Join(':', libraries),
            ["fonts"] = fonts,
            ["packages"] = Path.Combine(artifacts, "npm/"),
            ["pictures"] = Environment.GetEnvironmentVariable("ISTHMUS_ACCEPT") == "1" ? Path.GetFullPath(Path.Combine(Folder(), "../../../docs/images")) : "",
            ["tokens"] = string.Join(' ', tokens),
            ["service"] = $"s{RandomNumberGenerator.GetHexString(8, lowercase: true)}",
        });
        var start = new ProcessStartInfo("node",
            [Path.Combine(Folder(), "ConsoleTests.mjs"), settings]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["KUBECONFIG"] = lab.Kubeconfig;
        start.Environment["HOME"] = _directory;
        using var node = Process.Start(start)!;
        var (output, errors) = (node.StandardOutput.ReadToEndAsync(Stop), node.StandardError.ReadToEndAsync(Stop));
        await node.WaitForExitAsync(Stop);
        Assert.True(node.ExitCode == 0, $"{await output}{await errors}");
        return await output;
    }

    private static string Memory(int process)
    {
        var sizes = File.ReadLines($"/proc/{process}/smaps_rollup").Where(line => line.StartsWith("Pss:", StringComparison.Ordinal));
        return $"{sizes.Sum(line => long.Parse(line[4..^2], CultureInfo.InvariantCulture)) / 1024} MiB";
    }

    private static string Folder([CallerFilePath] string path = "") => Path.GetDirectoryName(path)!;
}

using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Text.Json;
using Isthmus.Tests.Mesh.Lab;
using Xunit;

namespace Isthmus.Tests.Mesh.Mesh;

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
            while (!address.Contains("#token=", StringComparison.Ordinal)) address = (await console.StandardOutput.ReadLineAsync(Stop) ?? throw new InvalidOperationException(await console.StandardError.ReadToEndAsync(Stop))).Trim();
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

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private async Task<string> BrowseAsync(string address, LabRig lab)
    {
        var artifacts = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(LabRig.FindProgram())!, "../../.."));
        var browser = Path.Combine(artifacts, "browser");
        // Libraries and fonts that ./test unpacked because this machine lacks them.
        var libraries = Directory.GetDirectories(Path.Combine(browser, "usr/lib"), "*-linux-gnu").SelectMany(folder => (string[])[folder, Path.Combine(folder, "pulseaudio")]);
        var fonts = Path.Combine(_directory, "fonts.conf");
        await File.WriteAllTextAsync(fonts, $"""<fontconfig><include ignore_missing="yes">/etc/fonts/fonts.conf</include><dir>{browser}/usr/share/fonts</dir><cachedir>{_directory}</cachedir></fontconfig>""", Stop);
        var settings = JsonSerializer.Serialize(new Dictionary<string, string>
        {
            ["address"] = address,
            ["program"] = Path.Combine(browser, "usr/lib/chromium/chromium-headless-shell"),
            ["libraries"] = string.Join(':', libraries),
            ["fonts"] = fonts,
            ["packages"] = Path.Combine(artifacts, "npm/"),
            ["pictures"] = Environment.GetEnvironmentVariable("ISTHMUS_ACCEPT") == "1" ? Path.GetFullPath(Path.Combine(Folder(), "../../../docs/images")) : "",
            ["service"] = $"s{RandomNumberGenerator.GetHexString(8, lowercase: true)}",
        });
        var start = new ProcessStartInfo("node", [Path.Combine(Folder(), "ConsoleTests.mjs"), settings]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["KUBECONFIG"] = lab.Kubeconfig;
        start.Environment["HOME"] = _directory;
        using var node = Process.Start(start)!;
        var (output, errors) = (node.StandardOutput.ReadToEndAsync(Stop), node.StandardError.ReadToEndAsync(Stop));
        await node.WaitForExitAsync(Stop);
        Assert.True(node.ExitCode == 0, $"{await output}{await errors}");
        return await output;
    }

    private static string Memory(int process) => $"{File.ReadLines($"/proc/{process}/smaps_rollup").Where(line => line.StartsWith("Pss:", StringComparison.Ordinal)).Sum(line => long.Parse(line[4..^2], CultureInfo.InvariantCulture)) / 1024} MiB";

    private static string Folder([CallerFilePath] string path = "") => Path.GetDirectoryName(path)!;
}

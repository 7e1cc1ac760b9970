using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;
using Isthmus.Lab.Supervisor;
using Isthmus.Tests.Mesh.Lab;
using Xunit;

namespace Isthmus.Tests.Mesh.Guides;

/// <summary>A folder that looks like the repository, and a lab of its own, for commands as users type them.</summary>
internal sealed class GuideShell : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(15);
    private static readonly string? Contexts = Environment.GetEnvironmentVariable("ISTHMUS_TEST_CONTEXTS");
    private readonly string _folder = Directory.CreateTempSubdirectory("isthmus-guide-").FullName;
    private GuideClusters? _clusters;
    private GuideClusters? _sharedLab;
    private int _typed;

    private readonly LabRig? _lab;

    /// <param name="lab">The lab of others; null: one of its own.</param>
    private GuideShell(LabRig? lab = null)
    {
        _lab = lab;
        foreach (var name in (string[])["samples", "tools", "manifests", "bin"])
            Directory.CreateSymbolicLink(Path.Combine(_folder, name), Path.Combine(Root(), name));
    }

    private string Kubeconfig => _lab?.Kubeconfig ?? Path.Combine(_folder, ".kubeconfig");

    /// <summary>The folder of the pages.</summary>
    internal static string Pages => Path.Combine(Root(), "docs", "guides");

    /// <summary>The folder of the pages about single tasks.</summary>
    internal static string Tasks => Path.Combine(Root(), "docs", "tasks");

    /// <summary>For pages that need a mesh which exists already, and leave it as it was.</summary>
    internal static GuideShell In(LabRig lab) => new(lab);

    internal static async Task<GuideShell> CreateAsync()
    {
        if (Contexts is not null)
        {
            var shell = new GuideShell();
            shell._clusters = await GuideClusters.ConnectAsync(Contexts, shell.Kubeconfig);
            return shell;
        }
        try { await Preflight.RunAsync(TestContext.Current.CancellationToken); }
        catch (Core.Problems.ProblemException e) { Assert.Skip(e.Message); }
        return new();
    }

    /// <summary>Removes the files that a guide made: certificates, install files, mesh files.</summary>
    internal void RemoveFiles()
    {
        foreach (var made in new DirectoryInfo(_folder).GetFileSystemInfos().Where(entry => entry.LinkTarget is null && !entry.Name.StartsWith('.')))
        {
            if (made is DirectoryInfo directory) directory.Delete(recursive: true);
            else made.Delete();
        }
    }

    /// <summary>The output of a command and its exit status.</summary>
    internal async Task<(int Code, string Output)> RunAsync(string command)
    {
        var file = Path.Combine(_folder, ".said");
        var code = await BashAsync($"{{ PATH=$PWD/bin:$PATH; {command}\n}} >.said 2>&1", Patience);
        return (code, await File.ReadAllTextAsync(file));
    }

    internal Task WriteAsync(string file, string text) => File.WriteAllTextAsync(Path.Combine(_folder, file), text);

    /// <summary>Starts the lab of a page before the page does, for several pages.</summary>
    internal async Task StartLabAsync(IReadOnlyList<GuideBlock> page)
    {
        var up = page[0].Script.Split('\n').Single(line => line.StartsWith("isthmus lab up ", StringComparison.Ordinal));
        var (code, output) = await RunAsync(up);
        Assert.True(code == 0, output);
        _sharedLab = await GuideClusters.OfLabAsync(Kubeconfig);
    }

    /// <summary>
    /// Checks that the clusters have no object that they did not have before. If a guide removed its lab, nothing is left of the clusters.
    /// </summary>
    internal async Task CheckNothingIsLeftAsync()
    {
        if ((_clusters ?? _sharedLab) is { } clusters) await clusters.CheckAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (_lab is null && _clusters is null) await BashAsync("bin/isthmus lab down", TimeSpan.FromSeconds(60));
        else if (_clusters is not null && await _clusters.NewAsync() is { Count: > 0 } left) await BashAsync(GuideClusters.CleanUp(left), Patience);
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>Types blocks into one shell. Each is typed when the one before it has said what its page promises.</summary>
    internal async Task TypeAsync(IReadOnlyList<GuideBlock> blocks)
    {
        if (_clusters is not null) blocks = [.. blocks.Select(GuideClusters.WithoutLab)];
        // One shell can run several pages.
        var first = _typed;
        _typed += blocks.Count;
        var script = new StringBuilder("set -e -o pipefail\n");
        // The variables that the first block exports are lost with its shell.
        if (first > 0) script.Append("PATH=$PWD/bin:$PATH\n");
        for (var i = first; i < _typed; i++)
        {
            await File.WriteAllTextAsync(InFolder($".block{i}"), blocks[i - first].Script);
            script.Append($"exec >.output{i} 2>&1; . ./.block{i}; touch .done{i}; until [ -e .go{i} ]; do sleep 0.1; done\n");
        }
        await File.WriteAllTextAsync(InFolder(".all"), script.ToString());
        using var end = new CancellationTokenSource();
        var shell = BashAsync(". ./.all", Patience, end.Token);
        try
        {
            for (var i = first; i < _typed; i++)
            {
                while (!shell.IsCompleted && !File.Exists(InFolder($".done{i}"))) await Task.WhenAny(shell, Task.Delay(TimeSpan.FromMilliseconds(50)));
                if (await WrongAsync(blocks[i - first], i) is { } wrong) Assert.Fail(wrong + "\n" + await MeshesAsync());
                await File.WriteAllTextAsync(InFolder($".go{i}"), "");
            }
        }
        finally
        {
            if (!File.Exists(InFolder($".go{_typed - 1}"))) await end.CancelAsync();
            await shell;
        }
    }

    private string InFolder(string file) => Path.Combine(_folder, file);

    /// <summary>What is wrong with a block that was typed; null: nothing.</summary>
    private async Task<string?> WrongAsync(GuideBlock block, int number)
    {
        var output = File.Exists(InFolder($".output{number}")) ? await File.ReadAllTextAsync(InFolder($".output{number}")) : "";
        var where = $"{block.Page}:{block.Line}";
        if (!File.Exists(InFolder($".done{number}"))) return $"{where} failed:\n{block.Script}\nIt said:\n{output}";
        var lines = output.Split('\n').Select(line => line.TrimEnd()).ToList();
        foreach (var expected in block.Expected.Where(line => line.Length > 0))
        {
            var pattern = new Regex("^" + Regex.Escape(expected).Replace("…", ".*", StringComparison.Ordinal) + "$");
            if (!lines.Exists(line => pattern.IsMatch(line))) return $"{where}: no line '{expected}' in the output of\n{block.Script}\nIt said:\n{output}";
        }
        return null;
    }

    /// <summary>What stands in the clusters when a page fails: it goes with the lab.</summary>
    private async Task<string> MeshesAsync()
    {
        const string Ask = """
            for C in $(kubectl config get-contexts -o name); do
              echo "== $C"
              kubectl --context=$C get nodes,pods,services,endpointslices -A -o wide
              isthmus remote-clusters --context=$C
              isthmus proxy-status --context=$C
              isthmus proxy-config endpoints deployment/sleep.sample --context=$C
              kubectl --context=$C -n istio-system logs deployment/istiod --tail=80
            done
            isthmus verify --contexts "$(kubectl config get-contexts -o name | paste -sd,)"
            """;
        return (await RunAsync(Ask)).Output;
    }

    private async Task<int> BashAsync(string script, TimeSpan patience, CancellationToken stop = default)
    {
        var start = new ProcessStartInfo("bash", ["-c", script]) { WorkingDirectory = _folder, RedirectStandardInput = true };
        start.Environment["ISTHMUS_LAB_HOME"] = _lab?.Home.Directory ?? Path.Combine(_folder, ".lab");
        // Keys of 4096 bits take seconds of CPU each; the guides' Makefile takes the size from the environment.
        foreach (var size in (string[])["ROOTCA_KEYSZ", "INTERMEDIATE_KEYSZ"]) start.Environment[size] = "2048";
        start.Environment["KUBECONFIG"] = Kubeconfig;
        // Clusters of labs that came and went had the same addresses, by which kubectl keeps what a cluster serves.
        start.Environment["KUBECACHEDIR"] = Path.Combine(_folder, ".kubectl");
        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(patience);
        try
        {
            await process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync(CancellationToken.None);
        }
        return process.ExitCode;
    }

    private static string Root()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Isthmus.slnx"))) folder = folder.Parent;
        return folder?.FullName ?? throw new InvalidOperationException("the tests run outside of the repository");
    }
}

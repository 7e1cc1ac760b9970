using System.Diagnostics;
using System.Text.RegularExpressions;

namespace Isthmus.Bench.Proxies;

/// <summary>
/// The files, ports and processes of a bench. Each contender has one worker on the first core. This process, the loads and the servers have
/// the others, which <c>bench/run</c> arranges.
/// </summary>
/// <param name="root">The repository.</param>
internal sealed partial class ProxyRig(string root) : IAsyncDisposable
{
    /// <summary>The workers of each contender.</summary>
    internal const int Workers = 1;

    private const string ContenderCore = "0";

    private readonly string _folder = Directory.CreateTempSubdirectory("isthmus-bench-").FullName;
    private readonly List<Contender> _started = [];
    private readonly HashSet<string> _described = [];
    private Credentials? _credentials;
    private int _nextPort = 18000;

    /// <summary>The program that the repository builds.</summary>
    internal string Program { get; } = ProgramOf(root);

    /// <summary>The program of the benches.</summary>
    internal string Bench { get; } = Path.Combine(root, "artifacts/bin/Isthmus.Bench/release/Isthmus.Bench.dll");

    internal static string ProgramOf(string tree) => Path.Combine(tree, "artifacts/bin/isthmus/release/isthmus.dll");

    /// <summary>The native executable of <c>tools/native</c>, which needs no <c>dotnet</c>.</summary>
    internal static string NativeOf(string tree) => Path.Combine(tree, "artifacts/native/isthmus");

    internal Credentials Credentials => _credentials ??= new(File("credentials"));

    internal int NextPort() => _nextPort++;

    internal string File(string name) => Path.Combine(_folder, name);

    /// <summary>Starts a program under measurement.</summary>
    internal Task<Contender> StartContenderAsync(ContenderStart how) => AddAsync(how with { Cores = ContenderCore });

    /// <summary>Starts a program beside those under measurement.</summary>
    internal Task<Contender> StartServerAsync(ContenderStart how) => AddAsync(how);

    /// <summary>Prints the version and the settings of a program, once.</summary>
    internal async Task DescribeAsync(string program, string versionFlag, string settings)
    {
        if (!_described.Add(program)) return;
        using var process = Process.Start(new ProcessStartInfo(program, [versionFlag]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var error = process.StandardError.ReadToEndAsync();
        var version = Version().Match(await process.StandardOutput.ReadToEndAsync() + await error);
        await process.WaitForExitAsync();
        Console.WriteLine($"  {Path.GetFileName(program)} {version.Value}: {settings}");
    }

    /// <summary>Ends one of the programs before the end of the bench.</summary>
    internal async Task StopAsync(Contender contender)
    {
        _started.Remove(contender);
        await contender.DisposeAsync();
    }

    /// <summary>The same, but the program ends by itself.</summary>
    internal async Task EndAsync(Contender contender)
    {
        await contender.EndAsync();
        await StopAsync(contender);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var contender in _started) await contender.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private async Task<Contender> AddAsync(ContenderStart how)
    {
        var contender = await Contender.StartAsync(how, File($"{how.Name}.out"));
        _started.Add(contender);
        return contender;
    }

    [GeneratedRegex(@"\d+\.\d+[\w.+-]*")]
    private static partial Regex Version();
}

using System.Diagnostics;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Lab.Machine.Linux;

namespace Isthmus.Lab.Supervisor;

/// <summary>A program of the machine.</summary>
/// <param name="Package">The Debian package that contains it.</param>
/// <param name="Needed">False when the lab runs without it, but users may need it.</param>
public sealed record RequiredProgram(string Name, string Package, bool Needed, string Purpose);

/// <summary>The programs that the lab and its guides use.</summary>
public static class Programs
{
    private const string Sqlite = "libsqlite3.so.0";

    public static readonly ValueList<RequiredProgram> All =
    [
        new("nft", "nftables", true, "packet filter rules"),
        new("conntrack", "conntrack", true, "UDP flows of Services"),
        new("unshare", "util-linux", true, "namespaces"),
        new("nsenter", "util-linux", true, "namespaces"),
        new("setpriv", "util-linux", true, "users of containers"),
        new(Sqlite, "libsqlite3-0", true, "the API servers' storage"),
        new("ip", "iproute2", false, "to inspect networks"),
        new("kubectl", "kubernetes-client", false, "to talk to clusters"),
        new("curl", "curl", false, "to call services in clusters"),
        new("make", "make", false, "the certificate guide"),
        new("openssl", "openssl", false, "the certificate guide"),
    ];

    /// <summary>Only without root: provides a range of user IDs for containers.</summary>
    public static readonly RequiredProgram UidMap = new("newuidmap", "uidmap", false, "more than one user ID in containers");

    /// <summary>PATH, extended by the directories that ordinary users do not have in it.</summary>
    public static string SearchPath(string? path) => $"{path}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin";

    public static ValueList<RequiredProgram> Missing(bool isRoot) =>
        (isRoot ? All : [.. All, UidMap]).Where(program => !Exists(program.Name)).ToValueList();

    /// <summary>The exact command that installs them on Debian and derived distributions.</summary>
    public static string InstallCommand(IEnumerable<RequiredProgram> missing) =>
        $"apt-get install --no-install-recommends {string.Join(' ', missing.Select(program => program.Package).Distinct())}";

    /// <summary>Installs missing programs if possible. Reports missing optional ones to <paramref name="say"/>.</summary>
    /// <param name="ask">Asks a yes-or-no question; null when nobody can answer, or the answer was given
    /// beforehand.</param>
    /// <exception cref="ProblemException">A required program is still missing.</exception>
    public static async Task EnsureAsync(Func<string, CancellationToken, Task<bool>>? ask, Action<string> say, CancellationToken stop)
    {
        var isRoot = ProcessImage.IsRoot;
        var missing = Missing(isRoot);
        if (missing.IsEmpty) return;
        var names = string.Join(", ", missing.Select(program => program.Name));
        if (isRoot && Exists("apt-get"))
        {
            if (ask is not null && !await ask($"Missing on this machine: {names}. Install with '{InstallCommand(missing)}'?", stop))
            {
                throw new ProblemException("programs", $"missing: {names}; nothing was installed", $"run: {InstallCommand(missing)}");
            }
            say($"installing {string.Join(' ', missing.Select(program => program.Package).Distinct())}");
            await InstallAsync(missing, stop);
            missing = Missing(isRoot);
        }
        var command = isRoot ? InstallCommand(missing) : $"sudo {InstallCommand(missing)}";
        if (missing.Where(program => program.Needed).ToList() is { Count: > 0 } needed)
        {
            throw new ProblemException("programs", $"missing: {string.Join(", ", needed.Select(program => $"{program.Name} ({program.Purpose})"))}",
                $"run: {command} (or install the same packages of your distribution)");
        }
        foreach (var program in missing) say($"not found: {program.Name}, for {program.Purpose} (run: {command})");
    }

    private static async Task InstallAsync(ValueList<RequiredProgram> missing, CancellationToken stop)
    {
        string[] packages = [.. missing.Select(program => program.Package).Distinct()];
        var (code, words) = await AptAsync(["install", "-y", "--no-install-recommends", .. packages], stop);
        if (code == 0) return;
        // The package lists may be outdated or, on a fresh machine, missing.
        await AptAsync(["update"], stop);
        (code, words) = await AptAsync(["install", "-y", "--no-install-recommends", .. packages], stop);
        if (code != 0)
        {
            var last = string.Join(' ', words.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).TakeLast(2));
            throw new ProblemException("apt-get", $"could not install {string.Join(' ', packages)}: {last}",
                $"install them yourself: {InstallCommand(missing)}");
        }
    }

    private static async Task<(int Code, string Words)> AptAsync(string[] arguments, CancellationToken stop)
    {
        var start = new ProcessStartInfo("apt-get", arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["DEBIAN_FRONTEND"] = "noninteractive";
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync(stop);
        var errors = await process.StandardError.ReadToEndAsync(stop);
        await output;
        await process.WaitForExitAsync(stop);
        return (process.ExitCode, errors);
    }

    private static bool Exists(string name) => name == Sqlite
        ? LibraryDirectories().Any(directory => File.Exists(Path.Combine(directory, name)))
        : SearchPath(Environment.GetEnvironmentVariable("PATH")).Split(':', StringSplitOptions.RemoveEmptyEntries)
            .Any(directory => File.Exists(Path.Combine(directory, name)));

    private static IEnumerable<string> LibraryDirectories()
    {
        string[] roots = ["/lib", "/usr/lib", "/usr/local/lib", "/lib64", "/usr/lib64"];
        return roots.Concat(roots.Where(Directory.Exists).SelectMany(root => Directory.EnumerateDirectories(root, "*-linux-gnu*")));
    }
}

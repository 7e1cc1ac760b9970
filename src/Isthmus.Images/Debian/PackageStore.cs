using Isthmus.Core.Problems;
using Isthmus.Images.Tools;

namespace Isthmus.Images.Debian;

/// <summary>Where Debian packages come from.</summary>
/// <param name="Mirror">The address of a Debian mirror. Its security updates are at the same address with <c>-security</c>.</param>
/// <param name="Kept">A directory of package files: those that it has are used, others are added; empty for none.</param>
public sealed record PackageSource(string Mirror, string Kept)
{
    public const string DefaultMirror = "http://deb.debian.org/debian";
}

/// <summary>Gets the files of Debian packages by apt, which verifies them. Apt's state is private to the build, so it needs no root.</summary>
/// <param name="work">An existing directory for this build.</param>
internal sealed class PackageStore(PackageSource source, string architecture, string work)
{
    internal const string Release = "trixie";
    internal const string ReleaseNumber = "13";
    private const string Keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
    private const string Remedy = "run the command on Debian or Ubuntu, or in a container of them";

    /// <summary>The files of the packages, in the order of the names.</summary>
    internal async Task<IReadOnlyList<string>> GetAsync(IReadOnlyList<string> names, CancellationToken stop)
    {
        var directory = source.Kept.Length > 0 ? Path.GetFullPath(source.Kept) : Path.Combine(work, "packages");
        Directory.CreateDirectory(directory);
        var missing = names.Where(name => Find(directory, name).Count == 0).ToList();
        if (missing.Count > 0) await DownloadAsync(missing, directory, stop);
        string[] files = [.. names.Select(name => Find(directory, name) switch
        {
            [var file] => file,
            [] => throw new ProblemException($"package {name}", $"apt downloaded no file for it to {directory}", "check the mirror (--mirror)"),
            var several => throw new ProblemException(
                $"--packages {source.Kept}", $"has {several.Count} versions of {name}: {string.Join(", ", several.Select(Path.GetFileName))}",
                "remove all but one"),
        })];
        RequireRelease(files);
        return files;
    }

    // Libraries of one release do not work with those of another. The version of base-files is that of the release.
    private void RequireRelease(IEnumerable<string> files)
    {
        var file = files.Select(Path.GetFileName).FirstOrDefault(name => name!.StartsWith("base-files_", StringComparison.Ordinal));
        if (file is null || file.Split('_')[1].Split('.', '+', '-')[0] == ReleaseNumber) return;
        throw new ProblemException(
            $"--packages {source.Kept}", $"{file} is not of Debian {ReleaseNumber} ({Release}), on which the image is built",
            "use an empty directory: the packages are added to it");
    }

    // The name of a file is NAME_VERSION_ARCHITECTURE.deb.
    private List<string> Find(string directory, string name) =>
        [.. new[] { architecture, "all" }.SelectMany(one => Directory.EnumerateFiles(directory, $"{name}_*_{one}.deb")).Order(StringComparer.Ordinal)];

    private async Task DownloadAsync(IReadOnlyList<string> names, string directory, CancellationToken stop)
    {
        if (!File.Exists(Keyring))
            throw new ProblemException(Keyring, "Debian's signing keys are missing, so no package can be verified",
                $"install the package debian-archive-keyring, with the keys of {Release}");
        var state = Path.Combine(work, "apt");
        foreach (var part in new[] { "lists/partial", "cache/archives/partial" }) Directory.CreateDirectory(Path.Combine(state, part));
        var mirror = source.Mirror.TrimEnd('/');
        await File.WriteAllLinesAsync(Path.Combine(state, "sources.list"),
        [
            $"deb [signed-by={Keyring}] {mirror} {Release} main",
            $"deb [signed-by={Keyring}] {mirror} {Release}-updates main",
            $"deb [signed-by={Keyring}] {mirror}-security {Release}-security main",
        ], stop);
        string[] options =
        [
            "-q", "-o", $"Dir::State::Lists={state}/lists", "-o", "Dir::State::status=/dev/null", "-o", $"Dir::Cache={state}/cache",
            "-o", $"Dir::Etc::SourceList={state}/sources.list", "-o", "Dir::Etc::SourceParts=/dev/null", "-o", $"APT::Architecture={architecture}",
            "-o", $"APT::Architectures={architecture}", "-o", "APT::Sandbox::User=", "-o", "Acquire::Languages=none", "-o", "Acquire::Retries=3",
            // Without it, a mirror that cannot be reached is only a warning.
            "-o", "APT::Update::Error-Mode=any",
        ];
        try
        {
            await Tool.RunAsync("apt-get", [.. options, "update"], null, Remedy, stop);
            await Tool.RunAsync("apt-get", [.. options, "download", .. names], directory, Remedy, stop);
        }
        catch (ProblemException e) when (e.InnerException is null)
        {
            throw new ProblemException($"Debian packages from {mirror}", e.Problem.Message,
                "check the mirror (--mirror), or use a directory that has the packages (--packages)", e);
        }
    }
}

using System.Diagnostics;
using System.Formats.Tar;
using System.IO.Compression;
using System.Reflection;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Scripts;

/// <summary><c>tools/release</c> in repositories of its own, with the parts that need no build. A long run makes all of a release.</summary>
public sealed class ReleaseToolTests : IAsyncLifetime
{
    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-release-").FullName;

    // That of Directory.Build.props, as in all projects.
    private static string Version
    {
        get;
    } = typeof(ReleaseToolTests).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0];

    private string Repo => Path.Combine(_directory, "a");

    private string Release => Path.Combine(Repo, "artifacts/release", Version);

    public async ValueTask InitializeAsync() => await CreateRepositoryAsync(Repo);

    public ValueTask DisposeAsync()
    {
        Directory.Delete(_directory, recursive: true);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task A_release_is_the_same_wherever_the_clone_is()
    {
        var other = Path.Combine(_directory, "b/longer path");
        await CreateRepositoryAsync(other);
        var first = await ToolAsync(Repo, Version, "--only", "charts");
        Assert.Equal((0, first.Output), (first.ExitCode, (await ToolAsync(other, Version, "--only", "charts")).Output));
        Assert.Equal(4, File.ReadAllLines(Path.Combine(Release, "SHA256SUMS")).Length);
        Assert.EndsWith($"release: {Release} is not signed; sign it with --key\n", first.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Charts_are_archives_as_helm_packages_them()
    {
        Assert.Equal(0, (await ToolAsync(Repo, Version, "--only", "charts")).ExitCode);
        foreach (var chart in (string[])["base", "istiod", "gateway", "cni"])
        {
            var packed = new SortedDictionary<string, string>(StringComparer.Ordinal);
            await using var file = File.OpenRead(Path.Combine(Release, $"{chart}-{Version}.tgz"));
            await using var gzip = new GZipStream(file, CompressionMode.Decompress);
            await using var tar = new TarReader(gzip);
            while (await tar.GetNextEntryAsync(copyData: true, TestContext.Current.CancellationToken) is { } entry)
            {
                Assert.Equal((TarEntryType.RegularFile, 0, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead),
                    (entry.EntryType, entry.Uid, entry.Mode));
                using var text = new StreamReader(entry.DataStream ?? Stream.Null);
                packed.Add(entry.Name, await text.ReadToEndAsync(TestContext.Current.CancellationToken));
            }
            var source = Repository.At($"charts/{chart}");
            var expected = Directory.EnumerateFiles(source, "*", SearchOption.AllDirectories)
                .ToDictionary(path => $"{chart}/{Path.GetRelativePath(source, path)}", File.ReadAllText);
            Assert.Equal(new SortedDictionary<string, string>(expected, StringComparer.Ordinal), packed);
        }
    }

    [Fact]
    public async Task A_signed_release_is_verified_and_any_change_is_found()
    {
        foreach (var name in (string[])["key", "other"])
        {
            await SucceedAsync("openssl", _directory, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", $"{name}.pem");
            await SucceedAsync("openssl", _directory, "pkey", "-in", $"{name}.pem", "-pubout", "-out", $"{name}.pub.pem");
        }
        string[] with = ["--public-key", Path.Combine(_directory, "key.pub.pem")];
        var made = await ToolAsync(Repo, Version, "--only", "charts", "--key", Path.Combine(_directory, "key.pem"));
        Assert.Equal((0, $"release: {Release} is signed\n"), (made.ExitCode, made.Error[^$"release: {Release} is signed\n".Length..]));
        Assert.Equal("release: 4 files match their checksums, and the signature is valid\n", (await ToolAsync(Repo, ["--verify", Release, .. with])).Output);
        await RefusedAsync($"release: {Release}: SHA256SUMS.sig is not a signature of SHA256SUMS by the key {_directory}/other.pub.pem", "--verify", Release,
            "--public-key", Path.Combine(_directory, "other.pub.pem"));

        var extra = Path.Combine(Release, "extra.tgz");
        await File.WriteAllTextAsync(extra, "", TestContext.Current.CancellationToken);
        await RefusedAsync($"release: {Release}: SHA256SUMS does not name extra.tgz; remove them", ["--verify", Release, .. with]);
        File.Delete(extra);
        await using (var chart = File.OpenWrite(Path.Combine(Release, $"base-{Version}.tgz"))) chart.WriteByte(0);
        await RefusedAsync($"release: {Release}: files differ from SHA256SUMS; download them again", ["--verify", Release, .. with]);
        await SucceedAsync("sh", Release, "-c", "sha256sum *.tgz > SHA256SUMS");
        await RefusedAsync($"release: {Release}: SHA256SUMS.sig is not a signature of SHA256SUMS by the key {_directory}/key.pub.pem",
            ["--verify", Release, .. with]);
    }

    [Theory]
    [InlineData("1.0", "'1.0' is not a version")]
    [InlineData("v1.0.0", "'v1.0.0' is not a version")]
    [InlineData("01.0.0", "'01.0.0' is not a version")]
    [InlineData("1.0.0-01", "'1.0.0-01' is not a version")]
    [InlineData("1.0.0+5", "'1.0.0+5' is not a version")]
    [InlineData("", "a VERSION is needed, for example 1.2.3")]
    [InlineData("--sign", "unknown option --sign")]
    public async Task A_version_that_is_not_semantic_is_refused(string version, string told)
    {
        var refused = await ToolAsync(Repo, version);
        Assert.Equal(2, refused.ExitCode);
        Assert.StartsWith($"release: {told}", refused.Error, StringComparison.Ordinal);
        Assert.EndsWith("(see tools/release --help)\n", refused.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Release));
    }

    [Fact]
    public async Task Only_committed_sources_of_this_version_are_released_and_only_once()
    {
        await RefusedAsync(
            $"release: the sources have version {Version} (Directory.Build.props), not 99.0.0-rc.1; change it there, run ./test --accept ChartTests, and "
                + $"commit",
            "99.0.0-rc.1", "--only", "charts");
        await File.WriteAllTextAsync(Path.Combine(Repo, "notes.txt"), "", TestContext.Current.CancellationToken);
        await RefusedAsync($"release: {Repo} has changes that are not committed (notes.txt, …); commit or remove them", Version, "--only", "charts");
        File.Delete(Path.Combine(Repo, "notes.txt"));
        Directory.CreateDirectory(Release);
        await RefusedAsync($"release: {Release} exists; a release is made once: remove it, or choose another place with --output", Version, "--only", "charts");
    }

    [Fact]
    public async Task Keys_that_cannot_sign_are_refused_before_anything_is_made()
    {
        var key = Path.Combine(_directory, "key.pem");
        await RefusedAsync($"release: {key}: not a private key in PEM format that openssl reads", Version, "--only", "charts", "--key", key);
        await SucceedAsync("openssl", _directory, "genpkey", "-algorithm", "ed25519", "-out", "key.pem");
        await RefusedAsync($"release: {key}: keys of this kind sign no files with openssl dgst; use an RSA or ECDSA key", Version, "--only", "charts", "--key",
            key);
        Assert.False(Directory.Exists(Path.GetDirectoryName(Release)));
    }

    private async Task RefusedAsync(string told, params string[] arguments)
    {
        var refused = await ToolAsync(Repo, arguments);
        Assert.Equal((1, told), (refused.ExitCode, refused.Error.TrimEnd('\n').Split('\n')[^1]));
    }

    private static async Task CreateRepositoryAsync(string path)
    {
        foreach (var file in (string[])["tools/release", "Directory.Build.props",
            .. Directory.EnumerateFiles(Repository.At("charts"), "*", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(Repository.Root, file))])
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(path, file))!);
            File.Copy(Repository.At(file), Path.Combine(path, file));
        }
        await File.WriteAllTextAsync(Path.Combine(path, ".gitignore"), "artifacts/\n", TestContext.Current.CancellationToken);
        await SucceedAsync("sh", path, "-c", "git init -q . && git add . && git commit -q -m release");
    }

    private static Task<(int ExitCode, string Output, string Error)> ToolAsync(string repository, params string[] arguments) =>
        RunAsync(Path.Combine(repository, "tools/release"), repository, arguments);

    private static async Task SucceedAsync(string program, string directory, params string[] arguments)
    {
        var (code, _, error) = await RunAsync(program, directory, arguments);
        Assert.True(code == 0, error);
    }

    private static async Task<(int ExitCode, string Output, string Error)> RunAsync(string program, string directory, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = directory };
        foreach (var (name, value) in (ReadOnlySpan<(string, string)>)[("GIT_AUTHOR_NAME", "a"), ("GIT_AUTHOR_EMAIL", "a@example.com"),
            ("GIT_COMMITTER_NAME", "a"), ("GIT_COMMITTER_EMAIL", "a@example.com"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_AUTHOR_DATE", "1700000000 +0000"),
            ("GIT_COMMITTER_DATE", "1700000000 +0000")])
            start.Environment[name] = value;
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        var output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (process.ExitCode, output, await error);
    }
}

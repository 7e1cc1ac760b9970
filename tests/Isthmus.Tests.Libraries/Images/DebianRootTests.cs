using System.Diagnostics;
using Isthmus.Core.Problems;
using Isthmus.Images.Building;
using Isthmus.Images.Debian;
using Isthmus.Images.Oci;
using Xunit;

namespace Isthmus.Tests.Libraries.Images;

/// <summary>What of Debian packages gets into the image.</summary>
public sealed class DebianRootTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-debian-").FullName;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task Programs_libraries_and_licences_get_in_and_manuals_stay_out()
    {
        var file = Package("tool", "1.0+x", ("bin/tool", "program"), ("lib/x/libtool.so.1", "library"), ("usr/share/doc/tool/copyright", "licence"),
            ("usr/share/doc/tool/changelog.gz", "news"), ("usr/share/man/man1/tool.1", "manual"), ("usr/share/ca-certificates/mozilla/B.crt", "second\n"),
            ("usr/share/ca-certificates/mozilla/A.crt", "first"));
        var tree = new LayerTree();
        var package = Assert.Single(await DebianRoot.UnpackAsync([file], tree, Stop));
        Assert.Equal(("tool", "1.0+x", "all"), (package.Name, package.Version, package.Architecture));
        // Packages bring /bin and /lib; systems have links there.
        Assert.Equal("usr/bin", tree.Entries["bin"].Link);
        Assert.Equal("program", Text(tree, "usr/bin/tool"));
        Assert.Equal("library", Text(tree, "usr/lib/x/libtool.so.1"));
        Assert.Equal("licence", Text(tree, "usr/share/doc/tool/copyright"));
        Assert.DoesNotContain(tree.Entries.Keys,
            path => path.Contains("man1", StringComparison.Ordinal) || path.Contains("changelog", StringComparison.Ordinal));
        Assert.Equal("first\nsecond\n", Text(tree, "etc/ssl/certs/ca-certificates.crt"));
        Assert.Contains("Package: tool\n", Text(tree, "var/lib/dpkg/status.d/tool"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Packages_that_a_directory_has_are_not_downloaded()
    {
        var file = Package("tool", "1.0");
        // Nothing answers at this mirror.
        var store = new PackageStore(new("http://127.0.0.1:9/debian", _directory), "amd64", _directory);
        Assert.Equal([file], await store.GetAsync(["tool"], Stop));
        Package("tool", "2.0");
        var refused = await Assert.ThrowsAsync<ProblemException>(() => store.GetAsync(["tool"], Stop));
        Assert.Contains("has 2 versions of tool: tool_1.0_all.deb, tool_2.0_all.deb (remove all but one)", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_bill_of_materials_names_every_package()
    {
        var program = new ProgramSource(_directory, ["/x/shared/Microsoft.NETCore.App/10.0.1"], "9.9", "");
        File.WriteAllText(Path.Combine(_directory, "isthmus.deps.json"),
            """{"libraries": {"isthmus/9.9": {"type": "project"}, "Some.Library/1.2.3": {"type": "package"}}}""");
        File.WriteAllText(Path.Combine(_directory, "console-packages.json"), """[{"name": "graphs", "version": "2.1.0", "license": "MIT"}]""");
        string Write() => BillOfMaterials.Write(program, new("abc", DateTimeOffset.UnixEpoch), [new("libstdc++6", "12.2+1", "amd64", "")]);
        var bill = Write();
        Assert.Equal(bill, Write());
        Assert.Contains("\"pkg:deb/debian/libstdc%2B%2B6@12.2%2B1?arch=amd64&distro=debian-13\"", bill, StringComparison.Ordinal);
        Assert.Contains("\"pkg:nuget/Some.Library@1.2.3\"", bill, StringComparison.Ordinal);
        Assert.Contains("\"pkg:npm/graphs@2.1.0\"", bill, StringComparison.Ordinal);
        Assert.Contains(
            "\"licenseDeclared\": \"MIT\",\n      \"copyrightText\": \"NOASSERTION\",\n      \"externalRefs\": [\n        {\n          \"referenceCategory\": "
                + "\"PACKAGE-MANAGER\",\n          \"referenceType\": \"purl\",\n          \"referenceLocator\": \"pkg:npm/",
            bill, StringComparison.Ordinal);
        Assert.Contains("\"versionInfo\": \"10.0.1\"", bill, StringComparison.Ordinal);
        Assert.Contains("\"sourceInfo\": \"git commit abc\"", bill, StringComparison.Ordinal);
    }

    [Fact]
    public void An_image_of_a_native_program_has_none_of_the_files_beside_it()
    {
        string Made(string name)
        {
            File.WriteAllText(Path.Combine(_directory, name), "");
            return Path.Combine(_directory, name);
        }
        var program = new ProgramSource(_directory, [], "9.9", "") { Executable = Made("isthmus-9.9-linux-amd64") };
        Made("private.key");
        Made("istio-cni");
        string[] InBuild(bool withPlugin) =>
            [.. ProgramFiles.Program(program, "", withPlugin).Entries.Keys.Where(path => path.Contains("opt/isthmus/", StringComparison.Ordinal))
                .Select(Path.GetFileName)!];
        Assert.Equal(["isthmus", "istio-cni"], InBuild(withPlugin: true).Order(StringComparer.Ordinal));
        Assert.Equal(["isthmus"], InBuild(withPlugin: false));
        Assert.Equal(["isthmus.dll", "istio-cni"],
            Files(program with { Executable = "", Directory = Directory.CreateDirectory(Path.Combine(_directory, "build")).FullName }));

        string[] Files(ProgramSource build)
        {
            foreach (var name in (string[])["isthmus.dll", "isthmus.pdb", "istio-cni"]) File.WriteAllText(Path.Combine(build.Directory, name), "");
            return [.. ProgramFiles.Program(build, "", true).Entries.Keys.Where(path => path.Contains("opt/isthmus/", StringComparison.Ordinal))
                .Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];
        }
    }

    [Theory]
    [InlineData("yesterday")]
    [InlineData("-1")]
    [InlineData("99999999999999")]
    public async Task A_time_of_the_sources_that_is_none_is_refused(string epoch)
    {
        var refused = await Assert.ThrowsAsync<ProblemException>(() => SourceState.ReadAsync("", epoch, Stop));
        Assert.Equal($"SOURCE_DATE_EPOCH: '{epoch}' is not a time (set it to seconds since 1970, or unset it)", refused.Message);
    }

    private static string Text(LayerTree tree, string path)
    {
        using var reader = new StreamReader(tree.Entries[path].Open!());
        return reader.ReadToEnd();
    }

    private string Package(string name, string version, params (string Path, string Content)[] files)
    {
        var root = Directory.CreateDirectory(Path.Combine(_directory, "package")).FullName;
        Directory.CreateDirectory(Path.Combine(root, "DEBIAN"));
        File.WriteAllText(Path.Combine(root, "DEBIAN/control"),
            $"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: Nobody <nobody@example.com>\nDescription: for a test\n");
        foreach (var (path, content) in files)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(root, path))!);
            File.WriteAllText(Path.Combine(root, path), content);
        }
        var file = Path.Combine(_directory, $"{name}_{version}_all.deb");
        using var process = Process.Start(new ProcessStartInfo("dpkg-deb",
            ["--root-owner-group", "-Znone", "--build", root, file]) { RedirectStandardOutput = true })!;
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
        Directory.Delete(root, recursive: true);
        return file;
    }
}

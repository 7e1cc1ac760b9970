using System.Formats.Tar;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Core.Problems;
using Isthmus.Images.Oci;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Libraries.Images;

/// <summary>Archives of other programs, and malformed files.</summary>
public sealed class ImageArchiveTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-archive-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void An_archive_of_docker_is_read_with_layers_that_are_links()
    {
        using var archive = Open(("manifest.json", """[{"Config": "c.json", "RepoTags": ["a:1"], "Layers": ["x/layer.tar", "y/layer.tar"]}]"""),
            ("c.json", "{}"), ("x/layer.tar", "content"), ("y/layer.tar", "-> ../x/layer.tar"));
        var image = Assert.Single(archive.Images("amd64"));
        Assert.Equal(["a:1"], image.Names);
        Assert.Null(image.Manifest);
        Assert.Equal(["content", "content"], image.Layers.Select(layer => new StreamReader(archive.Open(layer)).ReadToEnd()));
    }

    [Fact]
    public void Of_an_index_the_images_for_the_architecture_count()
    {
        var (config, ours, theirs) = (Blob("{}"), Manifest("1"), Manifest("2"));
        string Entry(Digest digest, string architecture, string annotations = "") =>
            $$"""{"digest": "{{digest}}", "platform": {"os": "linux", "architecture": "{{architecture}}"}, "annotations": { {{annotations}} } }""";
        var inner = Blob(
            $$"""
            {"manifests": [{{Entry(ours.Digest, "amd64")}}, {{Entry(theirs.Digest, "arm64")}},
              {{Entry(theirs.Digest, "unknown", "\"vnd.docker.reference.type\": \"attestation-manifest\"")}}]}
            """);
        using var archive = Open(("oci-layout", "{}"),
            ("index.json", $$"""{"manifests": [{"digest": "{{inner.Digest}}", "annotations": {"io.containerd.image.name": "a:1"} }]}"""),
            (inner.Path, inner.Text), (ours.Path, ours.Text), (theirs.Path, theirs.Text), (config.Path, config.Text));
        var image = Assert.Single(archive.Images("amd64"));
        Assert.Equal((ours.Path, "a:1"), (image.Manifest!.Path, Assert.Single(image.Names)));
        Assert.Empty(archive.Images("riscv64"));

        (Digest Digest, string Path, string Text) Manifest(string mark) =>
            Blob($$"""{"mark": "{{mark}}", "config": {"digest": "{{Digest.Of("{}"u8)}}"}, "layers": []}""");
    }

    [Theory]
    [InlineData("x", "y", "it has neither index.json nor manifest.json")]
    [InlineData("manifest.json", "{}", "manifest.json is not a list")]
    [InlineData("manifest.json", "[", "manifest.json is not JSON")]
    [InlineData("manifest.json", """[{"Config": "../../etc/passwd"}]""", "etc/passwd is missing")]
    [InlineData("manifest.json", """[{"Config": "a\u0000b"}]""", "a path has a zero byte")]
    [InlineData("manifest.json", """[{"Config": "a", "Config": "b"}]""", "manifest.json is not JSON")]
    public void What_is_no_image_is_told(string path, string content, string told)
    {
        using var archive = Open((path, content));
        Assert.Contains(told, Assert.Throws<ProblemException>(() => archive.Images("amd64")).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("[]", "is not a manifest")]
    [InlineData("{}", "'' is not a sha256 digest")]
    public void A_document_that_is_no_manifest_is_told(string text, string told)
    {
        var document = Blob(text);
        using var archive = Open(("oci-layout", "{}"), ("index.json", $$"""{"manifests": [{"digest": "{{document.Digest}}"}]}"""),
            (document.Path, document.Text));
        Assert.Contains(told, Assert.Throws<ProblemException>(() => archive.Images("amd64")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_index_is_verified_as_everything_else_is()
    {
        var inner = Blob("""{"manifests": []}""");
        using var archive = Open(("oci-layout", "{}"), ("index.json", $$"""{"manifests": [{"digest": "{{inner.Digest}}"}]}"""),
            (inner.Path, """{"manifests": [ ]}"""));
        Assert.Contains("does not match its digest", Assert.Throws<ProblemException>(() => archive.Images("amd64")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Indexes_that_refer_to_each_other_many_times_are_read_once()
    {
        // Ten levels of ten indexes, each of which refers to all of the next level: ten thousand million ways.
        var level = Enumerable.Range(0, 10).Select(i => Blob($$"""{"mark": {{i}}, "manifests": []}""")).ToArray();
        var files = level.Select(one => (one.Path, one.Text)).ToList();
        for (var depth = 1; depth < 10; depth++)
        {
            var next = string.Join(", ", level.Select(one => $$"""{"digest": "{{one.Digest}}"}"""));
            level = [.. Enumerable.Range(0, 10).Select(i => Blob($$"""{"mark": {{i}}, "manifests": [{{next}}]}"""))];
            files.AddRange(level.Select(one => (one.Path, one.Text)));
        }
        using var archive = Open([("oci-layout", "{}"),
            ("index.json", $$"""{"manifests": [{{string.Join(", ", level.Select(one => $$"""{"digest": "{{one.Digest}}"}"""))}}]}"""), .. files]);
        Assert.Empty(archive.Images("amd64"));
    }

    [Fact]
    public void An_archive_that_was_cut_off_is_told()
    {
        var file = Path.Combine(_directory, "cut");
        Write(file, ("manifest.json", """[{"Config": "c.json", "Layers": []}]"""), ("c.json", "{\"a\": \"" + new string('x', 2000) + "\"}"));
        using (var stream = File.OpenWrite(file)) stream.SetLength(512 * 4);
        Assert.Contains("is not an archive of images", Assert.Throws<ProblemException>(() =>
        {
            using var archive = ImageArchive.Open(file);
            foreach (var image in archive.Images("amd64")) archive.Parse(image.Config);
        }).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_is_missing_or_no_tar_is_told()
    {
        Assert.Throws<ProblemException>(() => ImageArchive.Open(Path.Combine(_directory, "nothing")));
        var file = Path.Combine(_directory, "text");
        File.WriteAllText(file, string.Concat(Enumerable.Repeat("not a tar\n", 1000)));
        Assert.Contains("is not an archive of images", Assert.Throws<ProblemException>(() => ImageArchive.Open(file)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_number_that_is_too_large_is_told()
    {
        var file = Path.Combine(_directory, "large");
        Write(file, ("manifest.json", "[]"));
        var content = File.ReadAllBytes(file);
        // A length in base 256 of eleven bytes.
        content.AsSpan(124, 12).Fill(0x8f);
        content.AsSpan(148, 8).Fill((byte)' ');
        Encoding.ASCII.GetBytes(Convert.ToString(content.Take(512).Sum(one => one), 8).PadLeft(6, '0') + "\0 ").CopyTo(content, 148);
        File.WriteAllBytes(file, content);
        Assert.Contains("is not an archive of images", Assert.Throws<ProblemException>(() => ImageArchive.Open(file)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void No_bytes_make_the_reader_fail_otherwise() =>
        Prop.ForAll<byte[], int>((noise, at) =>
        {
            var file = Path.Combine(_directory, "noise");
            Write(file, ("manifest.json", """[{"Config": "c.json", "RepoTags": ["a:1"], "Layers": ["l"]}]"""), ("c.json", "{}"), ("l", "x"));
            var content = File.ReadAllBytes(file);
            for (var i = 0; i < noise.Length; i++) content[(int)(((uint)at + (uint)(i * 7)) % content.Length)] ^= noise[i];
            File.WriteAllBytes(file, content);
            try
            {
                using var archive = ImageArchive.Open(file);
                foreach (var image in archive.Images("amd64")) archive.Parse(image.Config);
            }
            catch (ProblemException)
            {
                // What a user is told.
            }
            return true;
        }).MustHold();

    private static (Digest Digest, string Path, string Text) Blob(string text)
    {
        var digest = Digest.Of(Encoding.UTF8.GetBytes(text));
        return (digest, $"blobs/sha256/{digest.Hex}", text);
    }

    private ImageArchive Open(params (string Path, string Content)[] files)
    {
        var file = Path.Combine(_directory, $"{Guid.NewGuid():n}.tar");
        Write(file, files);
        return ImageArchive.Open(file);
    }

    private static void Write(string file, params (string Path, string Content)[] files)
    {
        using var output = File.Create(file);
        using var tar = new TarWriter(output, TarEntryFormat.Ustar);
        foreach (var (path, content) in files)
        {
            if (content.StartsWith("-> ", StringComparison.Ordinal))
                tar.WriteEntry(new UstarTarEntry(TarEntryType.SymbolicLink, path) { LinkName = content[3..] });
            else tar.WriteEntry(new UstarTarEntry(TarEntryType.RegularFile, path) { DataStream = new MemoryStream(Encoding.UTF8.GetBytes(content)) });
        }
    }
}

using System.Formats.Tar;
using System.IO.Compression;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Images.Oci;
using Xunit;

namespace Isthmus.Tests.Libraries.Images;

public sealed class LayerWriterTests : IDisposable
{
    private static readonly DateTimeOffset Time = DateTimeOffset.FromUnixTimeSeconds(1_700_000_000);

    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-layers-").FullName;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void The_same_files_result_in_the_same_bytes_wherever_they_are_and_in_whatever_order_they_come()
    {
        var one = Write("one", Tree("here", reverse: false));
        var other = Write("other", Tree("there", reverse: true));
        Assert.Equal(File.ReadAllBytes(one.File), File.ReadAllBytes(other.File));
        Assert.Equal((one.Digest, one.Content, one.Size), (other.Digest, other.Content, other.Size));
        Assert.Equal(Digest.Of(File.ReadAllBytes(one.File)), one.Digest);
    }

    [Fact]
    public void Entries_are_sorted_belong_to_root_and_have_the_given_time()
    {
        var tree = new LayerTree();
        tree.AddText("/usr/bin/tool", "#!/bin/sh\n", runnable: true);
        tree.AddText("etc/hosts", "127.0.0.1 localhost\n");
        tree.AddLink("bin", "usr/bin");
        tree.AddDirectory("tmp", (UnixFileMode)0b1_111_111_111);
        var entries = Entries(Write("layer", tree));
        Assert.Equal(["bin", "etc/", "etc/hosts", "tmp/", "usr/", "usr/bin/", "usr/bin/tool"], entries.Select(entry => entry.Name));
        Assert.All(entries, entry => Assert.Equal((0, 0, Time), (entry.Uid, entry.Gid, entry.ModificationTime)));
        Assert.Equal("usr/bin", entries[0].LinkName);
        Assert.Equal((UnixFileMode)0b1_111_111_111, entries[3].Mode);
        Assert.Equal((UnixFileMode)0b111_101_101, entries[6].Mode);
    }

    [Fact]
    public void An_archive_is_an_OCI_layout_that_docker_reads_too()
    {
        var tree = new LayerTree();
        tree.AddText("etc/motd", "hello\n");
        var layer = Write("layer", tree);
        var spec = new ImageSpec(["example.com/a:1", "example.com/b:2"], "amd64", new(["/bin/run"], [], new([new("A", "b")]), "1337:1337", "/"),
            new([new("title", "x")]), Time);
        var image = ImageDocuments.Make(spec, [layer]);
        using var output = new MemoryStream();
        ArchiveWriter.Write(output, [image], Time, Stop);
        var files = Files(output);

        Assert.Equal("1.0.0", files["oci-layout"]["imageLayoutVersion"]!.ToString());
        var manifests = files["index.json"]["manifests"]!.AsArray();
        Assert.Equal(["example.com/a:1", "example.com/b:2"], manifests.Select(manifest => manifest!["annotations"]!["io.containerd.image.name"]!.ToString()));
        Assert.All(manifests, manifest => Assert.Equal(image.Digest.ToString(), manifest!["digest"]!.ToString()));
        var manifest = files[Path(image.Digest)];
        Assert.Equal("application/vnd.oci.image.manifest.v1+json", manifest["mediaType"]!.ToString());
        Assert.Equal(layer.Digest.ToString(), manifest["layers"]![0]!["digest"]!.ToString());
        var docker = files["manifest.json"][0]!;
        Assert.Equal(["example.com/a:1", "example.com/b:2"], docker["RepoTags"]!.AsArray().Select(name => name!.ToString()));
        Assert.Equal(Path(layer.Digest), docker["Layers"]![0]!.ToString());
        var config = files[docker["Config"]!.ToString()];
        Assert.Equal(manifest["config"]!["digest"]!.ToString(), "sha256:" + docker["Config"]!.ToString().Split('/')[^1]);
        Assert.Equal(layer.Content.ToString(), config["rootfs"]!["diff_ids"]![0]!.ToString());
        Assert.Equal(("1337:1337", "A=b", "/bin/run"),
            (config["config"]!["User"]!.ToString(), config["config"]!["Env"]![0]!.ToString(), config["config"]!["Entrypoint"]![0]!.ToString()));
    }

    [Theory]
    [InlineData("sha256:0000000000000000000000000000000000000000000000000000000000000000", true)]
    [InlineData("sha256:../../../../etc/passwd00000000000000000000000000000000000000000000", false)]
    [InlineData("sha256:00", false)]
    [InlineData("sha512:0000000000000000000000000000000000000000000000000000000000000000", false)]
    [InlineData(null, false)]
    public void Only_a_digest_names_a_blob(string? text, bool valid) => Assert.Equal(valid, Digest.TryParse(text, out _));

    private static string Path(Digest digest) => $"blobs/sha256/{digest.Hex}";

    private LayerTree Tree(string place, bool reverse)
    {
        var folder = Directory.CreateDirectory(System.IO.Path.Combine(_directory, place)).FullName;
        var tree = new LayerTree();
        var names = Enumerable.Range(0, 20).Select(i => $"file{i}");
        foreach (var name in reverse ? names.Reverse() : names)
        {
            var source = System.IO.Path.Combine(folder, name);
            File.WriteAllText(source, string.Concat(Enumerable.Repeat(name, 1000)));
            tree.AddFile($"opt/{name}", source);
        }
        return tree;
    }

    private Layer Write(string name, LayerTree tree) => LayerWriter.Write(tree, System.IO.Path.Combine(_directory, $"{name}.tar.gz"), "test", Time, Stop);

    private static List<PosixTarEntry> Entries(Layer layer)
    {
        using var gzip = new GZipStream(File.OpenRead(layer.File), CompressionMode.Decompress);
        using var tar = new TarReader(gzip);
        var entries = new List<PosixTarEntry>();
        while (tar.GetNextEntry(copyData: true) is { } entry) entries.Add((PosixTarEntry)entry);
        return entries;
    }

    private static Dictionary<string, JsonNode> Files(MemoryStream archive)
    {
        archive.Position = 0;
        using var tar = new TarReader(archive, leaveOpen: true);
        var files = new Dictionary<string, JsonNode>(StringComparer.Ordinal);
        while (tar.GetNextEntry(copyData: true) is { } entry)
        {
            using var content = new MemoryStream();
            entry.DataStream!.CopyTo(content);
            if (content.TryGetBuffer(out var bytes) && bytes.Count > 0 && bytes[0] is (byte)'{' or (byte)'[')
                files[entry.Name] = JsonNode.Parse(Encoding.UTF8.GetString(bytes))!;
        }
        return files;
    }
}

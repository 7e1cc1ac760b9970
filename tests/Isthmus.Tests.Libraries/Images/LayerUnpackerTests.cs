using System.Formats.Tar;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Images.Oci;
using Isthmus.Images.Unpacking;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Libraries.Images;

/// <summary>Layers over layers, and layers that would like to leave their directory.</summary>
public sealed class LayerUnpackerTests : IDisposable
{
    private const string Secret = "keep me";
    private const UnixFileMode OutsideMode = (UnixFileMode)0b111_101_101;

    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-unpack-").FullName;

    private string Root => Path.Combine(_directory, "root");

    private string Outside => Path.Combine(_directory, "outside");

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public LayerUnpackerTests()
    {
        Directory.CreateDirectory(Root);
        Directory.CreateDirectory(Outside);
        File.SetUnixFileMode(Outside, OutsideMode);
        File.WriteAllText(Path.Combine(Outside, "file"), Secret);
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void Files_directories_and_links_are_as_the_layer_says()
    {
        var unpacker = Unpacker();
        var tar = TestImage.Layer(TestImage.Directory("etc", 0b111_000_101), TestImage.File("etc/motd", "hello", 0b110_100_000),
            TestImage.Link("etc/link", "motd"), TestImage.HardLink("etc/hard", "etc/motd"));
        Assert.Equal(Digest.Of(tar), unpacker.Add(new MemoryStream(tar), Stop));
        unpacker.Finish();
        Assert.Equal("hello", Read("etc/link"));
        Assert.Equal("hello", Read("etc/hard"));
        Assert.Equal((UnixFileMode)0b110_100_000, File.GetUnixFileMode(At("etc/motd")));
        Assert.Equal((UnixFileMode)0b111_000_101, File.GetUnixFileMode(At("etc")));
        Assert.Equal(DateTimeOffset.FromUnixTimeSeconds(1_600_000_000).UtcDateTime, File.GetLastWriteTimeUtc(At("etc/motd")));
    }

    [Fact]
    public void A_compressed_layer_has_the_digest_of_its_content()
    {
        var tar = TestImage.Layer(TestImage.File("a", "b"));
        Assert.Equal(Digest.Of(tar), Unpacker().Add(new MemoryStream(TestImage.Compressed(tar)), Stop));
        Assert.Equal("b", Read("a"));
    }

    [Fact]
    public void An_upper_layer_replaces_and_removes()
    {
        var unpacker = Unpacker();
        unpacker.Add(new MemoryStream(TestImage.Layer(TestImage.File("a", "1"), TestImage.File("d/x", "1"), TestImage.File("d/y", "1"),
            TestImage.File("o/old", "1"), TestImage.File("was-dir/f", "1"), TestImage.File("was-file", "1"))),
            Stop);
        unpacker.Add(new MemoryStream(TestImage.Layer(TestImage.File("a", "2"), TestImage.File("d/.wh.x", ""), TestImage.File("o/new", "2"),
            TestImage.File("o/.wh..wh..opq", ""), TestImage.File("was-dir", "2"), TestImage.File("was-file/f", "2"), TestImage.File(".wh.nothing", ""))),
            Stop);
        Assert.Equal("2", Read("a"));
        Assert.False(File.Exists(At("d/x")));
        Assert.Equal("1", Read("d/y"));
        Assert.Equal(["new"], Directory.EnumerateFileSystemEntries(At("o")).Select(Path.GetFileName));
        Assert.Equal(("2", "2"), (Read("was-dir"), Read("was-file/f")));
    }

    [Fact]
    public void Links_of_lower_layers_lead_where_a_process_inside_would_arrive()
    {
        var unpacker = Unpacker();
        unpacker.Add(new MemoryStream(TestImage.Layer(TestImage.Directory("usr/lib"), TestImage.Link("lib", "usr/lib"), TestImage.Link("abs", "/usr/lib"),
            TestImage.Link("up", "../../../../usr/lib"))),
            Stop);
        unpacker.Add(new MemoryStream(TestImage.Layer(TestImage.File("lib/a", "1"), TestImage.File("abs/b", "1"), TestImage.File("up/c", "1"))), Stop);
        Assert.Equal(["a", "b", "c"], Directory.EnumerateFiles(At("usr/lib")).Select(Path.GetFileName).Order());
        Assert.NotNull(new FileInfo(At("lib")).LinkTarget);
    }

    [Fact]
    public void No_name_and_no_link_leads_out()
    {
        foreach (var layer in (PaxTarEntry[][])
        [
            [TestImage.File("../outside/file", "x")],
            [TestImage.File("a/../../outside/file", "x")],
            [TestImage.Link("out", Outside), TestImage.File("out/file", "x")],
            [TestImage.Link("out", "../outside"), TestImage.File("out/file", "x")],
            [TestImage.Link("out", Outside), TestImage.File("out/.wh.file", "")],
            [TestImage.Link("out", Outside), TestImage.File("out/.wh..wh..opq", "")],
            [TestImage.Link("out", Path.Combine(Outside, "file")), TestImage.File("out", "x")],
            [TestImage.HardLink("hard", "../outside/file"), TestImage.File("hard", "x")],
            [TestImage.Link("out", Outside), TestImage.HardLink("hard", "out/file"), TestImage.File("hard", "x")],
            [TestImage.File(".wh...", "")],
            [TestImage.Link("out", Outside), TestImage.Directory("out", 0b111_000_000)],
        ])
        {
            try
            {
                var unpacker = Unpacker();
                unpacker.Add(new MemoryStream(TestImage.Layer(layer)), Stop);
                unpacker.Finish();
            }
            catch (LayerException)
            {
                // What is refused changes nothing either.
            }
            AssertOutsideIsWhole();
            Directory.Delete(Root, recursive: true);
            Directory.CreateDirectory(Root);
        }
    }

    [Fact]
    public void A_directory_that_a_later_layer_replaced_by_a_link_changes_nothing_behind_it()
    {
        Directory.CreateDirectory(Path.Combine(Outside, "b"));
        File.SetUnixFileMode(Path.Combine(Outside, "b"), (UnixFileMode)0b111_000_000);
        var unpacker = Unpacker();
        unpacker.Add(new MemoryStream(TestImage.Layer(TestImage.Directory("a/b", 0b111_111_111))), Stop);
        unpacker.Add(new MemoryStream(TestImage.Layer(TestImage.Link("a", Outside))), Stop);
        unpacker.Finish();
        Assert.Equal((UnixFileMode)0b111_000_000, File.GetUnixFileMode(Path.Combine(Outside, "b")));
        Directory.Delete(Path.Combine(Outside, "b"));
        AssertOutsideIsWhole();
    }

    [Fact]
    public void An_opaque_directory_hides_lower_files_below_directories_that_it_has_itself()
    {
        var unpacker = Unpacker();
        unpacker.Add(new MemoryStream(TestImage.Layer(TestImage.File("d/e/old", "1"), TestImage.File("d/e/both", "1"))), Stop);
        unpacker.Add(new MemoryStream(TestImage.Layer(TestImage.File("d/e/both", "2"), TestImage.File("d/.wh..wh..opq", ""))), Stop);
        Assert.Equal(["both"], Directory.EnumerateFileSystemEntries(At("d/e")).Select(Path.GetFileName));
        Assert.Equal("2", Read("d/e/both"));
    }

    [Fact]
    public void A_layer_never_removes_its_own_files()
    {
        var unpacker = Unpacker();
        unpacker.Add(new MemoryStream(TestImage.Layer(TestImage.File("a", "1"), TestImage.File("d/old", "1"))), Stop);
        unpacker.Add(new MemoryStream(TestImage.Layer(TestImage.File("a", "2"), TestImage.File(".wh.a", ""), TestImage.File("d/new", "2"),
            TestImage.File(".wh.d", ""))),
            Stop);
        Assert.Equal("2", Read("a"));
        Assert.Equal(["new"], Directory.EnumerateFileSystemEntries(At("d")).Select(Path.GetFileName));
    }

    [Fact]
    public void A_header_for_the_whole_layer_leaves_nothing()
    {
        using var output = new MemoryStream();
        using (var tar = new TarWriter(output, leaveOpen: true))
        {
            tar.WriteEntry(new PaxGlobalExtendedAttributesTarEntry(new Dictionary<string, string> { ["comment"] = "x" }));
            tar.WriteEntry(TestImage.File("a", "x"));
        }
        Unpacker().Add(new MemoryStream(output.ToArray()), Stop);
        Assert.Equal(["a"], Directory.EnumerateFileSystemEntries(Root).Select(Path.GetFileName));
    }

    [Fact]
    public void A_header_does_not_cost_memory()
    {
        // An extended header that claims a gigabyte, and has it.
        var tar = TestImage.Layer(TestImage.File("a", ""));
        Encoding.ASCII.GetBytes("10000000000\0").CopyTo(tar, 124);
        tar.AsSpan(148, 8).Fill((byte)' ');
        var sum = tar.Take(512).Sum(one => one);
        Encoding.ASCII.GetBytes(Convert.ToString(sum, 8).PadLeft(6, '0') + "\0 ").CopyTo(tar, 148);
        Assert.Contains("a header has 1073741824 bytes", Assert.Throws<LayerException>(() => Unpacker().Add(new MemoryStream(tar), Stop)).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Entries_of_kinds_that_would_be_lost_are_refused_and_devices_left_out()
    {
        var sparse = TestImage.Layer(TestImage.File("a", "x"));
        foreach (var at in Enumerable.Range(0, sparse.Length / 512).Where(block => sparse[(block * 512) + 156] == '0').Select(block => block * 512))
        {
            sparse[at + 156] = (byte)'S';
            sparse.AsSpan(at + 148, 8).Fill((byte)' ');
            var sum = sparse.Skip(at).Take(512).Sum(one => one);
            Encoding.ASCII.GetBytes(Convert.ToString(sum, 8).PadLeft(6, '0') + "\0 ").CopyTo(sparse, at + 148);
        }
        Assert.Throws<LayerException>(() => Unpacker().Add(new MemoryStream(sparse), Stop));
        var newer = new PaxTarEntry(TarEntryType.RegularFile, "GNUSparseFile.0/a",
            new Dictionary<string, string>
            {
                ["GNU.sparse.major"] = "1", ["GNU.sparse.minor"] = "0", ["GNU.sparse.name"] = "a", ["GNU.sparse.realsize"] = "0"
            });
        Assert.Contains("sparse", Assert.Throws<LayerException>(() => Unpacker().Add(new MemoryStream(TestImage.Layer(newer)), Stop)).Message,
            StringComparison.Ordinal);
        Unpacker().Add(new MemoryStream(TestImage.Layer(TestImage.File("null", "of a lower layer"))), Stop);
        Unpacker()
            .Add(new MemoryStream(TestImage.Layer(new PaxTarEntry(TarEntryType.CharacterDevice, "null") { DeviceMajor = 1, DeviceMinor = 3 },
                TestImage.File("b", "x"))),
                Stop);
        Assert.Equal(["b"], Directory.EnumerateFileSystemEntries(Root).Select(Path.GetFileName));
    }

    [Fact]
    public void No_layer_leads_out()
    {
        string[] names = ["a", "b", "a/b", "b/a", "a/b/c", "../outside", "../outside/file", "a/../../outside/file", ".wh.a", "a/.wh.b", "a/.wh..wh..opq",
            ".wh...", ".wh..", "/a", "outside/file"];
        string[] targets = ["a", "b", "..", "../outside", "../../outside/file", Outside, "/", ".", "a/b", "../root"];
        var entries = from kind in Gen.Choose(0, 3) from name in Gen.Elements(names) from target in Gen.Elements(targets) select (kind, name, target);
        Prop.ForAll(Gen.ListOf(entries).ToArbitrary(), list =>
        {
            var unpacker = Unpacker();
            try
            {
                unpacker.Add(new MemoryStream(TestImage.Layer([.. list.Select(one => one.kind switch
                {
                    0 => TestImage.File(one.name, "x"),
                    1 => TestImage.Link(one.name, one.target),
                    2 => TestImage.HardLink(one.name, one.target),
                    _ => TestImage.Directory(one.name),
                })])), Stop);
                unpacker.Finish();
            }
            catch (Exception e) when (e is LayerException or IOException)
            {
                // Refused.
            }
            AssertOutsideIsWhole();
            Directory.Delete(Root, recursive: true);
            Directory.CreateDirectory(Root);
            return true;
        }).MustHold();
    }

    [Fact]
    public void A_layer_has_limits()
    {
        var (large, many) = (TestImage.Layer(TestImage.File("a", new string('x', 2000))),
            TestImage.Layer(TestImage.File("a", ""), TestImage.File("b", ""), TestImage.File("c", "")));
        Assert.Contains("more than 1000 bytes",
            Assert.Throws<LayerException>(() => new LayerUnpacker(Root, new(1000, 10)).Add(new MemoryStream(large), Stop)).Message, StringComparison.Ordinal);
        var padded = large.Concat(new byte[200_000]).ToArray();
        Assert.Contains("is a tar of more than 131920 bytes",
            Assert.Throws<LayerException>(() => new LayerUnpacker(Root, new(50_000, 10)).Add(new MemoryStream(padded), Stop)).Message,
            StringComparison.Ordinal);
        Assert.Contains("more than 2 files",
            Assert.Throws<LayerException>(() => new LayerUnpacker(Root, new(1000, 2)).Add(new MemoryStream(many), Stop)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(new byte[] { 0x28, 0xb5, 0x2f, 0xfd, 0 }, "zstd")]
    [InlineData(new byte[] { 0x1f, 0x8b, 1, 2, 3 }, "is not a valid tar")]
    public void What_is_not_a_layer_is_refused(byte[] content, string told) =>
        Assert.Contains(told, Assert.Throws<LayerException>(() => Unpacker().Add(new MemoryStream(content), Stop)).Message, StringComparison.Ordinal);

    private void AssertOutsideIsWhole()
    {
        Assert.Equal(OutsideMode, File.GetUnixFileMode(Outside));
        Assert.Equal(["file"], Directory.EnumerateFileSystemEntries(Outside).Select(Path.GetFileName));
        Assert.Equal(Secret, File.ReadAllText(Path.Combine(Outside, "file")));
        Assert.Equal(["outside", "root"], Directory.EnumerateFileSystemEntries(_directory).Select(Path.GetFileName).Order());
    }

    private LayerUnpacker Unpacker() => new(Root, UnpackLimits.Default);

    private string At(string path) => Path.Combine(Root, path);

    private string Read(string path) => File.ReadAllText(At(path));
}

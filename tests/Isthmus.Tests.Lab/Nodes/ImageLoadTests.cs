using FsCheck;
using FsCheck.Fluent;
using Isthmus.Core.Problems;
using Isthmus.Images.Description;
using Isthmus.Images.Oci;
using Isthmus.Images.Unpacking;
using Isthmus.Lab.Nodes.Containers;
using Isthmus.Lab.Nodes.Images;
using Isthmus.Lab.Nodes.Processes;
using Isthmus.Testing;
using Xunit;
using static Isthmus.Testing.TestImage;

namespace Isthmus.Tests.Lab.Nodes;

/// <summary>Images of archives in the lab's store, and archives that are not loaded.</summary>
public sealed class ImageLoadTests : IDisposable
{
    private readonly string _directory = System.IO.Directory.CreateTempSubdirectory("isthmus-images-").FullName;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private UnpackedImages Images => new(Path.Combine(_directory, "images"));

    private string Archive => Path.Combine(_directory, "image.tar");

    private string Node => Path.Combine(_directory, "clusters/one/node");

    public void Dispose() => System.IO.Directory.Delete(_directory, recursive: true);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void An_image_is_unpacked_with_what_its_containers_need(bool isOci)
    {
        var image = new TestImage
        {
            Names = ["tiny:1"],
            Layers = [Layer(TestImage.File("a", "1"), TestImage.File("b", "1")), Layer(TestImage.File("a", "2"), TestImage.File(".wh.b", ""))],
            Config = """{"Entrypoint": ["/run"], "Cmd": ["x", "y"], "Env": ["A=b=c"], "User": "7:8", "WorkingDir": "/w", "StopSignal": "SIGQUIT"}""",
        };
        Write(image, isOci);
        var loaded = Assert.Single(Load());
        Assert.Equal(["docker.io/library/tiny:1"], loaded.Names);
        Assert.Equal(["/run", "x", "y"], loaded.Entrypoint.Concat(loaded.Arguments));
        Assert.Equal(("b=c", "7:8", "/w", 3, 2L), (loaded.Environment["A"], loaded.User, loaded.WorkingDirectory, loaded.StopSignal, loaded.Size - 1));
        Assert.Equal("2", System.IO.File.ReadAllText(Path.Combine(Images.FilesOf(loaded), "a")));
        Assert.False(System.IO.File.Exists(Path.Combine(Images.FilesOf(loaded), "b")));

        var found = Catalogue().Find(NameOf("tiny:1"))!;
        Assert.Equal((RootKind.Loaded, 3, Images.FilesOf(loaded)), (found.Root, found.StopSignal, found.Files));
        Assert.Equal(isOci ? $"docker.io/library/tiny@{loaded.Digest}" : loaded.Id, ImageCatalogue.IdOf(found));
        Assert.Null(Catalogue().Find(NameOf("tiny:2")));
        Assert.Null(Catalogue().Find(NameOf("tiny")));
        Assert.Equal(isOci, Catalogue().Find(NameOf($"tiny@{(isOci ? loaded.Digest : loaded.Id)}")) is not null);
        var described = Catalogue().Describe()[0]!;
        Assert.Equal(("docker.io/library/tiny:1", 3L), ((string?)described["names"]![0], (long)described["sizeBytes"]!));
        Assert.Equal(isOci ? 2 : 1, described["names"]!.AsArray().Count);
    }

    [Fact]
    public void An_image_that_we_built_is_loaded_under_all_its_names()
    {
        var tree = new LayerTree();
        tree.AddText("opt/run", "x", runnable: true);
        tree.AddLink("bin", "opt");
        var layer = LayerWriter.Write(tree, Path.Combine(_directory, "layer"), "test", DateTimeOffset.UnixEpoch, Stop);
        var start = new ImageStart(["/opt/run"], [], new([new("A", "b")]), "1337:1337", "/");
        var image = ImageDocuments.Make(new(["isthmus.internal/isthmus:0.1.0", "example.com/isthmus:1"], ImagePlatform.Architecture, start, default,
            DateTimeOffset.UnixEpoch),
            [layer]);
        using (var output = System.IO.File.Create(Archive)) ArchiveWriter.Write(output, [image], DateTimeOffset.UnixEpoch, Stop);
        var loaded = Assert.Single(Load());
        Assert.Equal(["isthmus.internal/isthmus:0.1.0", "example.com/isthmus:1"], loaded.Names);
        Assert.Equal((image.Digest.ToString(), "1337:1337"), (loaded.Digest, loaded.User));
        Assert.Equal("x", System.IO.File.ReadAllText(Path.Combine(Images.FilesOf(loaded), "bin/run")));
        Assert.Equal((UnixFileMode)0b111_101_101, System.IO.File.GetUnixFileMode(Path.Combine(Images.FilesOf(loaded), "opt/run")));
    }

    [Fact]
    public void A_loaded_image_takes_the_place_of_a_built_in_one()
    {
        Write(new() { Names = ["example.com/istio/proxyv2:1"] });
        Load();
        Assert.Equal(RootKind.Loaded, Catalogue().Find(NameOf("example.com/istio/proxyv2:1"))!.Root);
        Assert.Equal(RootKind.Runtime, Catalogue().Find(NameOf("example.com/istio/proxyv2:2"))!.Root);
    }

    [Fact]
    public void The_same_image_is_unpacked_once_and_a_name_moves_to_the_image_that_was_loaded_last()
    {
        Write(new() { Names = ["a:1"], Layers = [Layer(TestImage.File("x", "1"))] });
        var first = Assert.Single(Load());
        System.IO.File.WriteAllText(Path.Combine(Images.FilesOf(first), "mark"), "");
        var same = Assert.Single(Load("b:1"));
        Assert.Equal(["docker.io/library/a:1", "docker.io/library/b:1"], same.Names);
        Assert.True(System.IO.File.Exists(Path.Combine(Images.FilesOf(same), "mark")));

        Write(new() { Names = ["a:1"], Layers = [Layer(TestImage.File("x", "2"))] });
        var second = Assert.Single(Load());
        Assert.Equal(second.Id, Images.Find(NameOf("a:1"))!.Id);
        Assert.Equal(first.Id, Images.Find(NameOf("b:1"))!.Id);
    }

    [Fact]
    public void Images_with_the_same_layers_share_their_files_until_the_last_is_removed()
    {
        var layers = new[] { Layer(TestImage.File("x", "1")) };
        Write(new() { Names = ["a:1"], Layers = layers, Config = """{"User": "1"}""" });
        var first = Assert.Single(Load());
        Write(new() { Names = ["b:1"], Layers = layers, Config = """{"User": "2"}""" });
        var second = Assert.Single(Load());
        Assert.Equal((Images.FilesOf(first), "1", "2"), (Images.FilesOf(second), first.User, second.User));
        Assert.Equal(first.Size, second.Size);
        Remove("a:1");
        Assert.True(System.IO.File.Exists(Path.Combine(Images.FilesOf(second), "x")));
        Remove("b:1");
        Assert.False(System.IO.Directory.Exists(Images.FilesOf(second)));
    }

    [Fact]
    public void An_image_goes_with_its_last_name_unless_a_container_runs_it()
    {
        Write(new() { Names = ["a:1", "b:1"], Layers = [Layer(TestImage.File("x", "1"))] });
        var image = Assert.Single(Load());
        Assert.Equal("docker.io/library/a:1", Remove("a:1"));
        WriteContainer(image.Id, running: true);
        Assert.Contains("is in use by container main of Pod default/p (delete the Pod first)", Assert.Throws<ProblemException>(() => Remove("b:1")).Message,
            StringComparison.Ordinal);
        Assert.Contains("is in use", Assert.Throws<ProblemException>(() => Remove(image.Hex[..6])).Message, StringComparison.Ordinal);
        WriteContainer(image.Id, running: false);
        Assert.Equal(image.Id, Remove(image.Hex[..6]));
        Assert.Empty(Images.All);
        Assert.False(System.IO.Directory.Exists(Images.FilesOf(image)));
        Assert.Contains("is not loaded", Assert.Throws<ProblemException>(() => Remove("b:1")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_an_interrupted_command_left_is_deleted_by_the_next()
    {
        var left = Path.Combine(_directory, "images/new-1");
        System.IO.Directory.CreateDirectory(left);
        Write(new() { Names = ["a:1"] });
        Load();
        Assert.False(System.IO.Directory.Exists(left));
    }

    [Fact]
    public void Every_archive_that_is_not_loaded_is_one_clear_error_and_leaves_nothing()
    {
        var layer = Layer(TestImage.File("x", "1"));
        System.IO.File.WriteAllText(Archive, "not a tar");
        Refused("is not an archive of images");
        Write(new() { Names = ["a:1"], Layers = [layer], Architecture = "mips" });
        Refused("has no image for linux/");
        Write(new() { Names = ["a:1"], Layers = [layer], Architecture = "mips" }, isOci: true);
        Refused(", but for linux/mips (save the image of this platform");
        Write(new() { Names = ["a:1"], Layers = [layer], IsDamaged = true });
        Refused("is damaged: layer0/layer.tar does not match its digest (save the image again)");
        Write(new() { Names = ["a:1"], Layers = [layer], IsDamaged = true }, isOci: true);
        Refused("does not match its digest");
        Write(new() { Names = ["a:1"], Layers = [Layer(TestImage.File("../x", "1"))] });
        Refused("has the path '../x', which leaves the image");
        Write(new() { Names = ["a:1"], Layers = [[0x28, 0xb5, 0x2f, 0xfd, 0]] }, isOci: true);
        Refused(
            " (application/vnd.oci.image.layer.v1.tar+zstd) is compressed with zstd, which is not supported (save it in docker's format, without compression: "
                + "skopeo copy ");
        Write(new() { Layers = [layer] });
        Refused("has an image without a name (name it: isthmus lab image load FILE --name NAME)");
        Refused("is not the name of an image", "a b");
        Write(new() { Names = ["a:1"], Config = """{"StopSignal": "SIGNOTHING"}""" });
        Refused("'SIGNOTHING' is not a signal");
        Write(new() { Names = ["a:1"], Config = """{"Entrypoint": "run"}""" });
        Refused("Entrypoint is not a list");
        Write(new() { Names = ["a:1"], Config = """{"WorkingDir": "w"}""" });
        Refused("'w' is not an absolute path");
        Write(new() { Names = ["a:1"], Layers = [Layer(TestImage.File("x", new string('x', 100_000)))] });
        Assert.Contains("unpacks to more than 10000 bytes",
            Assert.Throws<ProblemException>(() => new ImageLoad(Images) { Limits = new UnpackLimits(10_000, 10) }.Run(Archive, null, Stop)).Message,
            StringComparison.Ordinal);
        Assert.Empty(Images.All);
        Assert.All(System.IO.Directory.EnumerateDirectories(Path.Combine(_directory, "images")), Assert.Empty);
    }

    [Fact]
    public void No_noise_in_an_archive_makes_loading_fail_otherwise() =>
        Prop.ForAll<byte[], int>((noise, at) =>
        {
            Write(new() { Names = ["a:1"], Layers = [Layer(TestImage.File("x", "1"), Link("y", "x"))], Config = """{"User": "1"}""" }, isOci: at % 2 == 0);
            var content = System.IO.File.ReadAllBytes(Archive);
            for (var i = 0; i < noise.Length; i++) content[(int)(((uint)at + (uint)(i * 7)) % content.Length)] ^= noise[i];
            System.IO.File.WriteAllBytes(Archive, content);
            try
            {
                Load();
            }
            catch (ProblemException)
            {
                // What a user is told.
            }
            return true;
        }).MustHold();

    [Theory]
    [InlineData("", 0, 0, "", "")]
    [InlineData("5", 5, 0, "", "")]
    [InlineData("web", 33, 33, "/srv", "44")]
    [InlineData("33", 33, 33, "/srv", "44")]
    [InlineData("web:more", 33, 44, "/srv", "")]
    [InlineData("web:7", 33, 7, "/srv", "44")]
    public void Users_are_those_of_the_image(string text, long id, long group, string home, string groups)
    {
        var user = new ImageAccounts("root:x:0:0::/root:/bin/sh\nweb:x:33:33::/srv:/bin/false\nbroken\n", "web:x:33:\nmore:x:44:web,other\n").Find(text);
        Assert.Equal((id, group, groups), (user.Id, user.Group, string.Join(',', user.Groups)));
        Assert.Equal(text.Length == 0 ? "/root" : home, user.Home);
    }

    [Fact]
    public void Unknown_users_and_users_that_may_be_root_are_refused()
    {
        var accounts = new ImageAccounts("web:x:33:33::/:/", "");
        Assert.Contains("unable to find user nobody", Assert.Throws<IdentityException>(() => accounts.Find("nobody")).Message, StringComparison.Ordinal);
        Assert.Contains("unable to find group g", Assert.Throws<IdentityException>(() => accounts.Find("web:g")).Message, StringComparison.Ordinal);
        var map = IdMap.Parse("0 0 4294967295");
        Assert.Contains("image has non-numeric user (web), cannot verify user is non-root",
            Assert.Throws<IdentityException>(() => ContainerIdentity.Decide(new() { RunAsNonRoot = true }, null, accounts.Find("web"), map, map)).Message,
            StringComparison.Ordinal);
        Assert.Equal((33, 33), Ids(ContainerIdentity.Decide(new() { RunAsNonRoot = true }, null, accounts.Find("33"), map, map)));
    }

    [Theory]
    [InlineData("SIGTERM", 15)]
    [InlineData("quit", 3)]
    [InlineData("9", 9)]
    [InlineData("SIGRTMIN+3", 37)]
    [InlineData("RTMAX-1", 63)]
    [InlineData("SIGRTMIN+40", null)]
    [InlineData("0", null)]
    [InlineData("", null)]
    public void Signals_have_names(string text, int? number) => Assert.Equal(number, StopSignals.TryParse(text, out var signal) ? signal : null);

    [Fact]
    public void Every_capability_that_a_container_can_have_has_a_number() =>
        Assert.Equal(ContainerIdentity.Usual.Count + ContainerIdentity.Grantable.Count,
            System.Numerics.BitOperations.PopCount(CapabilityNumbers.MaskOf(ContainerIdentity.Usual.Concat(ContainerIdentity.Grantable))));

    private static (long, long) Ids(ContainerIdentity identity) => (identity.User, identity.Group);

    private void Refused(string words, string? name = null) =>
        Assert.Contains(words, Assert.Throws<ProblemException>(() => new ImageLoad(Images).Run(Archive, name, Stop)).Message, StringComparison.Ordinal);

    private IReadOnlyList<UnpackedImage> Load(string? name = null) => new ImageLoad(Images).Run(Archive, name, Stop);

    private string Remove(string text) => new ImageRemoval(Images, [Node]).Run(text, Stop);

    private ImageCatalogue Catalogue() => ImageCatalogue.Standard(Images);

    private static ImageName NameOf(string text) => ImageName.TryParse(text, out var name) ? name : throw new ArgumentException(text);

    private void Write(TestImage image, bool isOci = false)
    {
        if (isOci) image.WriteOci(Archive);
        else image.WriteDocker(Archive);
    }

    private void WriteContainer(string imageId, bool running)
    {
        var pod = Path.Combine(Node, "pods/uid");
        System.IO.Directory.CreateDirectory(Path.Combine(pod, "containers/main"));
        StateFile.Write(Path.Combine(pod, "pod.json"), new("uid", "default", "p", "10.0.0.1", false, "", DateTimeOffset.UnixEpoch, true),
            NodeJson.Default.PodRecord);
        var end = running ? null : new ContainerEnd("id", 0, "Completed", "", DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch);
        StateFile.Write(Path.Combine(pod, "containers/main/container.json"),
            new ContainerRecord("main", "id", 0, null, DateTimeOffset.UnixEpoch, "a:1", imageId) { End = end }, NodeJson.Default.ContainerRecord);
    }
}

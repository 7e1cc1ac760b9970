using FsCheck;
using FsCheck.Fluent;
using Isthmus.Images.Description;
using Isthmus.Lab.Nodes.Images;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Lab.Nodes;

public sealed class ImageTests
{
    [Theory]
    [InlineData("nginx", "docker.io/library/nginx:latest")]
    [InlineData("istio/proxyv2:1.20.1", "docker.io/istio/proxyv2:1.20.1")]
    [InlineData("localhost:5000/a/b", "localhost:5000/a/b:latest")]
    [InlineData("host.lab.internal/rootfs", "host.lab.internal/rootfs:latest")]
    [InlineData("a@sha256:00", "docker.io/library/a@sha256:00")]
    public void Short_names_are_written_out(string text, string expected)
    {
        Assert.True(ImageName.TryParse(text, out var name));
        Assert.Equal(expected, name.ToString());
    }

    [Theory]
    [InlineData("")]
    [InlineData("a b")]
    [InlineData("a:")]
    [InlineData("a//b")]
    [InlineData("a$b")]
    public void What_is_no_name_is_refused(string text) => Assert.False(ImageName.TryParse(text, out _));

    [Theory]
    [InlineData("gcr.io/istio-testing/proxyv2:latest", "*/proxyv2")]
    [InlineData("coredns/coredns:1.8.0", "docker.io/coredns/coredns")]
    [InlineData("registry.k8s.io/coredns/coredns:v1.11.1", "*/coredns")]
    [InlineData("isthmus.internal/isthmus:0.1.0", "isthmus.internal/isthmus")]
    [InlineData("host.lab.internal/rootfs", "host.lab.internal/rootfs")]
    public void Names_of_others_find_our_programs(string text, string pattern) => Assert.Equal(pattern, Find(text)?.Pattern);

    [Theory]
    [InlineData("nginx")]
    [InlineData("example.com/proxyv3")]
    [InlineData("notproxyv2")]
    public void Anything_else_is_missing_and_the_message_lists_what_there_is(string text)
    {
        Assert.Null(Find(text));
        var message = Catalogue.Missing(text);
        Assert.InRange(message.Length, 0, 1000);
        Assert.All(Catalogue.Images, image => Assert.Contains(image.Pattern, message, StringComparison.Ordinal));
    }

    [Fact]
    public void No_text_makes_the_parser_throw() =>
        Prop.ForAll<NonNull<string>>(text => !ImageName.TryParse(text.Get, out var name) || name.Repository.Length > 0).MustHold();

    private static ImageCatalogue Catalogue => ImageCatalogue.Standard(new UnpackedImages("/nonexistent"));

    private static Image? Find(string text) => ImageName.TryParse(text, out var name) ? Catalogue.Find(name) : null;
}

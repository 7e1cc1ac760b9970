using System.Net;
using System.Text;
using Isthmus.Core.Flags;
using Isthmus.Core.Problems;
using Isthmus.Images.Loading;
using Isthmus.Images.Oci;
using Isthmus.Images.Registry;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Isthmus.Tests.Libraries.Images;

/// <summary>Uploads to a registry in memory, which asks for each kind of credentials.</summary>
public sealed class RegistryTests : IAsyncLifetime
{
    private const string Bearer = "Bearer t0ken";

    private static readonly DateTimeOffset Time = DateTimeOffset.UnixEpoch;

    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-registry-").FullName;
    private readonly Dictionary<string, byte[]> _stored = new(StringComparer.Ordinal);
    private readonly List<string> _requests = [];
    private WebApplication? _server;
    private string _host = "";

    /// <summary>What the registry asks for: nothing, basic or bearer.</summary>
    private string _asks = "";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        _server = builder.Build();
        _server.Run(AnswerAsync);
        await _server.StartAsync();
        _host = new Uri(_server.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single()).Authority;
    }

    public async ValueTask DisposeAsync()
    {
        await _server!.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    [Theory]
    [InlineData("")]
    [InlineData("basic")]
    [InlineData("bearer")]
    public async Task An_image_is_uploaded_once_with_the_credentials_that_the_registry_asks_for(string asks)
    {
        _asks = asks;
        var archive = Archive();
        var first = await PushAsync(archive, "me", "secret");
        Assert.Equal((2, 0), (first.Uploaded, first.Present));
        Assert.Equal(first.Digest, Digest.Of(_stored["manifests/1.0"]));
        _requests.Clear();
        var second = await PushAsync(archive, "me", "secret");
        Assert.Equal((0, 2), (second.Uploaded, second.Present));
        Assert.DoesNotContain(_requests, request => request.StartsWith("POST", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("basic", "could not log in: 401 Unauthorized: UNAUTHORIZED: who are you?")]
    [InlineData("bearer", "could not get a token: 401 Unauthorized")]
    public async Task Wrong_credentials_are_told_with_what_the_registry_says(string asks, string told)
    {
        _asks = asks;
        var refused = await Assert.ThrowsAsync<ProblemException>(() => PushAsync(Archive(), "me", "wrong"));
        Assert.StartsWith($"registry {_host}: {told}", refused.Message, StringComparison.Ordinal);
        Assert.EndsWith("(check --username and --password-stdin, or log in with docker or podman, and the account's rights)", refused.Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_registry_without_TLS_is_told()
    {
        using var client = new RegistryClient(new(_host, "a/isthmus", "1.0"), new(PlainHttp: false, "", "", ""));
        using var archive = ImageArchive.Open(Archive());
        var refused = await Assert.ThrowsAsync<ProblemException>(() => ImagePush.RunAsync(archive, "amd64", client, _ => { }, Stop));
        Assert.StartsWith($"registry {_host}: TLS failed: ", refused.Message, StringComparison.Ordinal);
        Assert.EndsWith("(trust its authority with --ca-file, or use --plain-http if it has no TLS)", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_machine_of_another_architecture_uploads_the_only_image()
    {
        using var client = new RegistryClient(new(_host, "a/isthmus", "1.0"), new(PlainHttp: true, "", "", ""));
        using var archive = ImageArchive.Open(Archive());
        Assert.Equal(Digest.Of(archive.Read(archive.Images("amd64")[0].Manifest!)),
            (await ImagePush.RunAsync(archive, "arm64", client, _ => { }, Stop)).Digest);
    }

    [Theory]
    [InlineData("isthmus:1", RegistryName.DockerHost, "library/isthmus", "1")]
    [InlineData("registry.example.com:5000/a/b", "registry.example.com:5000", "a/b", "latest")]
    public void A_name_has_a_registry_a_repository_and_a_tag(string text, string host, string repository, string tag) =>
        Assert.Equal(new RegistryName(host, repository, tag), RegistryName.Parse(text));

    [Theory]
    [InlineData("a@sha256:00")]
    [InlineData("a b")]
    [InlineData("registry.example.com/Upper:1")]
    public void A_name_that_cannot_be_pushed_is_refused(string text) => Assert.Throws<WrongUseException>(() => RegistryName.Parse(text));

    [Fact]
    public void Stored_credentials_are_those_of_the_registry()
    {
        var file = Path.Combine(_directory, "config.json");
        File.WriteAllText(file,
            $$"""{"auths": {"other": {"auth": "eDp5"}, "{{_host}}": {"auth": "{{Convert.ToBase64String(Encoding.UTF8.GetBytes("me:a:b"))}}"} } }""");
        var access = new RegistryAccess(true, "", "", "");
        Assert.Equal(("me", "a:b"), (access.WithStored(_host, ["/nowhere", file]).User, access.WithStored(_host, [file]).Password));
        Assert.Equal("given", (access with { User = "given" }).WithStored(_host, [file]).User);
        Assert.Equal("", access.WithStored("third", [file]).User);
        File.WriteAllText(file, "{");
        Assert.Throws<ProblemException>(() => access.WithStored(_host, [file]));
    }

    [Theory]
    [InlineData("containerd", "ctr --namespace k8s.io images import /a.tar")]
    [InlineData("docker", "docker load --input /a.tar")]
    [InlineData("podman", "podman load --input /a.tar")]
    [InlineData("kind", "kind load image-archive /a.tar --name c1")]
    [InlineData("k3s", "k3s ctr images import /a.tar")]
    public void Each_store_has_its_own_command(string to, string command)
    {
        var store = ImageStore.Find(to);
        Assert.Equal(command, string.Join(' ', store.Words("/a.tar", "c1").Prepend(store.Program)));
    }

    [Fact]
    public async Task A_store_whose_program_is_missing_is_told_with_a_remedy()
    {
        var refused = await Assert.ThrowsAsync<ProblemException>(() => new ImageStore("x", "no-such-program", ["load"], "the package x").LoadAsync("/a.tar", "",
            Stop));
        Assert.StartsWith("no-such-program: the program was not found (install the package x, or", refused.Message, StringComparison.Ordinal);
        Assert.Equal("--to: 'nomad' is not a place for images (use containerd, docker, podman, kind or k3s)",
            Assert.Throws<WrongUseException>(() => ImageStore.Find("nomad")).Message);
    }

    private async Task<PushResult> PushAsync(string archive, string user, string password)
    {
        using var client = new RegistryClient(new(_host, "a/isthmus", "1.0"), new(PlainHttp: true, "", user, password));
        using var images = ImageArchive.Open(archive);
        return await ImagePush.RunAsync(images, "amd64", client, _ => { }, Stop);
    }

    private string Archive()
    {
        var tree = new LayerTree();
        tree.AddText("etc/motd", "hello\n");
        var layer = LayerWriter.Write(tree, Path.Combine(_directory, $"{Guid.NewGuid():n}.tar.gz"), "test", Time, Stop);
        var image = ImageDocuments.Make(new(["example.com/a:1"], "amd64", new(["/bin/run"], [], default, "", "/"), default, Time), [layer]);
        var file = Path.Combine(_directory, $"{Guid.NewGuid():n}.tar");
        using var output = File.Create(file);
        ArchiveWriter.Write(output, [image], Time, Stop);
        return file;
    }

    private async Task AnswerAsync(HttpContext context)
    {
        var request = context.Request;
        var basic = $"Basic {Convert.ToBase64String("me:secret"u8)}";
        lock (_requests) _requests.Add($"{request.Method} {request.Path}");
        if (request.Path == "/token")
        {
            var allowed = request.Headers.Authorization == basic && request.Query["scope"] == "repository:a/isthmus:pull,push"
                && request.Query["service"] == "test";
            context.Response.StatusCode = allowed ? 200 : 401;
            if (allowed) await context.Response.WriteAsync("""{"token": "t0ken"}""");
            return;
        }
        if ((_asks == "basic" && request.Headers.Authorization != basic) || (_asks == "bearer" && request.Headers.Authorization != Bearer))
        {
            context.Response.StatusCode = 401;
            context.Response.Headers.WWWAuthenticate = _asks == "basic"
                ? "Basic realm=\"r\""
                : $"Bearer realm=\"http://{_host}/token\",service=\"test\",scope=\"x\"";
            await context.Response.WriteAsync("""{"errors": [{"code": "UNAUTHORIZED", "message": "who are you?"}]}""");
            return;
        }
        using var body = new MemoryStream();
        await request.Body.CopyToAsync(body);
        const string prefix = "/v2/a/isthmus/";
        var path = request.Path.Value!.StartsWith(prefix, StringComparison.Ordinal) ? request.Path.Value[prefix.Length..] : "";
        switch (request.Method)
        {
            case "GET" when request.Path == "/v2/":
                break;
            case "HEAD":
                context.Response.StatusCode = _stored.ContainsKey(path) ? 200 : 404;
                break;
            case "POST" when path == "blobs/uploads/":
                context.Response.StatusCode = 202;
                context.Response.Headers.Location = $"{prefix}uploads/1?state=x";
                break;
            case "PUT" when path == "uploads/1" && request.Query["state"] == "x":
                var digest = request.Query["digest"].ToString();
                Assert.Equal(digest, Digest.Of(body.ToArray()).ToString());
                _stored[$"blobs/{digest}"] = body.ToArray();
                context.Response.StatusCode = 201;
                break;
            case "PUT" when path == "manifests/1.0" && request.ContentType == "application/vnd.oci.image.manifest.v1+json":
                _stored[path] = body.ToArray();
                context.Response.StatusCode = 201;
                break;
            default:
                context.Response.StatusCode = 400;
                break;
        }
    }
}

using System.Collections.Concurrent;
using System.Formats.Tar;
using System.IO.Compression;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using Isthmus.Proxy.EnvoyPlane.Modules;
using Isthmus.Proxy.Transports;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Proxy.Agent;

/// <summary>How agents get modules of Wasm from web servers and registries.</summary>
public sealed class ModuleStoreTests : IDisposable
{
    private const string Layer = "application/vnd.oci.image.layer.v1.tar+gzip", Plain = "application/vnd.module.wasm.content.layer.v1+wasm";

    private static readonly byte[] Module = WasmModule.AddingHeader("x-wasm");

    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-test-").FullName;
    private readonly ImpatientClock _clock = new();

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Theory]
    [InlineData("plain")]
    [InlineData("compressed")]
    [InlineData("archive")]
    public async Task A_web_server_may_pack_a_module(string form)
    {
        var body = form switch { "plain" => Module, "compressed" => Compressed(Module), _ => Compressed(Archive("any.wasm", Module)) };
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.Body.WriteAsync(body).AsTask());
        using var store = Store();
        var path = await store.GetAsync(Request($"http://127.0.0.1:{server.Port}/a.wasm", sha256: Hash(Module)), Stop);
        Assert.Equal(Module, await File.ReadAllBytesAsync(path, Stop));
        Assert.StartsWith(_directory, path, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_there_is_not_fetched_again()
    {
        var asked = 0;
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, context =>
        {
            Interlocked.Increment(ref asked);
            return context.Response.Body.WriteAsync(Module).AsTask();
        });
        using var store = Store();
        var url = $"http://127.0.0.1:{server.Port}/a.wasm";
        var paths = await Task.WhenAll(Enumerable.Range(0, 8).Select(at => store.GetAsync(Request(url) with { Plugin = $"p{at}" }, Stop)));
        Assert.Single(paths.Distinct());
        _ = await store.GetAsync(Request(url) with { Version = "2" }, Stop);
        Assert.InRange(asked, 1, 4); // four at a time may begin
        var before = asked;
        // Each version of the object once, whatever is there.
        foreach (var version in (string[])["2", "3", "3", "4"]) _ = await store.GetAsync(Request(url) with { PullPolicy = "Always", Version = version }, Stop);
        Assert.Equal(before + 2, asked);
    }

    [Fact]
    public async Task A_server_that_is_starting_is_asked_again_and_one_that_says_no_is_not()
    {
        var asked = 0;
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, context =>
        {
            var count = Interlocked.Increment(ref asked);
            if (context.Request.Path == "/no") context.Response.StatusCode = 404;
            else if (count < 3) context.Response.StatusCode = 503;
            else return context.Response.Body.WriteAsync(Module).AsTask();
            return Task.CompletedTask;
        });
        using var store = Store();
        _ = await store.GetAsync(Request($"http://127.0.0.1:{server.Port}/yes"), Stop);
        Assert.Equal(3, asked);
        Assert.Equal("the server answers 404", await RefusedAsync(store, Request($"http://127.0.0.1:{server.Port}/no")));
        Assert.Equal(4, asked);
    }

    [Fact]
    public async Task What_is_no_module_or_another_one_is_refused()
    {
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.Body.WriteAsync(
            context.Request.Path == "/text"
                ? "hello there"u8.ToArray()
                : context.Request.Path == "/bomb"
                ? Compressed(new byte[ModuleArchive.MaxBytes + 1])
                : Module)
            .AsTask());
        using var store = Store();
        var url = $"http://127.0.0.1:{server.Port}";
        Assert.Equal("it is not a module of Wasm", await RefusedAsync(store, Request($"{url}/text")));
        Assert.Contains("larger than", await RefusedAsync(store, Request($"{url}/bomb")), StringComparison.Ordinal);
        Assert.Equal($"it hashes to {Hash(Module)}, which is not the sha256 of the plugin",
            await RefusedAsync(store, Request($"{url}/a", sha256: new('a', 64))));
        Assert.Equal("URLs of ftp are not supported: use http, https or oci", await RefusedAsync(store, Request("ftp://a.example/b")));
        Assert.Empty(Directory.EnumerateFiles(_directory));
    }

    [Theory]
    [InlineData("169.254.169.254")]
    [InlineData("::ffff:169.254.169.254")]
    [InlineData("fd00:ec2::254")]
    [InlineData("100.100.100.200")]
    public async Task Nothing_comes_from_the_metadata_service_of_a_cloud_whatever_leads_there(string address)
    {
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, context =>
        {
            context.Response.Redirect("http://inside.example/secret");
            return Task.CompletedTask;
        });
        using var store = Store(new Names { ["inside.example"] = address });
        Assert.Contains("from which no module may come", await RefusedAsync(store, Request("http://inside.example/secret")), StringComparison.Ordinal);
        Assert.Contains("from which no module may come", await RefusedAsync(store, Request($"http://127.0.0.1:{server.Port}/a.wasm")),
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_certificate_of_a_server_counts_unless_the_host_is_named_as_insecure()
    {
        using var ca = new TestCa("modules");
        using var certificate = ca.Server("spiffe://a", "a.example");
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.Body.WriteAsync(Module).AsTask(), certificate);
        var url = $"https://127.0.0.1:{server.Port}/a.wasm";
        using (var store = Store()) Assert.Contains("certificate", await RefusedAsync(store, Request(url)), StringComparison.OrdinalIgnoreCase);
        using (var store = Store(insecure: $"127.0.0.1:{server.Port}")) _ = await store.GetAsync(Request(url), Stop);
    }

    [Theory]
    [InlineData(Layer)]
    [InlineData(Plain)]
    public async Task A_registry_is_asked_with_a_token_for_which_it_names_the_server(string form)
    {
        await using var registry = await Registry.StartAsync(form);
        var names = new Names { ["auth.example"] = "127.0.0.1", ["registry.example"] = "127.0.0.1" };
        using var store = Store(names, $"registry.example:{registry.Port}");
        var url = $"oci://registry.example:{registry.Port}/shop/filter:v1";
        var request = Request(url) with { Credentials = registry.Secret };
        Assert.Equal(Module, await File.ReadAllBytesAsync(await store.GetAsync(request, Stop), Stop));
        Assert.Contains("Basic " + Convert.ToBase64String("me:secret"u8), registry.Shown);
        // The token is for the registry, and the password for the one who gives tokens.
        Assert.All(registry.ShownToRegistry, shown => Assert.True(shown is "" or "Bearer token-1", shown));
        Assert.Contains("401", await RefusedAsync(store, request with { Credentials = null, Url = url + "2" }), StringComparison.Ordinal);
        _ = await store.GetAsync(request with { Sha256 = registry.ManifestHash, PullPolicy = "Always", Version = "2" }, Stop);
        Assert.Contains("is not the sha256 of the plugin", await RefusedAsync(store, request with { Sha256 = new('b', 64) }), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_registry_without_TLS_is_asked_only_if_it_is_named_as_insecure()
    {
        await using var registry = await Registry.StartAsync(Plain);
        using var store = Store(new Names { ["registry.example"] = "127.0.0.1" });
        _ = await RefusedAsync(store, Request($"oci://registry.example:{registry.Port}/shop/filter:v1") with { Credentials = registry.Secret });
        Assert.Empty(registry.Shown);
    }

    /// <summary>A registry's answers, read in another way than it means or not at all, are refused; nothing of the proxy ends.</summary>
    [Theory]
    [InlineData("""{"token": "a", "token": "b"}""", "{}", "is not JSON")]
    [InlineData("""{"token": "\ud800"}""", "{}", "is not JSON")]
    [InlineData("""["token"]""", "{}", "is not JSON")]
    [InlineData("""{"token": "a"}""", """{"layers": [], "layers": [{}]}""", "the manifest is not JSON")]
    [InlineData("""{"token": "a"}""", """{"layers": [{"mediaType": "a", "mediaType": "b"}]}""", "the manifest is not JSON")]
    [InlineData("""{"token": "a"}""", """{"layers": [{"mediaType": "\udc00"}]}""", "the manifest is not JSON")]
    [InlineData("""{"token": "a"}""", "[1]", "the manifest is not an object")]
    public async Task An_answer_of_a_registry_that_is_no_strict_JSON_is_refused(string token, string manifest, string why)
    {
        var port = 0;
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, context =>
        {
            if (context.Request.Path == "/token") return context.Response.WriteAsync(token);
            if (context.Request.Headers.Authorization == "Bearer a") return context.Response.WriteAsync(manifest);
            context.Response.StatusCode = 401;
            context.Response.Headers.WWWAuthenticate = $"Bearer realm=\"http://auth.example:{port}/token\"";
            return Task.CompletedTask;
        });
        port = server.Port;
        using var store = Store(new Names { ["auth.example"] = "127.0.0.1", ["registry.example"] = "127.0.0.1" }, $"registry.example:{port}");
        Assert.Contains(why, await RefusedAsync(store, Request($"oci://registry.example:{port}/shop/filter:v1")), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("http://127.0.0.1:1/token")]
    [InlineData("http://localhost/token")]
    [InlineData("http://10.0.0.1/token")]
    [InlineData("http://[fd00::1]/token")]
    [InlineData("http://metadata.google.internal/token")]
    [InlineData("file:///etc/passwd")]
    public async Task A_registry_cannot_have_the_password_sent_into_the_network_of_the_Pod(string realm)
    {
        await using var registry = await Registry.StartAsync(Plain, realm);
        using var store = Store(new Names { ["registry.example"] = "127.0.0.1" }, "*");
        Assert.Contains("names the realm",
            await RefusedAsync(store, Request($"oci://registry.example:{registry.Port}/shop/filter:v1") with { Credentials = registry.Secret }),
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("oci://a.example/b/c:v1", "a.example", "b/c", "v1", false)]
    [InlineData("oci://a.example:5000/c", "a.example:5000", "c", "latest", true)]
    [InlineData("oci://shop/filter", "index.docker.io", "shop/filter", "latest", true)]
    [InlineData("oci://filter:latest", "index.docker.io", "library/filter", "latest", true)]
    [InlineData("oci://a.example/c@sha256:0123456789012345678901234567890123456789012345678901234567890123", "a.example", "c",
        "sha256:0123456789012345678901234567890123456789012345678901234567890123", false)]
    public void The_address_of_an_image_is_read_as_Docker_does(string url, string registry, string repository, string name, bool always)
    {
        var image = ImageReference.Parse(url);
        Assert.Equal((registry, repository, name), (image.Registry, image.Repository, image.Name));
        Assert.Equal(always, Request(url).IsAlwaysPulled);
    }

    [Theory]
    [InlineData("""{"auths": {"https://index.docker.io/v1/": {"auth": "bWU6c2VjcmV0"}}}""", "index.docker.io", "bWU6c2VjcmV0", "")]
    [InlineData("""{"auths": {"a.example": {"username": "me", "password": "secret"}}}""", "a.example", "bWU6c2VjcmV0", "")]
    [InlineData("""{"auths": {"https://a.example/v2/": {"registrytoken": "t"}}}""", "a.example", "", "t")]
    [InlineData("""{"auths": {"a.example": {"auth": "bWU6c2VjcmV0"}}}""", "b.example", "", "")]
    [InlineData("null", "b.example", "", "")]
    public void Credentials_are_those_of_the_host(string text, string registry, string basic, string bearer) =>
        Assert.Equal(new(basic, bearer), RegistryCredentials.Read(text, registry));

    [Theory]
    [InlineData("{")]
    [InlineData("""{"auths": {"a.example": {"auth": "?"}}}""")]
    [InlineData("""{"auths": {"a.example": {"auth": 1}}}""")]
    [InlineData("""{"auths": {"a.example": {"auth": "bWU6c2VjcmV0", "auth": "YTpi"}}}""")]
    [InlineData("""{"auths": {"a.example": {}}, "auths": {"a.example": {}}}""")]
    [InlineData("""{"auths": {"a.example": {"registrytoken": "\ud800"}}}""")]
    public void Malformed_credentials_are_named_but_not_shown(string text) =>
        Assert.Equal("the Secret with credentials of registries is malformed",
            Assert.Throws<ModuleException>(() => RegistryCredentials.Read(text, "a.example")).Message);

    private ModuleStore Store(Names? names = null, params string[] insecure) =>
        new(Path.Combine(_directory, "wasm"), new(_clock, new Random(1), new ProcessSockets(), names ?? new()), insecure);

    private static ModuleRequest Request(string url, string sha256 = "") => new("shop.filter", url, sha256, "", "1", null);

    private static async Task<string> RefusedAsync(ModuleStore store, ModuleRequest request) =>
        (await Assert.ThrowsAsync<ModuleException>(() => store.GetAsync(request, Stop))).Message;

    private static string Hash(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    private static byte[] Compressed(byte[] bytes)
    {
        using var whole = new MemoryStream();
        using (var packing = new GZipStream(whole, CompressionLevel.Fastest)) packing.Write(bytes);
        return whole.ToArray();
    }

    private static byte[] Archive(string name, byte[] bytes)
    {
        using var whole = new MemoryStream();
        using (var writer = new TarWriter(whole, TarEntryFormat.Ustar, leaveOpen: true))
            writer.WriteEntry(new UstarTarEntry(TarEntryType.RegularFile, name) { DataStream = new MemoryStream(bytes) });
        return whole.ToArray();
    }

    private sealed class Names : Dictionary<string, string>, INameResolver
    {
        public ValueTask<(IReadOnlyList<IPAddress> Addresses, TimeSpan TimeToLive)> ResolveAsync(string name, CancellationToken stop) =>
            new(((IReadOnlyList<IPAddress>)(TryGetValue(name, out var address) ? [IPAddress.Parse(address)] : []), TimeSpan.Zero));
    }

    /// <summary>A registry without TLS that demands tokens, and the server that gives them.</summary>
    private sealed class Registry : IAsyncDisposable
    {
        private OriginServer _server = null!;
        private readonly ConcurrentQueue<(string Path, string Authorization)> _asked = [];

        public int Port => _server.Port;

        public string ManifestHash { get; private set; } = "";

        public string Secret => $$"""{"auths": {"registry.example:{{Port}}": {"username": "me", "password": "secret"} } }""";

        public IEnumerable<string> Shown => _asked.Select(asked => asked.Authorization);

        public IEnumerable<string> ShownToRegistry =>
            _asked.Where(asked => asked.Path.StartsWith("/v2/", StringComparison.Ordinal)).Select(asked => asked.Authorization);

        public static async Task<Registry> StartAsync(string form, string? realm = null)
        {
            var registry = new Registry();
            var layer = form == Layer ? Compressed(Archive("plugin.wasm", Module)) : Module;
            var manifest = Encoding.UTF8.GetBytes(
                $$"""
                    {"schemaVersion": 2, "layers": [{"mediaType": "application/json", "digest": "sha256:{{new string('0', 64)}}"},
                      {"mediaType": "{{form}}", "digest": "sha256:{{Hash(layer)}}"}]}
                    """);
            registry.ManifestHash = Hash(manifest);
            registry._server = await OriginServer.StartAsync(HttpProtocols.Http1, context =>
            {
                var authorization = context.Request.Headers.Authorization.ToString();
                registry._asked.Enqueue((context.Request.Path, authorization));
                if (context.Request.Path == "/token")
                {
                    if (authorization != "Basic " + Convert.ToBase64String("me:secret"u8)) context.Response.StatusCode = 401;
                    return context.Response.WriteAsync("""{"token": "token-1"}""");
                }
                if (authorization != "Bearer token-1")
                {
                    context.Response.StatusCode = 401;
                    context.Response.Headers.WWWAuthenticate =
                        $"Bearer realm=\"{realm ?? $"http://auth.example:{registry.Port}/token"}\",service=\"registry\",scope=\"repository:shop/filter:pull\"";
                    return Task.CompletedTask;
                }
                if (context.Request.Path == "/v2/shop/filter/manifests/v1") return context.Response.Body.WriteAsync(manifest).AsTask();
                if (context.Request.Path == $"/v2/shop/filter/blobs/sha256:{Hash(layer)}") return context.Response.Body.WriteAsync(layer).AsTask();
                context.Response.StatusCode = 404;
                return Task.CompletedTask;
            });
            return registry;
        }

        public ValueTask DisposeAsync() => _server.DisposeAsync();
    }
}

using System.IO.Compression;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Proxy.Admin;
using Isthmus.Proxy.Dumps;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Transports;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Proxy.Agent;

public sealed class AdminRepliesTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_hook_that_fails_ends_its_connection_without_an_answer()
    {
        using var port = new ReservedPort();
        using var end = new CancellationTokenSource();
        var server = new AdminServer(new(IPAddress.Loopback, port.Number), new ProcessSockets(), (_, _) => { },
            (request, _) => ValueTask.FromResult<AdminReply?>(
            request.TargetText == "/none" ? AdminReply.None : AdminReply.Text("done"))).RunAsync(end.Token);
        using var client = new HttpClient();
        await Eventually.TrueAsync(async () =>
        {
            var failure = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync($"http://127.0.0.1:{port.Number}/none", Stop));
            // At first it does not listen yet.
            Assert.True(failure.HttpRequestError is HttpRequestError.ResponseEnded or HttpRequestError.ConnectionError, $"{failure.HttpRequestError}");
            return failure.HttpRequestError == HttpRequestError.ResponseEnded;
        }, "the connection ends without an answer");
        Assert.Equal("done", await client.GetStringAsync($"http://127.0.0.1:{port.Number}/", Stop));
        await end.CancelAsync();
        await server.WaitAsync(TimeSpan.FromSeconds(30), Stop);
    }

    /// <summary>The kernel would hold back the last part of an answer, which a client acknowledges only after 40 ms.</summary>
    [Fact]
    public async Task Answers_leave_at_once()
    {
        using var port = new ReservedPort();
        using var end = new CancellationTokenSource();
        var sockets = new KnownSockets();
        var server = new AdminServer(new(IPAddress.Loopback, port.Number), sockets, (_, _) => { }).RunAsync(end.Token);
        Assert.True(Assert.Single(sockets.Created).NoDelay);
        await end.CancelAsync();
        await server.WaitAsync(TimeSpan.FromSeconds(30), Stop);
    }

    [Theory]
    [InlineData("gzip", true, "gzip")]
    [InlineData("br", true, "br")]
    [InlineData("gzip;q=0.4, BR;q=0.5", true, "br")]
    [InlineData("zstd, gzip", true, "gzip")]
    [InlineData("zstd", true, "")]
    [InlineData("identity", true, "")]
    [InlineData("gzip;q=0, br;q=x", true, "")]
    [InlineData("", true, "")]
    [InlineData("gzip, br", false, "")]
    public async Task A_scrape_is_compressed_as_the_client_prefers(string accepted, bool compresses, string coding)
    {
        using var port = new ReservedPort();
        using var end = new CancellationTokenSource();
        var lines = Enumerable.Range(0, 20_000).Select(i => $"istio_requests_total{{destination=\"{i}\"}} {i * 7919 % 104729}\n").ToList();
        var body = Scrape.Of([lines.Take(10_000), lines.Skip(10_000)], (_, _) => { });
        var server = new AdminServer(new(IPAddress.Loopback, port.Number), new ProcessSockets(), (_, _) => { },
            (request, _) => ValueTask.FromResult<AdminReply?>(Scrape.Reply(request, compresses, body))).RunAsync(end.Token);
        using var client = new HttpClient(new SocketsHttpHandler { AutomaticDecompression = DecompressionMethods.None });
        for (var i = 0; i < 2; i++) // the second one on the same connection
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"http://127.0.0.1:{port.Number}/stats/prometheus");
            if (accepted.Length > 0) request.Headers.TryAddWithoutValidation("accept-encoding", accepted);
            using var response = await client.SendAsync(request, Stop);
            Assert.Equal(coding, string.Join(",", response.Content.Headers.ContentEncoding));
            Assert.Equal(coding.Length > 0, response.Headers.Vary.Contains("Accept-Encoding"));
            var sent = await response.Content.ReadAsByteArrayAsync(Stop);
            using var memory = new MemoryStream(sent);
            using Stream plain = coding switch
            {
                "gzip" => new GZipStream(memory, CompressionMode.Decompress),
                "br" => new BrotliStream(memory, CompressionMode.Decompress),
                _ => memory
            };
            Assert.Equal(string.Concat(lines), await new StreamReader(plain).ReadToEndAsync(Stop));
            if (coding.Length > 0) Assert.True(sent.Length < string.Concat(lines).Length / 3, $"{sent.Length} bytes");
        }
        await end.CancelAsync();
        await server.WaitAsync(TimeSpan.FromSeconds(30), Stop);
    }

    [Fact]
    public async Task Behind_mesh_TLS_only_clients_with_a_certificate_of_the_mesh_are_answered()
    {
        using var mesh = new TestCa("mesh");
        using var other = new TestCa("other");
        using var port = new ReservedPort();
        using var end = new CancellationTokenSource();
        var server = new AdminServer(new(IPAddress.Loopback, port.Number), new ProcessSockets(), (_, _) => { },
            (_, _) => ValueTask.FromResult<AdminReply?>(AdminReply.Text("metrics")))
        {
            Tls = new(new MeshSecrets(mesh), TimeProvider.System),
        }.RunAsync(end.Token);
        using var collector = mesh.Server("spiffe://cluster.local/ns/monitoring/sa/prometheus");
        using var stranger = other.Server("spiffe://cluster.local/ns/monitoring/sa/prometheus");
        Assert.Equal("metrics", await AskAsync(port.Number, collector));
        await Assert.ThrowsAsync<HttpRequestException>(() => AskAsync(port.Number, stranger));
        await Assert.ThrowsAsync<HttpRequestException>(() => AskAsync(port.Number, null));
        using var plain = new HttpClient();
        await Assert.ThrowsAsync<HttpRequestException>(() => plain.GetStringAsync($"http://127.0.0.1:{port.Number}/stats/prometheus", Stop));
        // Those who were refused hold nothing up.
        Assert.Equal("metrics", await AskAsync(port.Number, collector));
        await end.CancelAsync();
        await server.WaitAsync(TimeSpan.FromSeconds(30), Stop);
    }

    private static async Task<string> AskAsync(int port, X509Certificate2? own)
    {
        using var client = new HttpClient(new SocketsHttpHandler
        {
            SslOptions = new()
            {
                RemoteCertificateValidationCallback = (_, _, _, _) => true, ClientCertificates = own is null ? [] : [own],
                LocalCertificateSelectionCallback = (_, _, _, _, _) => own!,
            },
        });
        return await client.GetStringAsync($"https://127.0.0.1:{port}/stats/prometheus", Stop);
    }

    private sealed class MeshSecrets(TestCa ca) : ISecretSource
    {
        private readonly CertificateSecret _own = Own(ca);
        private readonly RootSecret _roots = RootSecret.Load("ROOTCA", ca.Pem);

        public event Action<string>? Changed
        {
            add { }
            remove { }
        }

        public CertificateSecret? FindCertificate(string name) => name == "default" ? _own : null;

        public RootSecret? FindRoots(string name) => name == "ROOTCA" ? _roots : null;

        public IReadOnlyList<SecretView> View() => [];

        private static CertificateSecret Own(TestCa ca)
        {
            using var certificate = ca.Server("spiffe://cluster.local/ns/shop/sa/web");
            using var key = certificate.GetECDsaPrivateKey()!;
            return CertificateSecret.Load("default", certificate.ExportCertificatePem(), key.ExportPkcs8PrivateKeyPem());
        }
    }

    private sealed class KnownSockets : ISocketFactory
    {
        internal List<Socket> Created { get; } = [];

        public Socket Create(AddressFamily family)
        {
            var created = new ProcessSockets().Create(family);
            Created.Add(created);
            return created;
        }
    }
}

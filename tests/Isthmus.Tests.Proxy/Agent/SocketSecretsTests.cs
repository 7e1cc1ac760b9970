using System.Security.Cryptography.X509Certificates;
using System.Threading.Channels;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Problems;
using Isthmus.Proxy.Agent;
using Isthmus.Proxy.Tls;
using Isthmus.Testing;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Grpc;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.Proxy.Agent;

/// <summary>Certificates from an SDS server on a Unix socket.</summary>
public sealed class SocketSecretsTests : IDisposable
{
    private const string Workload = "spiffe://example.org/ns/shop/sa/web";

    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-test-").FullName;
    private readonly TestCa _mesh = new("mesh"), _other = new("other");

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private string SocketPath => Path.Combine(_directory, "socket");

    public void Dispose()
    {
        _mesh.Dispose();
        _other.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public async Task Certificate_and_roots_of_the_own_trust_domain_come_from_the_socket_and_what_cannot_be_used_changes_nothing()
    {
        var secrets = Secrets();
        using var end = new CancellationTokenSource();
        var running = secrets.RunAsync(end.Token);
        await using (var server = await ServeAsync())
        {
            var first = await server.Requests.ReadAsync(Stop);
            Assert.Equal(["default", "ROOTCA"], first.ResourceNames);
            Assert.Equal(("", "envoy"), (first.ResponseNonce, first.Node.UserAgentName));
            await server.SendAsync("1", Certificate(), Bundles(("other.org", _other), ("example.org", _mesh)));
            var accepted = await server.Requests.ReadAsync(Stop);
            Assert.Equal(("1", "n1", null), (accepted.VersionInfo, accepted.ResponseNonce, accepted.ErrorDetail));
            Assert.Equal([Workload], secrets.FindCertificate("default")!.Self.Uris);
            Assert.Equal(_mesh.Pem, secrets.FindRoots("ROOTCA")!.Pem);

            // Its trust domain is not that of the mesh; nothing of the response is taken.
            var before = secrets.FindCertificate("default");
            await server.SendAsync("2", Certificate(), Bundles(("other.org", _other)));
            var refused = await server.Requests.ReadAsync(Stop);
            Assert.Equal(("1", "n2"), (refused.VersionInfo, refused.ResponseNonce));
            Assert.Contains("has no roots of trust domain example.org (but of other.org)", refused.ErrorDetail.Message, StringComparison.Ordinal);
            Assert.Same(before, secrets.FindCertificate("default"));

            await server.SendAsync("3", Certificate());
            Assert.Equal("3", (await server.Requests.ReadAsync(Stop)).VersionInfo);
            Assert.NotSame(before, secrets.FindCertificate("default"));
        }

        // The server is away: the last secrets stay, and it is asked again when it is back.
        File.Delete(SocketPath);
        Assert.Equal(_mesh.Pem, secrets.FindRoots("ROOTCA")!.Pem);
        await using (var server = await ServeAsync())
        {
            await server.Requests.ReadAsync(Stop);
            await server.SendAsync("4",
                new Secret { Name = "ROOTCA", ValidationContext = new() { TrustedCa = new() { InlineBytes = ByteString.CopyFromUtf8(_other.Pem) } } });
            await server.Requests.ReadAsync(Stop);
            Assert.Equal(_other.Pem, secrets.FindRoots("ROOTCA")!.Pem);
            await end.CancelAsync();
            await running.WaitAsync(TimeSpan.FromMinutes(1), Stop);
        }
    }

    /// <summary>Of the workload's certificate, of those that the control plane sends for gateways, and of those in files.</summary>
    private void Measured(WorkloadSecrets secrets, DiscoveredSecrets discovered)
    {
        var (certificate, key) = TestCa.SelfSignedPair("front");
        discovered.Put("1", new()
        {
            Name = "kubernetes://front",
            TlsCertificate = new() { CertificateChain = new() { InlineString = certificate }, PrivateKey = new() { InlineString = key } },
        });
        var (chain, file, ca) = ($"{_directory}/tls.crt", $"{_directory}/tls.key", $"{_directory}/ca.crt");
        File.WriteAllText(chain, certificate);
        File.WriteAllText(file, key);
        File.WriteAllText(ca, _other.Pem);
        Assert.NotNull(secrets.FindCertificate($"file-cert:{chain}~{file}"));
        Assert.NotNull(secrets.FindRoots($"file-root:{ca}"));
        Assert.Equal(["default", $"file-cert:{chain}~{file}", $"file-root:{ca}", "kubernetes://front"],
            Measures("istio_agent_cert_expiry_seconds").Keys.Order());
        var (left, life) = (Measures("istio_agent_cert_expiry_seconds"), Measures("isthmus_agent_cert_lifetime_seconds"));
        Assert.Equal(left.Keys, life.Keys);
        // The certificates of tests begin with the epoch.
        Assert.All(left.Keys, name => Assert.InRange(life[name] - left[name] - DateTimeOffset.UtcNow.ToUnixTimeSeconds(), -300, 300));
        Assert.Equal((DateTimeOffset.UnixEpoch.AddYears(200) - DateTimeOffset.UnixEpoch).TotalSeconds, life[$"file-root:{ca}"]);
        // What no listener names any more is nobody's to renew.
        secrets.Forget([$"file-root:{ca}"]);
        Assert.DoesNotContain($"file-root:{ca}", Measures("istio_agent_cert_expiry_seconds").Keys);
        secrets.Forget([$"file-cert:{chain}~{file}"]);

        Dictionary<string, double> Measures(string metric)
        {
            using var prober = new AppProber("127.0.0.1");
            var text = new AgentMetrics(secrets, new AppMetricsSource([], prober), null, TimeProvider.System).Text();
            Assert.Contains($"# TYPE {metric} gauge\n", text, StringComparison.Ordinal);
            return text.Split('\n').Where(line => line.StartsWith($"{metric}{{resource_name=\"", StringComparison.Ordinal))
                .ToDictionary(line => line.Split('"')[1], line => double.Parse(line.Split(' ')[^1], System.Globalization.CultureInfo.InvariantCulture));
        }
    }

    [Fact]
    public async Task Secrets_of_a_socket_stand_in_the_place_of_the_CA_of_the_mesh()
    {
        var socket = Secrets();
        var discovered = new DiscoveredSecrets(TimeProvider.System);
        var secrets = new WorkloadSecrets(Settings(), null, new("", TimeProvider.System, NullLogger.Instance), discovered, TimeProvider.System,
            new(1), NullLogger.Instance) { Socket = socket };
        var seen = Channel.CreateUnbounded<string>();
        secrets.Changed += name => seen.Writer.TryWrite(name);
        using var end = new CancellationTokenSource();
        await using var server = await ServeAsync();
        var running = secrets.RunAsync(end.Token);
        Assert.Null(secrets.FindCertificate("default"));
        await server.Requests.ReadAsync(Stop);
        await server.SendAsync("1", Certificate(), Bundles(("example.org", _mesh)));
        Assert.Equal(["default", "ROOTCA"], new[] { await seen.Reader.ReadAsync(Stop), await seen.Reader.ReadAsync(Stop) });
        Assert.Equal([Workload], secrets.FindCertificate("default")!.Self.Uris);
        Assert.NotNull(secrets.FindRoots("ROOTCA"));
        Measured(secrets, discovered);
        Assert.Equal(0, secrets.Requests);
        Assert.Equal(["default", "ROOTCA"], secrets.View().Select(view => view.Name).Where(name => name != "kubernetes://front"));
        Assert.DoesNotContain(secrets.View(), view => (view.CertificateChainPem + view.RootsPem).Contains("PRIVATE", StringComparison.Ordinal));
        await end.CancelAsync();
        await running;
    }

    [Fact]
    public void A_socket_with_a_name_of_its_own_must_exist()
    {
        var files = new AgentFiles(_directory, null!);
        Assert.Equal("", AgentRun.WorkloadSocket(Settings(), files));
        var own = Settings(("WORKLOAD_IDENTITY_SOCKET_FILE", "spire.sock"));
        Assert.Contains("there is no socket", Assert.Throws<ProblemException>(() => AgentRun.WorkloadSocket(own, files)).Message, StringComparison.Ordinal);
        var folder = Directory.CreateDirectory($"{_directory}/var/run/secrets/workload-spiffe-uds").FullName;
        File.WriteAllText($"{folder}/spire.sock", "");
        Assert.Equal($"{folder}/spire.sock", AgentRun.WorkloadSocket(own, files));
        Assert.Throws<ProblemException>(() => Settings(("WORKLOAD_IDENTITY_SOCKET_FILE", "../socket")));
    }

    private SocketSecrets Secrets() => new(SocketPath, "example.org", "sidecar~10.0.0.1~web.shop~shop.svc", TimeProvider.System, new(1), NullLogger.Instance);

    private static AgentSettings Settings(params (string Name, string Value)[] more)
    {
        var environment = new Dictionary<string, string> { ["POD_NAME"] = "web", ["POD_NAMESPACE"] = "shop", ["INSTANCE_IP"] = "10.0.0.1" };
        foreach (var (name, value) in more) environment[name] = value;
        return AgentSettings.Read("sidecar", "", environment);
    }

    private Secret Certificate()
    {
        using var certificate = _mesh.Server(Workload);
        using var key = certificate.GetECDsaPrivateKey()!;
        return new()
        {
            Name = "default",
            TlsCertificate = new()
            {
                CertificateChain = new() { InlineBytes = ByteString.CopyFromUtf8(certificate.ExportCertificatePem()) },
                PrivateKey = new() { InlineBytes = ByteString.CopyFromUtf8(key.ExportPkcs8PrivateKeyPem()) },
            },
        };
    }

    private static Secret Bundles(params (string TrustDomain, TestCa Ca)[] bundles) => new()
    {
        Name = "ROOTCA",
        ValidationContext = new()
        {
            CustomValidatorConfig = new()
            {
                Name = "envoy.tls.cert_validator.spiffe",
                TypedConfig = Any.Pack(new SPIFFECertValidatorConfig
                {
                    TrustDomains =
                    {
                        bundles.Select(bundle => new SPIFFECertValidatorConfig.Types.TrustDomain
                        {
                            Name = bundle.TrustDomain, TrustBundle = new() { InlineString = bundle.Ca.Pem }
                        }),
                    },
                }),
            },
        },
    };

    private async Task<Served> ServeAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenUnixSocket(SocketPath, listen => listen.Protocols = HttpProtocols.Http2));
        var served = new Served(builder.Build());
        await served.StartAsync();
        return served;
    }

    /// <summary>An SDS server with one client.</summary>
    private sealed class Served : IAsyncDisposable
    {
        private readonly WebApplication _app;
        private readonly Channel<DiscoveryRequest> _requests = Channel.CreateUnbounded<DiscoveryRequest>();
        private readonly Channel<DiscoveryResponse> _responses = Channel.CreateUnbounded<DiscoveryResponse>();

        internal Served(WebApplication app)
        {
            _app = app;
            app.MapDuplex(SocketSecrets.Method, async (call, requests, responses) =>
            {
                var sending = SendAllAsync(responses, call.Stop);
                while (await requests.ReadAsync(call.Stop) is { } request) _requests.Writer.TryWrite(request);
                await sending;
            });
        }

        internal ChannelReader<DiscoveryRequest> Requests => _requests.Reader;

        public async ValueTask DisposeAsync()
        {
            using var now = new CancellationTokenSource();
            await now.CancelAsync();
            await _app.StopAsync(now.Token);
            await _app.DisposeAsync();
        }

        internal Task StartAsync() => _app.StartAsync(Stop);

        internal ValueTask SendAsync(string version, params Secret[] secrets) => _responses.Writer.WriteAsync(
            new()
            {
                VersionInfo = version, Nonce = $"n{version}", TypeUrl = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
                Resources = { secrets.Select(Any.Pack) }
            },
            Stop);

        private async Task SendAllAsync(GrpcWriter<DiscoveryResponse> responses, CancellationToken stop)
        {
            try
            {
                await foreach (var response in _responses.Reader.ReadAllAsync(stop)) await responses.WriteAsync(response, stop);
            }
            catch (OperationCanceledException)
            {
            }
        }
    }
}

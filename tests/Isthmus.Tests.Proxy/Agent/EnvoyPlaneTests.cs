using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Proxy;
using Isthmus.Proxy.Agent;
using Isthmus.Proxy.EnvoyPlane;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Transports;
using Isthmus.Testing;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Xds;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.Proxy.Agent;

/// <summary>What an agent gives to its Envoy, without a mesh.</summary>
public sealed class EnvoyPlaneTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-test-").FullName;
    private readonly TestCa _mesh = new("mesh");

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _mesh.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public async Task Secrets_come_when_they_are_there_and_again_when_they_change()
    {
        var source = new Source();
        var sockets = new EnvoySockets(_directory);
        await using var server = await sockets.StartAsync(new(null!, new("istiod", 15012), null, new(""), () => null!, NullLogger.Instance),
            new(source, NullLogger.Instance), new(), Stop);
        using var end = new CancellationTokenSource();
        // The client of SDS servers that our own agent has.
        var client = new SocketSecrets(sockets.Secrets, "cluster.local", "node", TimeProvider.System, new Random(1), NullLogger.Instance);
        var running = client.RunAsync(end.Token);
        source.Set(Certificate("spiffe://cluster.local/ns/shop/sa/web"), RootSecret.Load("ROOTCA", _mesh.Pem));
        await Eventually.TrueAsync(() => client.FindCertificate("default")?.Self.Uris is ["spiffe://cluster.local/ns/shop/sa/web"]
            && client.FindRoots("ROOTCA")?.Pem == _mesh.Pem);

        source.Set(Certificate("spiffe://cluster.local/ns/shop/sa/new"), source.Roots!);
        await Eventually.TrueAsync(() => client.FindCertificate("default")?.Self.Uris is ["spiffe://cluster.local/ns/shop/sa/new"]);

        // Envoy would accept certificates that are revoked.
        using var other = new TestCa("other");
        source.Set(Certificate("spiffe://cluster.local/ns/shop/sa/last"), RootSecret.Load("ROOTCA", other.Pem, hasRevocations: true));
        await Eventually.TrueAsync(() => client.FindCertificate("default")?.Self.Uris is ["spiffe://cluster.local/ns/shop/sa/last"]);
        Assert.Equal(_mesh.Pem, client.FindRoots("ROOTCA")!.Pem);
        await end.CancelAsync();
        await running;
    }

    /// <summary>An Envoy asks for each secret that a resource names in a stream of its own.</summary>
    [Fact]
    public async Task Secrets_are_wanted_while_a_stream_asks_for_them_and_come_by_their_names()
    {
        const string Identity = "spiffe://cluster.local/ns/shop/sa/web", Other = "spiffe://cluster.local/ns/shop/sa/other";
        var source = new Source();
        source.Set(Certificate(Identity), RootSecret.Load("ROOTCA", _mesh.Pem));
        source.Others[Identity] = Certificate(Identity);
        var sockets = new EnvoySockets(_directory);
        await using var server = await sockets.StartAsync(new(null!, new("istiod", 15012), null, new(""), () => null!, NullLogger.Instance),
            new(source, NullLogger.Instance), new(), Stop);
        using var channel = Channel(sockets.Secrets);
        var first = channel.Open(SocketSecrets.Method, new(), Stop);
        await first.WriteAsync(new() { TypeUrl = TypeUrls.Secret, ResourceNames = { Identity, Other } }, Stop);
        var answer = (await first.ReadAsync(Stop))!;
        Assert.Equal(Identity, Secret.Parser.ParseFrom(answer.Resources.Single().Value).Name);
        var second = channel.Open(SocketSecrets.Method, new(), Stop);
        await second.WriteAsync(new() { TypeUrl = TypeUrls.Secret, ResourceNames = { Identity } }, Stop);
        await second.ReadAsync(Stop);
        Assert.Equal([Identity, Other], source.Wanted);

        await first.WriteAsync(new() { TypeUrl = TypeUrls.Secret, ResourceNames = { Identity }, ResponseNonce = answer.Nonce }, Stop);
        await Eventually.TrueAsync(() => source.Forgotten is [Other]);
        await first.DisposeAsync();
        source.Others[Identity] = Certificate(Identity);
        source.Tell();
        Assert.Single((await second.ReadAsync(Stop))!.Resources);
        Assert.Equal([Other], source.Forgotten);
        await second.DisposeAsync();
        await Eventually.TrueAsync(() => source.Forgotten is [Other, Identity]);
        Assert.Equal([Identity, Other], source.Wanted);
    }

    private static GrpcChannel Channel(string path) => new(new(new Uri("http://localhost"))
    {
        Connect = async (_, stop) =>
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), stop);
            return new NetworkStream(socket, ownsSocket: true);
        },
    });

    [Fact]
    public void Only_the_user_of_the_proxy_may_enter_the_directory_of_the_sockets()
    {
        Directory.CreateDirectory(Path.Combine(_directory, "envoy"));
        _ = new EnvoySockets(_directory);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute,
            File.GetUnixFileMode(Path.Combine(_directory, "envoy")) & (UnixFileMode)0b111_111_111);
        var refused = Assert.Throws<ProblemException>(() => new EnvoySockets(Path.Combine(_directory, new string('x', 100))));
        Assert.Contains("is too long for a socket", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_program_that_is_missing_or_ends_is_named()
    {
        Assert.Contains("there is no file /no/envoy", Assert.Throws<ProblemException>(() => EnvoyProcess.Start("/no/envoy", [])).Message,
            StringComparison.Ordinal);
        var text = Path.Combine(_directory, "text");
        await File.WriteAllTextAsync(text, "no program", Stop);
        Assert.Contains($"{text} cannot be run", Assert.Throws<ProblemException>(() => EnvoyProcess.Start(text, [])).Message, StringComparison.Ordinal);
        using var process = EnvoyProcess.Start("/bin/sh", ["-c", "exit 3"]);
        await process.WaitAsync(Stop);
        Assert.Contains("/bin/sh: Envoy ended with exit status 3 before it was ready", process.Ended(wasReady: false).Message, StringComparison.Ordinal);
        using var killed = EnvoyProcess.Start("/bin/sh", ["-c", "kill -9 $$"]);
        await killed.WaitAsync(Stop);
        Assert.Contains("Envoy was killed by signal 9 (", killed.Ended(wasReady: true).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{}", "", "")]
    [InlineData("""{"binaryPath": "/usr/local/bin/envoy"}""", "", "/usr/local/bin/envoy")]
    [InlineData("{}", "/opt/envoy", "/opt/envoy")]
    [InlineData("""{"binaryPath": "/usr/local/bin/envoy"}""", "/opt/envoy", "/opt/envoy")]
    public void The_program_is_named_by_the_proxy_configuration_or_by_a_variable(string config, string variable, string path)
    {
        var settings = Settings(config, variable);
        Assert.Equal(path, settings.BinaryPath);
        var node = AgentNode.Build(settings, new Dictionary<string, string>(), new Dictionary<string, string>());
        Assert.Equal(path.Length == 0, node.Metadata.Fields.ContainsKey("ISTHMUS_VERSION"));
        Assert.Equal(path, node.Metadata.Fields["PROXY_CONFIG"].StructValue.Fields.GetValueOrDefault("binaryPath")?.StringValue ?? "");
    }

    [Fact]
    public void A_relative_program_is_refused() =>
        Assert.Contains("'envoy' is not an absolute path", Assert.Throws<ProblemException>(() => Settings("""{"binaryPath": "envoy"}""", "")).Message,
            StringComparison.Ordinal);

    [Fact]
    public async Task Envoy_takes_the_bootstrap_without_a_warning()
    {
        Assert.SkipWhen(RealEnvoy.Find() is null, RealEnvoy.Missing);
        var settings = Settings(
            """
                {"binaryPath": "/usr/local/bin/envoy",
                  "proxyStatsMatcher": {"inclusionRegexps": [".*circuit_breakers.*"], "inclusionSuffixes": ["upstream_cx_active"]}}
                """,
            "") with
        {
            HistogramBuckets = """{"istiocustom": [1, 5, 10]}""",
        };
        var node = AgentNode.Build(settings, new Dictionary<string, string> { ["app"] = "web" }, new Dictionary<string, string>());
        using var log = new ProcessLog(TextWriter.Null, TimeProvider.System);
        var ports = new ProxyPorts(TimeProvider.System, new Random(1), new ProcessSockets(), new SystemResolver());
        var proxy = ProxySettings.Default(ProxyIdentity.Unknown, "sidecar");
        var parts = new AgentParts
        {
            Settings = settings, Node = node, Proxy = proxy, Dial = null!, Secrets = null!, Discovered = null!, Names = null!, Resolver = null!, Table = null,
            TakeNames = _ => { }, Ports = ports, Files = AgentFiles.OfProcess, Log = log,
        };
        var sockets = new EnvoySockets(_directory);
        var bootstrap = EnvoyBootstrap.Write(parts, sockets);
        // Envoy refuses a field that is there in two spellings.
        BootstrapMerge.Into(bootstrap, (JsonObject)JsonNode.Parse("""
            {"statsConfig": {"statsMatcher": {"inclusionList": {"patterns": [{"prefix": "own"}]}}}, "layered_runtime": {"layers": [{"name": "own",
             "static_layer": {"a.b": 1}}]}, "staticResources": {"clusters": [{"name": "own", "connectTimeout": "1s"}]}, "stats_flush_interval": "7s"}
            """)!);
        await File.WriteAllTextAsync(sockets.Bootstrap, bootstrap.ToJsonString(), Stop);
        var arguments = EnvoyBootstrap.Arguments(settings, sockets);
        var start = new ProcessStartInfo(RealEnvoy.Find()!,
            [.. arguments, "--mode", "validate"]) { RedirectStandardError = true, RedirectStandardOutput = true };
        using var envoy = Process.Start(start)!;
        var said = await envoy.StandardError.ReadToEndAsync(Stop) + await envoy.StandardOutput.ReadToEndAsync(Stop);
        await envoy.WaitForExitAsync(Stop);
        Assert.True(envoy.ExitCode == 0, said);
        Assert.DoesNotContain("\twarning\t", said, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"a": {"b": 1}}""", """{"a": {"c": 2}}""", """{"a":{"b":1,"c":2}}""")]
    [InlineData("""{"a": [1]}""", """{"a": [2]}""", """{"a":[1,2]}""")]
    [InlineData("""{"a": 1}""", """{"a": 2, "b": null}""", """{"a":2,"b":null}""")]
    [InlineData("""{"flush_interval": "1s"}""", """{"flushInterval": "2s", "otherName": 3}""", """{"flush_interval":"2s","otherName":3}""")]
    [InlineData("""{"a": {"@type": "t/x", "b": 1}}""", """{"a": {"@type": "t/y"}}""", """{"a":{"@type":"t/y"}}""")]
    public void Bootstraps_merge_as_messages_do(string own, string patch, string merged)
    {
        var target = (JsonObject)JsonNode.Parse(own)!;
        BootstrapMerge.Into(target, (JsonObject)JsonNode.Parse(patch)!);
        Assert.Equal(merged, target.ToJsonString());
    }

    [Fact]
    public async Task A_bootstrap_that_EnvoyFilters_change_is_named_where_Envoy_ends()
    {
        using var process = EnvoyProcess.Start("/bin/sh", ["-c", "exit 1"]);
        await process.WaitAsync(Stop);
        Assert.Contains("EnvoyFilters change its bootstrap", process.Ended(wasReady: false, isPatched: true).Message, StringComparison.Ordinal);
        Assert.DoesNotContain("EnvoyFilters", process.Ended(wasReady: true, isPatched: true).Message, StringComparison.Ordinal);
    }

    private static AgentSettings Settings(string config, string variable)
    {
        var environment = new Dictionary<string, string>
        {
            ["POD_NAME"] = "web-0", ["POD_NAMESPACE"] = "shop", ["INSTANCE_IP"] = "10.0.0.1", ["PROXY_CONFIG"] = config
        };
        if (variable.Length > 0) environment["PROXY_BINARY_PATH"] = variable;
        return AgentSettings.Read("sidecar", "", environment);
    }

    private CertificateSecret Certificate(string identity)
    {
        using var certificate = _mesh.Server(identity);
        using var key = certificate.GetECDsaPrivateKey()!;
        return CertificateSecret.Load("default", certificate.ExportCertificatePem(), key.ExportPkcs8PrivateKeyPem());
    }

    private sealed class Source : ISecretSource
    {
        private readonly ConcurrentQueue<string> _wanted = [], _forgotten = [];
        private volatile CertificateSecret? _certificate;
        private volatile RootSecret? _roots;

        public event Action<string>? Changed;

        public RootSecret? Roots => _roots;

        internal ConcurrentDictionary<string, CertificateSecret> Others { get; } = [];

        internal string[] Wanted => [.. _wanted];

        internal string[] Forgotten => [.. _forgotten];

        public void Want(IReadOnlyCollection<string> names)
        {
            foreach (var name in names) _wanted.Enqueue(name);
        }

        public void Forget(IReadOnlyCollection<string> names)
        {
            foreach (var name in names) _forgotten.Enqueue(name);
        }

        public CertificateSecret? FindCertificate(string name) => name == "default" ? _certificate : Others.GetValueOrDefault(name);

        public RootSecret? FindRoots(string name) => name == "ROOTCA" ? _roots : null;

        public IReadOnlyList<SecretView> View() => [];

        public void Set(CertificateSecret certificate, RootSecret roots)
        {
            (_roots, _certificate) = (roots, certificate);
            Tell();
        }

        internal void Tell() => Changed?.Invoke("default");
    }
}

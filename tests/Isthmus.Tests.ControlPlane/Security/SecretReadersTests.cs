using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Push;
using Isthmus.ControlPlane.Resolve;
using Isthmus.Core.Net;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Isthmus.Wire.Xds;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Security;

/// <summary>Who may have the certificates of a namespace: the API server of the gateway's cluster decides, now and later.</summary>
public sealed class SecretReadersTests : IAsyncLifetime
{
    private static readonly AccountKey Account = new("c1", MeshRig.Namespace, "front");

    private readonly LoopbackCluster _cluster = new();
    private readonly LeapingClock _clock = new();
    private readonly Recorder _log = new();
    private readonly MeshRig _rig = new("c1");
    private readonly CancellationTokenSource _end = new();
    private PushEngine _engine = null!;
    private KubeClient _client = null!;
    private Task _running = Task.CompletedTask;
    private bool _isAway;
    private int _refused;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _client = await _cluster.StartAsync();
        await _client.CreateAsync(Kinds.Namespace, null,
            JsonNode.Parse("""{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"} }""")!.AsObject(), Stop);
        _engine = new(_rig.Writer, new(TimeSpan.FromMilliseconds(1), TimeSpan.FromSeconds(1)), TimeProvider.System, NullLogger<PushEngine>.Instance);
        _rig.GatewayPod("c1", "front");
        _rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: Gateway
            metadata: {name: front, namespace: shop}
            spec: {selector: {app: front}, servers: [{port: {number: 8443, name: https, protocol: HTTPS}, hosts: [shop.example], tls: {mode: SIMPLE, credentialName: front}}]}
            """);
        var (certificate, key) = TestCa.SelfSignedPair("front");
        _rig.Writer.Put("c1", new Secret
        {
            Metadata = new() { Name = "front", Namespace = "shop" },
            Data = new(StringComparer.Ordinal) { ["tls.crt"] = Base64(certificate), ["tls.key"] = Base64(key) },
        });
        var readers = new SecretReaders(_engine, ClientOf, _clock, _log);
        _running = Task.WhenAll(_engine.RunAsync(_end.Token), readers.RunAsync(_end.Token));
        await _engine.MarkReadyAsync(Stop);
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await _running;
        await _cluster.DisposeAsync();
        _end.Dispose();
    }

    [Fact]
    public async Task Access_that_is_granted_or_taken_away_counts_within_a_minute()
    {
        await using var gateway = Connect();
        await Eventually.TrueAsync(() => Told(gateway)
            .Contains("ServiceAccount shop/front of the gateway may not list Secrets in namespace shop", StringComparison.Ordinal));
        Assert.False(Sent(gateway));
        await GrantAsync();
        _clock.Leap(TimeSpan.FromSeconds(61));
        await Eventually.TrueAsync(() => Sent(gateway));
        Assert.Equal("", Told(gateway));
        await _client.DeleteAsync(Kinds.RoleBinding, "shop", "reader", Stop);
        _clock.Leap(TimeSpan.FromSeconds(61));
        await Eventually.TrueAsync(() => !Sent(gateway) && Told(gateway).Length > 0);
    }

    [Fact]
    public async Task While_the_API_server_is_away_its_last_answer_counts_and_without_one_nobody_gets_a_key()
    {
        Volatile.Write(ref _isAway, true);
        await using var gateway = Connect();
        await Eventually.TrueAsync(() => Told(gateway)
            .Contains("cluster 'c1' cannot be asked whether ServiceAccount shop/front may list Secrets: it is unknown here", StringComparison.Ordinal));
        Assert.False(Sent(gateway));
        await GrantAsync();
        Volatile.Write(ref _isAway, false);
        _clock.Leap(TimeSpan.FromSeconds(2));
        await Eventually.TrueAsync(() => Sent(gateway));
        Volatile.Write(ref _isAway, true);
        var refused = Volatile.Read(ref _refused);
        await _client.DeleteAsync(Kinds.RoleBinding, "shop", "reader", Stop);
        // The second attempt begins after what the first led to.
        foreach (var attempt in (int[])[1, 2])
        {
            _clock.Leap(TimeSpan.FromMinutes(2));
            await Eventually.TrueAsync(() => Volatile.Read(ref _refused) >= refused + attempt);
        }
        Assert.True(Sent(gateway));
        Volatile.Write(ref _isAway, false);
        _clock.Leap(TimeSpan.FromMinutes(2));
        await Eventually.TrueAsync(() => !Sent(gateway));
    }

    [Fact]
    public async Task Nothing_is_kept_of_an_account_without_a_gateway()
    {
        var gateway = Connect();
        await Eventually.TrueAsync(() => _engine.Mesh.Sources.SecretAccess.Items.ContainsKey(Account));
        await gateway.DisposeAsync();
        await Eventually.TrueAsync(() => _engine.Mesh.Sources.SecretAccess.Items.IsEmpty);
    }

    [Theory]
    [InlineData("front", "Debug")]
    [InlineData("other", "Warning")]
    public async Task Who_needs_no_right_to_read_Secrets_is_not_warned_of(string deployed, string level)
    {
        var gateway = JsonNode.Parse($$"""
            {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
             "metadata": {"name": "door", "namespace": "shop", "annotations": {"gateway.istio.io/service-account": "{{deployed}}"} },
             "spec": {"gatewayClassName": "istio", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}] } }
            """)!.AsObject();
        await _engine.PostAsync(writer => writer.Kinds.GatewayApi.First(kind => kind.Descriptor == MeshApi.ApiGateway).StageTree(writer, "c1", gateway), Stop);
        await Eventually.TrueAsync(() => _engine.Mesh.GatewayApi.Gateways.Items.Count == 1);
        await using var feed = Connect();
        await Eventually.TrueAsync(() => _log.Lines.Any(line => line.Contains("shop/front", StringComparison.Ordinal)));
        Assert.StartsWith(level, Assert.Single(_log.Lines), StringComparison.Ordinal);
    }

    private sealed class Recorder : ILogger<SecretReaders>
    {
        internal ConcurrentQueue<string> Lines { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Lines.Enqueue($"{logLevel} {formatter(state, exception)}");
    }

    private ProxyFeed Connect() => _engine.Connect(new(
        ProxyKind.Router, "front-0", "shop", "shop.svc.cluster.local", "c1", "net-c1", ["net-c1"], [Address.Parse("10.244.0.99")], default, "front", "front",
        "node", "NONE", false, false, "", "", Locality.Unknown)
    {
        Proof = new(Account, "front-0"),
    });

    private async Task GrantAsync()
    {
        foreach (var (kind, text) in ((ResourceKind, string)[])
        [
            (Kinds.Role,
                """{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "reader"}, "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}]}"""),
            (Kinds.RoleBinding, """
                {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "reader"},
                 "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}, "subjects": [{"kind": "ServiceAccount", "name": "front", "namespace": "shop"}]}
                """),
        ]) await _client.CreateAsync(kind, "shop", JsonNode.Parse(text)!.AsObject(), Stop);
    }

    private KubeClient? ClientOf(string cluster)
    {
        if (!Volatile.Read(ref _isAway)) return _client;
        Interlocked.Increment(ref _refused);
        return null;
    }

    /// <summary>Whether it has the certificate.</summary>
    private static bool Sent(ProxyFeed gateway) =>
        gateway.Snapshot?.Types.GetValueOrDefault(TypeUrls.Secret)?.All.Any(secret => secret.Name == "kubernetes://front") == true;

    private static string Told(ProxyFeed gateway) => string.Concat(gateway.Problems.Select(problem => problem.ToString()));

    private static string Base64(string text) => Convert.ToBase64String(System.Text.Encoding.ASCII.GetBytes(text));
}

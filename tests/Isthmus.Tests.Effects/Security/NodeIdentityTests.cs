using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.ControlPlane.Resolve;
using Isthmus.Core.Names;
using Isthmus.Graph.Settings;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Proxy.Agent;
using Isthmus.Proxy.Tls;
using Isthmus.Rigs.Mesh;
using Isthmus.Rigs.Proxy;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Tls;
using Isthmus.Wire.Xds;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;
using TypeUrls = Isthmus.Wire.Xds.TypeUrls;

namespace Isthmus.Tests.Effects.Security;

/// <summary>A proxy that serves the workloads of its Node, with a real API server, a real control plane, and servers and clients that are not its
/// own.</summary>
public sealed class NodeIdentityTests : IAsyncLifetime
{
    private const string Namespace = "shop", Cluster = "c1", Control = "istio-system", Node = "n1";

    private readonly LoopbackCluster _cluster = new();
    private readonly CancellationTokenSource _end = new();
    private readonly ReservedPort[] _ports = [new(), new(), new(), new(), new(), new()];
    private readonly string _folder = Directory.CreateTempSubdirectory("isthmus-node-").FullName;
    private readonly ManualClock _clock = new();
    private readonly TestCa _outside = new("outside");
    private readonly DiscoveredSecrets _discovered;
    private KubeClient _client = null!;
    private Isthmus.ControlPlane.ControlPlane _controlPlane = null!;
    private OriginServer _origin = null!;
    private TrustBundle _trust = null!;
    private WorkloadSecrets _secrets = null!;
    private LoopbackProxy _proxy = null!;
    private SnapshotSink _sink = null!;
    private Task[] _running = [];
    private int _version;

    public NodeIdentityTests()
    {
        _clock.Jump(TimeProvider.System.GetUtcNow() - _clock.GetUtcNow());
        _discovered = new(_clock);
    }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _client = await _cluster.StartAsync();
        foreach (var definition in IstioCrds.All) await _client.CreateAsync(Kinds.CustomResourceDefinition, (JsonObject)definition.DeepClone(), Stop);
        foreach (var ns in (string[])[Control, Namespace]) await MakeAsync(Kinds.Namespace, "", ns);
        foreach (var account in (string[])["node-proxy", "a", "b", "c"]) await MakeAsync(Kinds.ServiceAccount, Namespace, account);
        var root = await MadeRoot.CreateAsync(_client, Control);
        var pem = System.Text.Encoding.UTF8.GetString(Convert.FromBase64String(root["data"]!["ca-cert.pem"]!.ToString()));
        _trust = TrustBundle.FromPem(pem, "root");
        await File.WriteAllTextAsync(Path.Combine(_folder, "root.pem"), pem, Stop);
        _origin = await OriginServer.StartAsync(HttpProtocols.Http1, TellAsync, _outside.Server("origin.example"), asksClients: true);

        var environment = new Dictionary<string, string> { ["CLUSTER_ID"] = Cluster, ["CA_TRUSTED_NODE_ACCOUNTS"] = $"{Namespace}/node-proxy" };
        var settings = DiscoverySettings.Read([], environment.GetValueOrDefault) with
        {
            MonitoringPort = _ports[4].Number, ControlPort = 0, Listen = new(_ports[0].Number, _ports[1].Number, _ports[2].Number, _ports[3].Number)
        };
        var names = new NameClient(() => new([], [], 1), new Random(1), TimeProvider.System);
        _controlPlane = Isthmus.ControlPlane.ControlPlane.Build(settings, new(TimeProvider.System, new Random(1), _client.Access, names,
            Log: NullLoggerProvider.Instance));

        var own = await PodAsync("node-proxy-1", "node-proxy", Node);
        await PodAsync("a-1", "a", Node);
        await PodAsync("b-1", "b", Node);
        await PodAsync("c-1", "c", "n2");
        await File.WriteAllTextAsync(Path.Combine(_folder, "token"), await TokenAsync(own), Stop);
        _secrets = Secrets();
        _proxy = new([], "\"route\": {\"cluster\": \"none\"}", secrets: _secrets);
        _proxy.Routes(string.Join(", ",
            "abc".Select(name => $$"""{"name": "{{name}}", "match": {"prefix": "/{{name}}"}, "route": {"cluster": "{{name}}"} }""")));
        _sink = new(_proxy.Plane.State, _discovered, _secrets, _ => { });
        _running = [_controlPlane.RunAsync(_end.Token), _secrets.RunAsync(_end.Token)];
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await Task.WhenAll(_running);
        _proxy.Dispose();
        await _controlPlane.DisposeAsync();
        await _origin.DisposeAsync();
        await _cluster.DisposeAsync();
        foreach (var port in _ports) port.Dispose();
        _outside.Dispose();
        _end.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task A_proxy_is_each_workload_of_its_Node_for_servers_and_for_clients()
    {
        Serve("a", "b", "c");
        foreach (var name in (string[])["a", "b"])
        {
            await EventuallyAsync(() => _secrets.FindCertificate(Identity(name)) is not null);
            await EventuallyAsync(() => _proxy.Plane.State.Current.Clusters.ContainsKey(name));
        }
        await EventuallyAsync(() => _secrets.IsAbsent(Identity("c")));
        // The second and third calls find a connection in the pool, or resume a session.
        foreach (var ending in (string[])["stay", "close"])
            for (var calls = 0; calls < 3; calls++)
                foreach (var name in (string[])["a", "b"]) Assert.Equal($"200 {Identity(name)} trusted", await CallAsync($"/{name}/{ending}"));
        // No Pod of c runs here. What needs its certificate has none, and the rest goes on.
        Assert.StartsWith("503 ", await CallAsync("/c/stay"), StringComparison.Ordinal);
        foreach (var name in (string[])["a", "b"]) await EventuallyAsync(async () => await HandshakeAsync(name) == Identity(name));
        Assert.Equal("", await HandshakeAsync("c"));

        var before = (A: _secrets.FindCertificate(Identity("a")), B: _secrets.FindCertificate(Identity("b")));
        // One comes to the Node, and one leaves it.
        await PodAsync("c-2", "c", Node);
        await _client.DeleteAsync(Kinds.Pod, Namespace, "b-1", Stop);
        await EventuallyAsync(() => _secrets.FindCertificate(Identity("c")) is not null);
        var failures = _secrets.Failures;
        await LaterAsync(() => _secrets.FindCertificate(Identity("a")) != before.A && _secrets.Failures > failures);
        Assert.Same(before.B, _secrets.FindCertificate(Identity("b")));
        for (var calls = 0; calls < 3; calls++)
            foreach (var name in (string[])["a", "b", "c"]) Assert.Equal($"200 {Identity(name)} trusted", await CallAsync($"/{name}/close"));
        foreach (var name in (string[])["a", "b", "c"]) await EventuallyAsync(async () => await HandshakeAsync(name) == Identity(name));

        Serve("a");
        Assert.Equal([Identity("a")], _secrets.View().Select(view => view.Name).Where(IdentityNames.Has));
        await EventuallyAsync(async () => await HandshakeAsync("b") == "");
        Assert.Equal($"200 {Identity("a")} trusted", await CallAsync("/a/close"));
    }

    private static string Identity(string account) => $"spiffe://cluster.local/ns/{Namespace}/sa/{account}";

    /// <summary>Answers with the identity of the client, and whether the roots of the mesh vouch for it.</summary>
    private Task TellAsync(HttpContext http)
    {
        var client = http.Connection.ClientCertificate;
        if (http.Request.Path.Value!.EndsWith("close", StringComparison.Ordinal)) http.Response.Headers.Connection = "close";
        return http.Response.WriteAsync(client is null ? "nobody" : $"{string.Join(' ', SubjectNames.Of(client).Uris)} "
            + (_trust.Reject(client, [], CertificateUse.Client, TimeProvider.System.GetUtcNow()) ?? "trusted"));
    }

    private async Task<string> CallAsync(string path)
    {
        using var client = new HttpClient();
        using var response = await client.GetAsync(new Uri($"http://127.0.0.1:{_proxy.Port}{path}"), Stop);
        return $"{(int)response.StatusCode} {await response.Content.ReadAsStringAsync(Stop)}";
    }

    /// <summary>The identity of the server; empty when it refuses the handshake.</summary>
    private async Task<string> HandshakeAsync(string serverName)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(IPAddress.Loopback, _ports[5].Number, Stop);
            await using var tls = new SslStream(new NetworkStream(socket), false, (_, _, _, _) => true);
            await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = serverName, EnabledSslProtocols = SslProtocols.Tls12 }, Stop);
            using var leaf = new X509Certificate2(tls.RemoteCertificate!);
            return Assert.Single(SubjectNames.Of(leaf).Uris);
        }
        catch (Exception e) when (e is IOException or AuthenticationException or SocketException)
        {
            return "";
        }
    }

    /// <summary>Configures a cluster and a server of TLS for each of the accounts, and nothing for others.</summary>
    private void Serve(params string[] accounts)
    {
        var roots = JsonValue.Create(_outside.Pem).ToJsonString();
        Apply(TypeUrls.Cluster, [.. accounts.Select(account => (account, (IMessage)WireTypes.Strict.Parse<Cluster>($$$"""
            {"name": "{{{account}}}", "type": "STATIC", "load_assignment": {"cluster_name": "{{{account}}}", "endpoints": [{"lb_endpoints": [
               {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": {{{_origin.Port}}} } } } }] }] },
             "transport_socket": {"name": "tls", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
               "sni": "origin.example", "common_tls_context": {"tls_certificate_sds_secret_configs": [{"name": "{{{Identity(account)}}}"}],
                 "validation_context": {"trusted_ca": {"inline_string": {{{roots}}} },
                   "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": "origin.example"} }] } } } } }
            """)))], [.. "abc".Select(name => $"{name}").Except(accounts)]);
        var chains = accounts.Select(account => $$$"""
            {"filter_chain_match": {"server_names": ["{{{account}}}"], "transport_protocol": "tls"},
             "filters": [{"name": "t", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
               "stat_prefix": "t", "cluster": "none"} }],
             "transport_socket": {"name": "tls", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
               "common_tls_context": {"tls_certificate_sds_secret_configs": [{"name": "{{{Identity(account)}}}"}] } } } }
            """);
        Apply(TypeUrls.Listener, [("servers", WireTypes.Strict.Parse<Listener>($$$"""
            {"name": "servers", "address": {"socket_address": {"address": "127.0.0.1", "port_value": {{{_ports[5].Number}}} } },
             "listener_filters": [{"name": "envoy.filters.listener.tls_inspector",
               "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"} }],
             "filter_chains": [{{{string.Join(',', chains)}}}] }
            """))], []);
    }

    private void Apply(string type, (string Name, IMessage Message)[] resources, string[] removed)
    {
        var version = $"{++_version}";
        var items = resources.Select(item => new XdsResource(item.Name, version, new Any { TypeUrl = type, Value = item.Message.ToByteString() }));
        Assert.Empty(_sink.Apply(new(type, version, [.. items], removed)).Rejected);
    }

    /// <summary>Failed attempts are repeated as the clock goes on.</summary>
    private Task EventuallyAsync(Func<bool> condition) => EventuallyAsync(() => Task.FromResult(condition()));

    private Task EventuallyAsync(Func<Task<bool>> condition) => Eventually.TrueAsync(() =>
    {
        _clock.Jump(TimeSpan.FromSeconds(1));
        return condition();
    });

    private Task LaterAsync(Func<bool> condition) => Eventually.TrueAsync(() =>
    {
        _clock.Jump(TimeSpan.FromHours(1));
        return condition();
    });

    private WorkloadSecrets Secrets()
    {
        var settings = AgentSettings.Read("sidecar", "", new Dictionary<string, string>
        {
            ["POD_NAME"] = "node-proxy-1", ["POD_NAMESPACE"] = Namespace, ["INSTANCE_IP"] = "10.0.0.1", ["SERVICE_ACCOUNT"] = "node-proxy",
            ["ISTIO_META_CLUSTER_ID"] = Cluster, ["CA_ADDR"] = $"istiod.{Control}.svc:{_ports[2].Number}", ["CA_ROOT_CA"] = Path.Combine(_folder, "root.pem"),
        }) with { TokenFile = Path.Combine(_folder, "token") };
        var dial = new ControlPlaneDial(settings, new(new([], [], 1), new([], TimeProvider.System), () => $"127.0.0.1 istiod.{Control}.svc\n", new(1)),
            TimeProvider.System);
        return new(settings, new(settings, dial, TimeProvider.System), new("", _clock, NullLogger.Instance), _discovered, _clock, new(1), NullLogger.Instance);
    }

    private Task<JsonObject> MakeAsync(ResourceKind kind, string ns, string name, JsonObject? spec = null)
    {
        var made = new JsonObject { ["apiVersion"] = kind.ApiVersion, ["kind"] = kind.Kind, ["metadata"] = new JsonObject { ["name"] = name } };
        if (ns.Length > 0) made["metadata"]!["namespace"] = ns;
        if (spec is not null) made["spec"] = spec;
        return _client.CreateAsync(kind, made, Stop);
    }

    private Task<JsonObject> PodAsync(string name, string account, string node) => MakeAsync(Kinds.Pod, Namespace, name, new()
    {
        ["serviceAccountName"] = account, ["nodeName"] = node, ["terminationGracePeriodSeconds"] = 0,
        ["containers"] = new JsonArray(new JsonObject { ["name"] = "web", ["image"] = "web" }),
    });

    private async Task<string> TokenAsync(JsonObject pod)
    {
        var answer = await _client.RawAsync(HttpMethod.Post, Kinds.ServiceAccount.Path(Namespace, "node-proxy", "token"), new JsonObject
        {
            ["apiVersion"] = "authentication.k8s.io/v1",
            ["kind"] = "TokenRequest",
            ["spec"] = new JsonObject
            {
                ["audiences"] = new JsonArray(WellKnown.TokenAudience),
                ["boundObjectRef"] = new JsonObject
                {
                    ["apiVersion"] = "v1", ["kind"] = "Pod", ["name"] = pod["metadata"]!["name"]!.DeepClone(), ["uid"] = pod["metadata"]!["uid"]!.DeepClone(),
                },
            },
        }, Stop);
        return JsonNode.Parse(answer)!["status"]!["token"]!.ToString();
    }
}

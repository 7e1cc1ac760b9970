using System.Net.Security;
using System.Text;
using System.Text.Json.Nodes;
using Google.Protobuf.WellKnownTypes;
using Isthmus.ControlPlane.Clusters;
using Isthmus.ControlPlane.Resolve;
using Isthmus.Graph.Settings;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Rigs.Mesh;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Xds;
using Xunit;
using Node = Isthmus.Wire.Envoy.Node;

namespace Isthmus.Tests.ControlPlane.Gateways;

/// <summary>Which gateways a real control plane gives the certificates of a namespace, and whose claims change the status of a Gateway: real
/// streams with tokens of a real API server, whose roles decide.</summary>
public sealed class GatewaySecretsTests : IAsyncLifetime
{
    private readonly LoopbackCluster _cluster = new();
    private readonly CancellationTokenSource _end = new();
    private readonly ReservedPort[] _ports = [new(), new(), new(), new(), new()];
    private KubeClient _client = null!;
    private Isthmus.ControlPlane.ControlPlane _controlPlane = null!;
    private Task _running = Task.CompletedTask;

    private static readonly ResourceKind Gateway = new(MeshApi.Gateway.Group, MeshApi.Gateway.StoredVersion, MeshApi.Gateway.Kind, MeshApi.Gateway.Plural,
        true);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _client = await _cluster.StartAsync();
        foreach (var ns in (string[])["istio-system", "edge"]) await CreateAsync(Kinds.Namespace, null, $$"""{"metadata": {"name": "{{ns}}"} }""");
        await MadeRoot.CreateAsync(_client, "istio-system");
        foreach (var definition in IstioCrds.All) await _client.CreateAsync(Kinds.CustomResourceDefinition, (JsonObject)definition.DeepClone(), Stop);
        foreach (var (ns, account) in ((string, string)[])[("edge", "front"), ("edge", "other"), ("istio-system", "other")])
        {
            await CreateAsync(Kinds.ServiceAccount, ns, $$"""{"metadata": {"name": "{{account}}"} }""");
            await CreateAsync(Kinds.Pod, ns,
                $$"""
                    {"metadata": {"name": "{{account}}-1", "labels": {"app": "{{account}}"} },
                      "spec": {"serviceAccountName": "{{account}}", "containers": [{"name": "c", "image": "i"}]} }
                    """);
        }
        await CreateAsync(Kinds.Role, "edge",
            """{"metadata": {"name": "sds"}, "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "watch"]}]}""");
        await CreateAsync(Kinds.RoleBinding, "edge", """
            {"metadata": {"name": "sds"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "sds"},
             "subjects": [{"kind": "ServiceAccount", "name": "front", "namespace": "edge"}]}
            """);
        // Of the same name, so that the wrong one would be noticed.
        foreach (var ns in (string[])["istio-system", "edge"])
        {
            var (certificate, key) = TestCa.SelfSignedPair(ns);
            await CreateAsync(Kinds.Secret, ns,
                $$"""
                    {"metadata": {"name": "front"}, "type": "kubernetes.io/tls", "data": {"tls.crt": "{{Base64(certificate)}}", "tls.key": "{{Base64(key)}}"} }
                    """);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await _running;
        await _controlPlane.DisposeAsync();
        await _cluster.DisposeAsync();
        foreach (var port in _ports) port.Dispose();
        _end.Dispose();
    }

    [Fact]
    public async Task A_gateway_gets_the_certificate_of_its_own_namespace_that_its_account_may_read()
    {
        await StartAsync();
        await GatewayAsync("edge", "front");
        await using var stream = await OpenAsync("edge", "front", "front-1");
        Assert.Equal("CN=edge", await stream.CertificateAsync());
        Assert.Equal("", await SaidAsync("edge", "front"));
    }

    [Theory]
    [InlineData("edge", "")]
    [InlineData("istio-system", "")] // whoever runs there has no right to its keys because of that
    [InlineData("edge", "istio-system")] // a namespace that the installation does not name
    public async Task Without_the_right_or_the_namespace_it_gets_none_and_the_status_says_so(string ns, string namespaces)
    {
        await StartAsync(namespaces);
        var account = namespaces.Length > 0 ? "front" : "other";
        await GatewayAsync(ns, account);
        await using var stream = await OpenAsync(ns, account, $"{account}-1");
        var expected = namespaces.Length > 0
            ? $"Secret {ns}/front is not read: the control plane reads no Secrets of namespace {ns}"
            : $"Secret {ns}/front is not sent: ServiceAccount {ns}/{account} of the gateway may not list Secrets in namespace {ns}";
        await Eventually.TrueAsync(async () => (await SaidAsync(ns, account)).Contains(expected, StringComparison.Ordinal));
        Assert.Null(await stream.CertificateAsync());
    }

    [Theory]
    [InlineData("other-1", "", "")] // it is a gateway, but not with these labels
    [InlineData("front-1", "", "Pod edge/front-1 runs as ServiceAccount edge/front")]
    [InlineData("front-1", "other-1", "its token is bound to Pod edge/other-1")]
    [InlineData("nobody", "", "neither Pod edge/nobody nor a WorkloadEntry of ServiceAccount edge/other is known")]
    public async Task Who_claims_the_labels_of_a_foreign_gateway_gets_nothing_and_changes_nothing(string name, string bound, string why)
    {
        await StartAsync();
        await GatewayAsync("edge", "front");
        await using var foreign = await OpenAsync("edge", "other", name, bound);
        if (why.Length == 0) Assert.Null(await foreign.CertificateAsync());
        else await Eventually.TrueAsync(async () => (await PageAsync("syncz")).Contains(why, StringComparison.Ordinal));
        // A real one comes later: what is told of the Gateway then is told because of it.
        await using var stream = await OpenAsync("edge", "front", "front-1");
        Assert.Equal("CN=edge", await stream.CertificateAsync());
        Assert.Equal("", await SaidAsync("edge", "front"));
        await _client.DeleteAsync(Kinds.Secret, "edge", "front", Stop);
        await Eventually.TrueAsync(async () => (await SaidAsync("edge", "front")).Length > 0);
    }

    private async Task StartAsync(string namespaces = "")
    {
        var settings = new DiscoverySettings
        {
            ClusterId = "c1", MonitoringPort = _ports[4].Number, ControlPort = 0,
            Listen = new(_ports[0].Number, _ports[1].Number, _ports[2].Number, _ports[3].Number),
            Secrets = DiscoverySettings.Read([], name => name == WellKnown.SecretNamespaces ? namespaces : null).Secrets,
        };
        _controlPlane = Isthmus.ControlPlane.ControlPlane.Build(settings, new(TimeProvider.System, new Random(1), _client.Access, new NoNames()));
        _running = _controlPlane.RunAsync(_end.Token);
        using var client = new HttpClient();
        await Eventually.TrueAsync(async () =>
        {
            try
            {
                using var answer = await client.GetAsync($"http://127.0.0.1:{_ports[0].Number}/ready", Stop);
                return answer.IsSuccessStatusCode;
            }
            catch (HttpRequestException)
            {
                return false; // It does not listen yet.
            }
        }, "the control plane is ready");
    }

    private Task GatewayAsync(string ns, string app) => CreateAsync(Gateway, ns, $$"""
        {"metadata": {"name": "{{app}}"}, "spec": {"selector": {"app": "{{app}}"},
         "servers": [{"port": {"number": 8443, "name": "https", "protocol": "HTTPS"}, "hosts": ["a.example"],
           "tls": {"mode": "SIMPLE", "credentialName": "front"} }]} }
        """);

    private async Task CreateAsync(ResourceKind kind, string? ns, string body)
    {
        var item = JsonNode.Parse(body)!.AsObject();
        (item["apiVersion"], item["kind"]) = (kind.ApiVersion, kind.Kind);
        await Eventually.TrueAsync(async () =>
        {
            try
            {
                await _client.CreateAsync(kind, ns, (JsonObject)item.DeepClone(), Stop);
                return true;
            }
            catch (KubeException e) when (e.Code == 404)
            {
                return false; // Kinds of definitions are served a moment later.
            }
        }, $"{kind.Kind} is served");
    }

    /// <summary>What the status of a Gateway says.</summary>
    private async Task<string> SaidAsync(string ns, string name) =>
        string.Concat(((await _client.FindAsync(Gateway, ns, name, Stop))!["status"]?["conditions"]?.AsArray() ?? [])
            .Select(condition => condition!["message"]));

    private async Task<string> PageAsync(string page)
    {
        using var client = new HttpClient();
        return await client.GetStringAsync($"http://127.0.0.1:{_ports[0].Number}/debug/{page}", Stop);
    }

    /// <summary>A stream of a proxy that says that it is a gateway with the labels of <c>front</c>.</summary>
    private async Task<Stream> OpenAsync(string ns, string account, string name, string pod = "")
    {
        var request = new JsonObject { ["audiences"] = new JsonArray(WellKnown.TokenAudience) };
        if (pod.Length > 0) request["boundObjectRef"] = new JsonObject { ["kind"] = "Pod", ["apiVersion"] = "v1", ["name"] = pod };
        var answer = await _client.RawAsync(HttpMethod.Post, Kinds.ServiceAccount.Path(ns, account, "token"),
            new JsonObject { ["apiVersion"] = "authentication.k8s.io/v1", ["kind"] = "TokenRequest", ["spec"] = request }, Stop);
        var node = new Node { Id = $"router~10.0.0.1~{name}.{ns}~{ns}.svc.cluster.local", Metadata = new Struct() };
        node.Metadata.Fields["CLUSTER_ID"] = Value.ForString("c1");
        node.Metadata.Fields["LABELS"] = Value.ForStruct(new() { Fields = { ["app"] = Value.ForString("front") } });
        return await Stream.OpenAsync(new($"https://127.0.0.1:{_ports[2].Number}"), JsonNode.Parse(answer)!["status"]!["token"]!.ToString(), node);
    }

    private static string Base64(string text) => Convert.ToBase64String(Encoding.ASCII.GetBytes(text));

    private sealed class Stream : IAsyncDisposable
    {
        private readonly GrpcChannel _channel;
        private readonly GrpcDuplex<DeltaDiscoveryRequest, DeltaDiscoveryResponse> _call;

        private Stream(Uri address, string token)
        {
            _channel = new(new(address)
            {
                Tls = new()
                {
                    TargetHost = "istiod.istio-system.svc", ApplicationProtocols = [SslApplicationProtocol.Http2],
                    RemoteCertificateValidationCallback = (_, _, _, _) => true
                },
            });
            _call = _channel.Open(AdsMethods.Delta,
                new() { Headers = [new("authorization", $"Bearer {token}"), new("clusterid", "c1")], Timeout = TimeSpan.FromMinutes(2) }, Stop);
        }

        internal static async Task<Stream> OpenAsync(Uri address, string token, Node node)
        {
            var stream = new Stream(address, token);
            await stream._call.WriteAsync(new DeltaDiscoveryRequest
            {
                Node = node, TypeUrl = TypeUrls.Secret, ResourceNamesSubscribe = { "kubernetes://front" }
            },
                Stop);
            return stream;
        }

        /// <summary>The subject of the certificate that it is given; null: it is told that there is none.</summary>
        internal async Task<string?> CertificateAsync()
        {
            var answer = (await _call.ReadAsync(Stop))!;
            if (answer.Resources.Count == 0) return null;
            var secret = Wire.Envoy.Secret.Parser.ParseFrom(Assert.Single(answer.Resources).Resource_.Value);
            using var certificate = System.Security.Cryptography.X509Certificates.X509Certificate2.CreateFromPem(
                secret.TlsCertificate.CertificateChain.InlineBytes.ToStringUtf8());
            return certificate.Subject;
        }

        public async ValueTask DisposeAsync()
        {
            await _call.DisposeAsync();
            _channel.Dispose();
        }
    }

    private sealed class NoNames : INameClient
    {
        public Task<NameAnswer> AskAsync(string host, CancellationToken stop) => throw new InvalidOperationException("nothing may be asked");
    }
}

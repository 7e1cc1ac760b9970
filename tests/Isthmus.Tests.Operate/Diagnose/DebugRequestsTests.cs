using System.Net;
using System.Net.Security;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using Isthmus.ControlPlane.Resolve;
using Isthmus.Graph.Settings;
using Isthmus.Core.Json;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Install;
using Isthmus.Reports;
using Isthmus.Rigs.Mesh;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Dumps;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Xds;
using Node = Isthmus.Wire.Envoy.Node;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose;

/// <summary>What istioctl asks of a control plane: debug pages over HTTP and over discovery, the version, and ControlZ.</summary>
public sealed class DebugRequestsTests : IAsyncLifetime
{
    private const string Proxy = "sidecar~10.0.0.1~web.shop~shop.svc.cluster.local";

    private static readonly ResourceKind VirtualService = new("networking.istio.io", "v1", "VirtualService", "virtualservices", true);

    private readonly LoopbackCluster _cluster = new();
    private readonly CancellationTokenSource _end = new();
    private readonly ReservedPort[] _ports = [new(), new(), new(), new(), new(), new()];
    private KubeClient _client = null!;
    private Isthmus.ControlPlane.ControlPlane _controlPlane = null!;
    private Task _running = Task.CompletedTask;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private int Http => _ports[0].Number;

    private int Monitoring => _ports[4].Number;

    private string ControlZ => $"http://127.0.0.1:{_ports[5].Number}";

    public async ValueTask InitializeAsync()
    {
        _client = await _cluster.StartAsync();
        foreach (var ns in (string[])["istio-system", "shop"])
        {
            await _client.CreateAsync(Kinds.Namespace,
                new JsonObject { ["apiVersion"] = "v1", ["kind"] = "Namespace", ["metadata"] = new JsonObject { ["name"] = ns } }, Stop);
            await _client.CreateAsync(Kinds.ServiceAccount, ns,
                new JsonObject { ["apiVersion"] = "v1", ["kind"] = "ServiceAccount", ["metadata"] = new JsonObject { ["name"] = "default" } }, Stop);
        }
        await MadeRoot.CreateAsync(_client, "istio-system");
        foreach (var definition in IstioCrds.All) await _client.CreateAsync(Kinds.CustomResourceDefinition, (JsonObject)definition.DeepClone(), Stop);
        var settings = new DiscoverySettings
        {
            ClusterId = "c1", Revision = "canary", MonitoringPort = Monitoring, ControlPort = _ports[5].Number,
            Listen = new(Http, _ports[1].Number, _ports[2].Number, _ports[3].Number),
        };
        _controlPlane = Isthmus.ControlPlane.ControlPlane.Build(settings, new(TimeProvider.System, new Random(1), _client.Access, new NoNames()));
        _running = _controlPlane.RunAsync(_end.Token);
        await Eventually.TrueAsync(IsReadyAsync);
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
    public async Task Proxy_status_and_version_read_paths_with_two_slashes()
    {
        using var channel = Plain();
        await using var proxy = await ConnectAsync(channel);
        var sync = JsonNode.Parse((await GetAsync(Monitoring, "//debug/syncz")).Body)![0]!;
        Assert.Equal(("web.shop", "c1"), (sync["proxy"]!.ToString(), sync["cluster_id"]!.ToString()));
        Assert.Equal("test 1.2.3", sync["program"]!.ToString());
        Assert.Equal("[]\n", (await GetAsync(Monitoring, "//debug/clusterz")).Body);
        var version = (await GetAsync(Monitoring, "/version")).Body.Split('-');
        Assert.Equal(3, version.Length);
        Assert.Equal((await IdentityAsync(channel))["Info"]!["version"]!.ToString(), version[0]);
        // Redirects keep the path only, so they cannot lead to another host.
        using var client = new HttpClient(new HttpClientHandler { AllowAutoRedirect = false });
        using var elsewhere = await client.GetAsync(new Uri($"http://127.0.0.1:{Http}//evil.example/debug"), Stop);
        Assert.Equal("/evil.example/debug", elsewhere.Headers.Location?.ToString());
    }

    /// <summary>What the pages hold is what their records hold, to the last byte: no field is read by another name than it is written with.</summary>
    [Fact]
    public async Task Pages_for_programs_are_their_records()
    {
        using var channel = Plain();
        await using var proxy = await ConnectAsync(channel);
        await _client.CreateAsync(Kinds.Service, "shop", new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "Service", ["metadata"] = new JsonObject { ["name"] = "web" },
            ["spec"] = new JsonObject { ["selector"] = new JsonObject { ["app"] = "web" }, ["ports"] = new JsonArray(new JsonObject { ["port"] = 80 }) },
        }, Stop);
        await _client.CreateAsync(Kinds.Secret, "istio-system", new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "Secret",
            ["metadata"] = new JsonObject { ["name"] = "remote", ["labels"] = new JsonObject { [Labels.MultiCluster] = "true" } },
            ["stringData"] = new JsonObject { ["c2"] = "no kubeconfig" },
        }, Stop);
        await _client.CreateAsync(VirtualService, "shop", new JsonObject
        {
            ["apiVersion"] = "networking.istio.io/v1", ["kind"] = "VirtualService", ["metadata"] = new JsonObject { ["name"] = "wrong" },
            ["spec"] = new JsonObject { ["hosts"] = new JsonArray("web"), ["http"] = new JsonArray(new JsonObject()) },
        }, Stop);
        var pages = ControlPlaneReports.Default;
        await Eventually.TrueAsync(async () => (await ReadAsync("history", pages.HistoryReport)).Changes!.Any(change => change is { Kind: "Service" }));
        await Eventually.TrueAsync(async () => (await ReadAsync("clusterz", pages.Watched)) is [{ Message.Length: > 0 }]);
        await Eventually.TrueAsync(async () => (await ReadAsync("problemz", pages.Problems)).Any(problem => problem.Object == "VirtualService shop/wrong"));
        Assert.Equal("web.shop", Assert.Single(await ReadAsync("syncz", pages.Sync)).Proxy);
        Assert.Equal("live", (await ReadAsync("sourcez?proxyID=web.shop", pages.SourcesReport)).Clusters!["c1"].Source);
        Assert.True((await ReadAsync("distribution?resource=virtualservices.networking.istio.io&resourceVersion=1", pages.DistributionReport)).Observed);
        Assert.NotEmpty((await ReadAsync("endpointShardz", pages.Shards))["kubernetes.default.svc.cluster.local"]["Kubernetes/c1"][0].Ports!);
    }

    private async Task<T> ReadAsync<T>(string page, JsonTypeInfo<T> type)
    {
        var text = (await GetAsync(Http, $"/debug/{page}")).Body;
        var report = StrictJson.Parse(text, type);
        Assert.Equal(text, JsonSerializer.Serialize(report, type) + "\n");
        return report;
    }

    [Fact]
    public async Task Remote_clusters_are_listed_with_the_revision_that_watches_them()
    {
        await _client.CreateAsync(Kinds.Secret, "istio-system", new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "Secret",
            ["metadata"] = new JsonObject { ["name"] = "remote", ["labels"] = new JsonObject { [Labels.MultiCluster] = "true" } },
            ["stringData"] = new JsonObject { ["c2"] = "no kubeconfig" },
        }, Stop);
        var lines = await Eventually.ValueAsync(async () =>
            JsonNode.Parse((await GetAsync(Http, "/debug/clusterz")).Body)!.AsArray() is { Count: > 0 } found ? found : null);
        Assert.Equal(("c2", "istio-system/remote", "canary"),
            (lines[0]!["id"]!.ToString(), lines[0]!["secretName"]!.ToString(), lines[0]!["revision"]!.ToString()));
    }

    [Fact]
    public async Task Pages_about_proxies_and_endpoints_have_the_keys_of_istiod()
    {
        using var channel = Plain();
        await _client.CreateAsync(Kinds.Service, new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "Service", ["metadata"] = new JsonObject { ["name"] = "orders", ["namespace"] = "shop" },
            ["spec"] = new JsonObject { ["clusterIP"] = "10.96.0.99", ["ports"] = new JsonArray(new JsonObject { ["name"] = "http", ["port"] = 80 }) },
        }, Stop);
        var sidecar = Manifests.ResourceOf(MeshApi.Sidecar);
        var created = await _client.CreateAsync(sidecar, new JsonObject
        {
            ["apiVersion"] = sidecar.ApiVersion, ["kind"] = "Sidecar", ["metadata"] = new JsonObject { ["name"] = "narrow", ["namespace"] = "shop" },
            ["spec"] = new JsonObject { ["egress"] = new JsonArray(new JsonObject { ["hosts"] = new JsonArray("./*") }) },
        }, Stop);
        await using var proxy = await ConnectAsync(channel);

        async Task<JsonNode> JsonAsync(string page) => JsonNode.Parse((await GetAsync(Http, $"/debug/{page}")).Body)!;
        await Eventually.TrueAsync(async () =>
            (await JsonAsync("endpointz")).AsArray().Any(line => line!["svc"]!.ToString() == "orders.shop.svc.cluster.local:http"));
        await Eventually.TrueAsync(async () => (await JsonAsync("sidecarz?proxyID=web.shop"))["name"]!.ToString() == "narrow");
        var scope = await JsonAsync("sidecarz?proxyID=web.shop");
        Assert.Equal(("shop", false), (scope["namespace"]!.ToString(), (bool)scope["default"]!));
        await Eventually.TrueAsync(async () => (await JsonAsync("sidecarz?proxyID=web.shop"))["services"]!.AsArray()
            .Any(host => host!.ToString() == "orders.shop.svc.cluster.local"));

        var clients = await JsonAsync("adsz");
        Assert.Equal((1, "web.shop", "c1"),
            ((int)clients["totalClients"]!, clients["clients"]![0]!["connectionId"]!.ToString(),
                clients["clients"]![0]!["metadata"]!["CLUSTER_ID"]!.ToString()));
        Assert.Contains("PassthroughCluster", clients["clients"]![0]!["watches"]![TypeUrls.Cluster]!.AsArray().Select(name => name!.ToString()));
        await Eventually.TrueAsync(async () => (await JsonAsync("edsz?proxyID=web.shop")).AsArray()
            .Any(line => line!["cluster_name"]?.ToString() == "outbound|80||orders.shop.svc.cluster.local"));
        Assert.Equal((HttpStatusCode.BadRequest, "DNS capture is not enabled in the proxy\n"), await GetAsync(Http, "/debug/ndsz?proxyID=web.shop"));
        foreach (var page in (string[])["edsz", "ndsz", "sidecarz"])
            Assert.Equal((HttpStatusCode.BadRequest, "You must provide a proxyID in the query string\n"), await GetAsync(Http, $"/debug/{page}"));

        // The proxy has not accepted what follows from the Sidecar.
        var resource = "networking.istio.io/v1beta1/Sidecar/shop/narrow";
        Assert.Equal((1L, "web.shop"),
            ((long)created["metadata"]!["generation"]!,
                Assert.Single((await JsonAsync($"config_distribution?resource={resource}")).AsArray())!["proxy"]!.ToString()));
        Assert.Equal("[]\n", (await GetAsync(Http, $"/debug/config_distribution?resource={resource}&proxy_namespace=other")).Body);
        Assert.Equal(HttpStatusCode.UnprocessableEntity, (await GetAsync(Http, "/debug/config_distribution")).Status);
        Assert.Equal(HttpStatusCode.NotFound,
            (await GetAsync(Http, "/debug/config_distribution?resource=networking.istio.io/v1beta1/Sidecar/shop/none")).Status);
        Assert.Subset((await JsonAsync("list")).AsArray().Select(page => page!.ToString()).ToHashSet(),
            new HashSet<string> { "/debug/adsz", "/debug/edsz", "/debug/ndsz", "/debug/sidecarz", "/debug/endpointz", "/debug/config_distribution" });
    }

    [Fact]
    public async Task A_dump_has_what_the_proxy_was_sent()
    {
        using var channel = Plain();
        await using var proxy = await ConnectAsync(channel);
        var dump = JsonNode.Parse((await GetAsync(Monitoring, "/debug/config_dump?proxyID=web.shop")).Body)!["configs"]!.AsArray();
        Assert.Equal(["ClustersConfigDump", "ListenersConfigDump", "RoutesConfigDump"], dump.Select(section => section!["@type"]!.ToString().Split('.')[^1]));
        var clusters = dump[0]!["dynamic_active_clusters"]!.AsArray().Select(entry => entry!["cluster"]!["name"]!.ToString()).ToList();
        Assert.Equal(clusters, proxy.Resources.Select(resource => Cluster.Parser.ParseFrom(resource.Value).Name).Order(StringComparer.Ordinal));
        Assert.Contains("PassthroughCluster", clusters);
        Assert.Contains("virtualInbound", dump[1]!["dynamic_listeners"]!.AsArray().Select(entry => entry!["name"]!.ToString()));
        Assert.Equal((HttpStatusCode.NotFound, "Proxy not connected to this Pilot instance. It may be connected to another instance.\n"),
            await GetAsync(Monitoring, "/debug/config_dump?proxyID=other.shop"));
        Assert.Equal((HttpStatusCode.BadRequest, "You must provide a proxyID in the query string\n"), await GetAsync(Monitoring, "/debug/config_dump"));
    }

    [Fact]
    public async Task Discovery_answers_debug_requests_of_the_system_namespace_only()
    {
        using var channel = Plain();
        await using var proxy = await ConnectAsync(channel);
        var token = await TokenAsync("istio-system");
        Assert.Contains("\"proxy\":\"web.shop\"", Text(await AskAsync(token, "istio.io/debug", "syncz")), StringComparison.Ordinal);
        Assert.Contains("BlackHoleCluster", Text(await AskAsync(token, "istio.io/debug", "config_dump?proxyID=web.shop")), StringComparison.Ordinal);
        Assert.StartsWith("404 page not found", Text(await AskAsync(token, "istio.io/debug", "nothing")), StringComparison.Ordinal);
        Assert.StartsWith("You must provide a proxyID", Text(await AskAsync(token, "istio.io/debug", "/debug/config_dump")), StringComparison.Ordinal);

        var status = ClientConfig.Parser.ParseFrom(Assert.Single((await AskAsync(token, "istio.io/debug/syncz")).Resources).Value);
        Assert.Equal(("web.shop", "c1", "1.14.6"),
            (status.Node.Id, status.Node.Metadata.Fields["CLUSTER_ID"].StringValue, status.Node.Metadata.Fields["ISTIO_VERSION"].StringValue));
        var states = status.GenericXdsConfigs.ToDictionary(config => config.TypeUrl, config => config.ConfigStatus);
        Assert.Equal((ConfigStatus.Synced, ConfigStatus.NotSent), (states[TypeUrls.Cluster], states[TypeUrls.Listener]));

        var node = Node.Parser.ParseFrom(Assert.Single((await AskAsync(token, "istio.io/connections")).Resources).Value);
        Assert.Equal((Proxy, "1.14.6"), (node.Id, node.Metadata.Fields["ISTIO_VERSION"].StringValue));
        Assert.Contains("PROXY_CONFIG", node.Metadata.Fields.Keys);

        var sections = (await AskAsync(token, "istio.io/debug/config_dump", "web.shop")).Resources;
        Assert.Contains("PassthroughCluster",
            ClustersConfigDump.Parser.ParseFrom(sections[0].Value).DynamicActiveClusters.Select(entry => Cluster.Parser.ParseFrom(entry.Cluster.Value).Name));

        Assert.Equal(GrpcCode.InvalidArgument, (await Assert.ThrowsAsync<GrpcException>(() => AskAsync(token, "istio.io/debug"))).Code);
        Assert.Equal(GrpcCode.Unauthenticated, (await Assert.ThrowsAsync<GrpcException>(() => AskAsync(null, "istio.io/debug", "syncz"))).Code);
        var other = await TokenAsync("shop");
        foreach (var type in (string[])["istio.io/debug", "istio.io/debug/syncz", "istio.io/connections", "istio.io/debug/config_dump"])
            Assert.Equal(GrpcCode.PermissionDenied, (await Assert.ThrowsAsync<GrpcException>(() => AskAsync(other, type, "web.shop"))).Code);
    }

    [Fact]
    public async Task A_review_without_uid_is_answered()
    {
        using var http = new HttpClient(new HttpClientHandler { ServerCertificateCustomValidationCallback = (_, _, _, _) => true });
        const string review =
            """
            {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1",
             "request": {"uid": "", "namespace": "shop", "object": {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "web", "image": "any"}]}}}}
            """;
        using var content = new StringContent(review, Encoding.UTF8, "application/json");
        using var answer = await http.PostAsync(new Uri($"https://127.0.0.1:{_ports[3].Number}/inject"), content, Stop);
        var response = JsonNode.Parse(await answer.Content.ReadAsStringAsync(Stop))!["response"]!;
        Assert.True((bool)response["allowed"]!);
        Assert.Contains("istio-proxy", Encoding.UTF8.GetString(Convert.FromBase64String(response["patch"]!.ToString())), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_preview_of_what_is_no_object_says_what_is_wrong()
    {
        using var http = new HttpClient();
        foreach (var (body, why) in ((string, string)[])
        [
            ("[]", "it is not a JSON object"),
            ("""{"cluster": "c1", "cluster": "c1", "objects": []}""", "Duplicate"),
            ("""{"cluster": "c1"}""", "cluster or objects is missing"),
            ("""{"cluster": [], "objects": []}""", "cluster is not a string"),
            ("""{"cluster": "c1", "objects": [7]}""", "objects[0] is not a JSON object"),
            ("""{"cluster": "c1", "objects": [{"metadata": []}]}""", "objects[0].metadata is not a JSON object"),
            ("""{"cluster": "c1", "objects": [{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "namespace": "b"}, "spec": {"ports": 7}}]}""",
                "Service b/a: has a value of a wrong type"),
        ])
        {
            using var content = new StringContent(body, Encoding.UTF8, "application/json");
            using var answer = await http.PostAsync(new Uri($"http://127.0.0.1:{Http}/debug/preview"), content, Stop);
            Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
            Assert.Contains(why, await answer.Content.ReadAsStringAsync(Stop), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task ControlZ_shows_and_changes_the_levels_of_the_log()
    {
        using var http = new HttpClient();
        var scopes = JsonNode.Parse(await http.GetStringAsync(new Uri($"{ControlZ}/scopej"), Stop))!.AsArray()
            .ToDictionary(scope => scope!["name"]!.ToString(), scope => scope!["output_level"]!.ToString());
        Assert.Equal("info", scopes["ca"]);
        Assert.Equal("warn", scopes["server"]);
        Assert.Equal(HttpStatusCode.Accepted, await PutAsync("ca", """{"name": "ca", "output_level": "debug"}"""));
        Assert.Equal("debug", JsonNode.Parse(await http.GetStringAsync(new Uri($"{ControlZ}/scopej/ca"), Stop))!["output_level"]!.ToString());
        Assert.Equal(HttpStatusCode.Accepted, await PutAsync("ca", """{"output_level": "none", "stack_trace_level": "none"}"""));
        Assert.Equal(HttpStatusCode.BadRequest, await PutAsync("ca", """{"output_level": "loud"}"""));
        Assert.Equal(HttpStatusCode.BadRequest, await PutAsync("ca", """{"stack_trace_level": "error"}"""));
        Assert.Equal(HttpStatusCode.BadRequest, await PutAsync("ca", "{"));
        Assert.Equal(HttpStatusCode.NotFound, await PutAsync("nothing", """{"output_level": "info"}"""));
        Assert.Equal(HttpStatusCode.BadRequest, await PutAsync("ca", """{"output_level": "debug", "output_level": "info"}"""));
        Assert.Equal(HttpStatusCode.BadRequest, await PutAsync("ca", """{"output_level": "\ud800"}"""));
        using var rebound = new HttpRequestMessage(HttpMethod.Get, $"{ControlZ}/scopej");
        rebound.Headers.Host = "evil.example";
        using var refused = await http.SendAsync(rebound, Stop);
        Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
        // Only this port has them.
        Assert.Equal(HttpStatusCode.NotFound, (await GetAsync(Http, "/scopej")).Status);

        async Task<HttpStatusCode> PutAsync(string scope, string body)
        {
            using var content = new StringContent(body, Encoding.UTF8, "application/json");
            using var answer = await http.PutAsync(new Uri($"{ControlZ}/scopej/{scope}"), content, Stop);
            return answer.StatusCode;
        }
    }

    private GrpcChannel Plain() => new(new(new Uri($"http://127.0.0.1:{_ports[1].Number}")));

    /// <summary>A proxy that has accepted its clusters.</summary>
    private async Task<Connected> ConnectAsync(GrpcChannel channel)
    {
        var stream = channel.Open(AdsMethods.StateOfTheWorld, new(), Stop);
        var node = new Node { Id = Proxy, Metadata = new(), UserAgentName = "test" };
        node.UserAgentBuildVersion = new() { Version = new() { MajorNumber = 1, MinorNumber = 2, Patch = 3 } };
        foreach (var (key, value) in (KeyValuePair<string, string>[])[new("CLUSTER_ID", "c1"), new("NAMESPACE", "shop"), new("ISTIO_VERSION", "1.14.6")])
            node.Metadata.Fields[key] = Google.Protobuf.WellKnownTypes.Value.ForString(value);
        await stream.WriteAsync(new() { Node = node, TypeUrl = TypeUrls.Cluster }, Stop);
        var answer = (await stream.ReadAsync(Stop))!;
        await stream.WriteAsync(new() { TypeUrl = TypeUrls.Cluster, ResponseNonce = answer.Nonce, VersionInfo = answer.VersionInfo }, Stop);
        await Eventually.TrueAsync(async () =>
            JsonNode.Parse((await GetAsync(Http, "/debug/syncz")).Body)![0]?["cluster_acked"]?.ToString() == answer.Nonce);
        return new(stream, answer.Resources);
    }

    private sealed record Connected(GrpcDuplex<DiscoveryRequest, DiscoveryResponse> Stream, IReadOnlyList<Google.Protobuf.WellKnownTypes.Any> Resources)
        : IAsyncDisposable
    {
        public ValueTask DisposeAsync() => Stream.DisposeAsync();
    }

    /// <summary>Asks as istioctl does: on the port with TLS, with a token, as a node of another form, with a nonce in the first request.</summary>
    private async Task<DiscoveryResponse> AskAsync(string? token, string type, params string[] names)
    {
        using var channel = new GrpcChannel(new(new Uri($"https://127.0.0.1:{_ports[2].Number}"))
        {
            // A machine that is busy with other tests takes its time.
            ConnectTimeout = TimeSpan.FromMinutes(2),
            Tls = new SslClientAuthenticationOptions { RemoteCertificateValidationCallback = (_, _, _, _) => true },
        });
        await using var stream = channel.Open(AdsMethods.StateOfTheWorld, new() { Headers = token is null ? [] : [new("authorization", $"Bearer {token}")] },
            Stop);
        await stream.WriteAsync(new()
        {
            Node = new Node { Id = "debug~0.0.0.0~istioctl~cluster.local" }, TypeUrl = type, ResponseNonce = "now", ResourceNames = { names }
        },
            Stop);
        var answer = (await stream.ReadAsync(Stop))!;
        Assert.Equal(type, answer.TypeUrl);
        // The acknowledgement has no answer, but the next question has.
        await stream.WriteAsync(new() { TypeUrl = type, ResponseNonce = answer.Nonce, VersionInfo = answer.VersionInfo, ResourceNames = { names } }, Stop);
        await stream.WriteAsync(new() { TypeUrl = type, ResponseNonce = "then", ResourceNames = { names } }, Stop);
        Assert.NotEqual(answer.Nonce, (await stream.ReadAsync(Stop))!.Nonce);
        return answer;
    }

    private static async Task<JsonNode> IdentityAsync(GrpcChannel channel)
    {
        await using var stream = channel.Open(AdsMethods.StateOfTheWorld, new(), Stop);
        await stream.WriteAsync(new() { TypeUrl = "istio.io/connections" }, Stop);
        return JsonNode.Parse((await stream.ReadAsync(Stop))!.ControlPlane.Identifier)!;
    }

    private static string Text(DiscoveryResponse answer) => Assert.Single(answer.Resources).Value.ToStringUtf8();

    private async Task<string> TokenAsync(string ns)
    {
        var request = new JsonObject
        {
            ["apiVersion"] = "authentication.k8s.io/v1", ["kind"] = "TokenRequest", ["spec"] = new JsonObject { ["audiences"] = new JsonArray("istio-ca") }
        };
        return JsonNode.Parse(await _client.RawAsync(HttpMethod.Post, Kinds.ServiceAccount.Path(ns, "default", "token"), request,
            Stop))!["status"]!["token"]!.ToString();
    }

    private async Task<bool> IsReadyAsync()
    {
        try { return (await GetAsync(Http, "/ready")).Status == HttpStatusCode.OK; }
        catch (HttpRequestException) { return false; }
    }

    private static async Task<(HttpStatusCode Status, string Body)> GetAsync(int port, string path)
    {
        using var client = new HttpClient();
        using var response = await client.GetAsync(new Uri($"http://127.0.0.1:{port}{path}"), Stop);
        return (response.StatusCode, await response.Content.ReadAsStringAsync(Stop));
    }

    private sealed class NoNames : INameClient
    {
        public Task<NameAnswer> AskAsync(string host, CancellationToken stop) => throw new InvalidOperationException("nothing may be asked");
    }
}

using System.Net;
using System.Text.Json.Nodes;
using Isthmus.ControlPlane;
using Isthmus.ControlPlane.Clusters;
using Isthmus.ControlPlane.Resolve;
using Isthmus.Graph.Settings;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Rigs.Mesh;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Isthmus.Tests.ControlPlane.Telemetry;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Running;

/// <summary>A real control plane with its real server, beside the lab's API server.</summary>
public sealed class RunningControlPlaneTests : IAsyncLifetime
{
    private readonly LoopbackCluster _cluster = new();
    private readonly CancellationTokenSource _end = new();
    private readonly ReservedPort[] _ports = [new(), new(), new(), new(), new()];
    private KubeClient _client = null!;
    private Isthmus.ControlPlane.ControlPlane _controlPlane = null!;
    private Task _running = Task.CompletedTask;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _client = await _cluster.StartAsync();
        await _client.CreateAsync(Kinds.Namespace,
            new JsonObject { ["apiVersion"] = "v1", ["kind"] = "Namespace", ["metadata"] = new JsonObject { ["name"] = "istio-system" } }, Stop);
        await MadeRoot.CreateAsync(_client, "istio-system");
        var settings = new DiscoverySettings
        {
            ClusterId = "c1", MonitoringPort = _ports[4].Number, ControlPort = 0,
            Listen = new(_ports[0].Number, _ports[1].Number, _ports[2].Number, _ports[3].Number)
        };
        _controlPlane = Isthmus.ControlPlane.ControlPlane.Build(settings, new(TimeProvider.System, new Random(1), _client.Access, new NoNames()));
        _running = _controlPlane.RunAsync(_end.Token);
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
    public async Task Readiness_names_the_kinds_that_the_cluster_lacks_until_it_has_them()
    {
        var answer = await UntilAsync("/ready", answer => answer.Body.Contains("CustomResourceDefinitions", StringComparison.Ordinal));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.Status);
        var line = answer.Body.Split('\n').Single(text => text.Contains("CustomResourceDefinitions", StringComparison.Ordinal));
        Assert.StartsWith("- cluster c1: ", line, StringComparison.Ordinal);
        Assert.Contains("isthmus install", line, StringComparison.Ordinal);
        await UntilAsync("/ready",
            answer => ((string[])["gateways", "virtualservices", "destinationrules", "serviceentries", "workloadentries", "sidecars", "envoyfilters"])
            .All(kind => answer.Body.Contains($"{kind}.networking.istio.io (v1", StringComparison.Ordinal))
            && answer.Body.Contains("authorizationpolicies.security.istio.io (v1", StringComparison.Ordinal));
        // Kinds that have no effect may be missing.
        foreach (var kind in MeshApi.Istio.Except(MeshApi.Refused)) await _client.CreateAsync(Kinds.CustomResourceDefinition, IstioCrds.Of(kind), Stop);
        Assert.Equal("ok\n", (await UntilAsync("/ready", answer => answer.Status == HttpStatusCode.OK)).Body);
    }

    /// <summary>As the API's conformance suite asks under the label EndpointSlice; and what somebody deletes is written again.</summary>
    [Fact]
    public async Task An_exported_Service_has_an_import_with_EndpointSlices()
    {
        var definitions = YamlText.ParseAll(await File.ReadAllTextAsync(Repository.At("samples/multicluster/mcs-crds.yaml"), Stop), "CRDs");
        foreach (var definition in IstioCrds.All.Select(one => one.DeepClone()).Concat(definitions).OfType<JsonObject>())
            await _client.CreateAsync(Kinds.CustomResourceDefinition, definition, Stop);
        await MakeAsync(Kinds.Namespace, "", "shop");
        await MakeAsync(Kinds.Service, "shop", "desk",
            """ "spec": {"selector": {"app": "desk"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]} """);
        await MakeAsync(Kinds.EndpointSlice, "shop", "desk-1", """
            "metadata": {"name": "desk-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "desk"} },
            "addressType": "IPv4", "endpoints": [{"addresses": ["10.1.2.3"], "conditions": {"ready": true} }], "ports": [{"name": "http", "port": 8080}]
            """);
        var exports = new ResourceKind("multicluster.x-k8s.io", "v1beta1", "ServiceExport", "serviceexports", true);
        await Eventually.TrueAsync(async () =>
        {
            try { return await MakeAsync(exports, "shop", "desk") is not null; }
            catch (KubeException e) when (e.IsNotFound) { return false; }
        });
        await Eventually.TrueAsync(async () => await SlicesAsync() == "c1 10.1.2.3");
        foreach (var slice in await FindAsync()) await _client.DeleteAsync(Kinds.EndpointSlice, "shop", slice.Metadata.Name, Stop);
        await Eventually.TrueAsync(async () => await SlicesAsync() == "c1 10.1.2.3");
        await _client.DeleteAsync(exports, "shop", "desk", Stop);
        await Eventually.TrueAsync(async () => await SlicesAsync() == "");

        Task<JsonObject> MakeAsync(ResourceKind kind, string ns, string name, string fields = "")
        {
            var made = JsonNode.Parse($"{{ {fields} }}")!.AsObject();
            (made["apiVersion"], made["kind"]) = (kind.ApiVersion, kind.Kind);
            made["metadata"] ??= ns.Length > 0 ? new JsonObject { ["name"] = name, ["namespace"] = ns } : new JsonObject { ["name"] = name };
            return _client.CreateAsync(kind, made, Stop);
        }

        Task<IReadOnlyList<EndpointSlice>> FindAsync() => _client.ListAllAsync<EndpointSlice>(Kinds.EndpointSlice, "shop",
            new ListOptions { LabelSelector = "multicluster.kubernetes.io/service-name=desk" }, Stop);

        async Task<string> SlicesAsync() => string.Join(' ', (await FindAsync()).Select(slice =>
            $"{slice.Metadata.Labels["multicluster.kubernetes.io/source-cluster"]} {slice.Endpoints.Single().Addresses.Single()}"));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(4)] // the monitoring port
    public async Task Debug_pages_refuse_web_pages(int port)
    {
        var number = _ports[port].Number;
        await UntilAsync("/debug/list", answer => answer.Status == HttpStatusCode.OK, number);
        Assert.Equal(HttpStatusCode.OK, (await GetAsync("/debug/list", number, "localhost:8080", origin: "http://localhost:8080")).Status);
        var rebound = await GetAsync("/debug/list", number, "evil.example:8080");
        Assert.Equal((HttpStatusCode.Forbidden, "Host 'evil.example:8080' is not this host: use localhost or 127.0.0.1\n"), rebound);
        var foreign = await GetAsync("/debug/list", number, origin: "http://evil.example");
        Assert.Equal((HttpStatusCode.Forbidden, "Origin 'http://evil.example' is another site: web pages cannot use this port\n"), foreign);
        Assert.Equal(HttpStatusCode.Forbidden, (await GetAsync("/debug/list", number, site: "cross-site")).Status);
    }

    [Fact]
    public async Task Injection_knows_the_kubelets_of_the_cluster()
    {
        await NodeAsync("old", "v1.32.1");
        await NodeAsync("new", "v1.33.0");
        Assert.Contains("\"containers\":[\"istio-proxy\"]", await InjectAsync("/inject", ""), StringComparison.Ordinal);
        await Eventually.TrueAsync(async () => (await InjectAsync("/inject", "new"))
            .Contains("\"initContainers\":[\"istio-init\",\"istio-proxy\"]", StringComparison.Ordinal));
        Assert.Contains("\"containers\":[\"istio-proxy\"]", await InjectAsync("/inject", "old"), StringComparison.Ordinal);
        // Nodes of other clusters have nothing to do with it.
        Assert.Contains("\"containers\":[\"istio-proxy\"]", await InjectAsync("/inject/cluster/c2", "new"), StringComparison.Ordinal);
        await _client.DeleteAsync(Kinds.Node, null, "old", Stop);
        await Eventually.TrueAsync(async () => (await InjectAsync("/inject", ""))
            .Contains("\"initContainers\":[\"istio-init\",\"istio-proxy\"]", StringComparison.Ordinal));

        async Task NodeAsync(string name, string version)
        {
            await _client.CreateAsync(Kinds.Node,
                new JsonObject { ["apiVersion"] = "v1", ["kind"] = "Node", ["metadata"] = new JsonObject { ["name"] = name } }, Stop);
            await _client.PatchAsync(Kinds.Node, null, name,
                new JsonObject { ["status"] = new JsonObject { ["nodeInfo"] = new JsonObject { ["kubeletVersion"] = version } } }, PatchType.Merge, Stop,
                "status");
        }
    }

    [Fact]
    public async Task An_edit_of_the_settings_is_live_and_a_bad_one_keeps_the_last_good_ones()
    {
        foreach (var definition in IstioCrds.All) await _client.CreateAsync(Kinds.CustomResourceDefinition, (JsonObject)definition.DeepClone(), Stop);
        await WriteAsync("defaultConfig: {proxyMetadata: {STAGE: one}}");
        await InjectedAsync("one");
        await WriteAsync("{connectTimeout: soon, defaultConfig: {proxyMetadata: {STAGE: two}}}");
        var problems = await UntilAsync("/debug/problemz", answer => answer.Body.Contains("connectTimeout", StringComparison.Ordinal));
        Assert.Contains("is not a duration", problems.Body, StringComparison.Ordinal);
        await InjectedAsync("one");
        await WriteAsync("{connectTimeout: 3s, defaultConfig: {proxyMetadata: {STAGE: three}}}");
        await InjectedAsync("three");
        await UntilAsync("/debug/problemz", answer => answer.Status == HttpStatusCode.OK && !answer.Body.Contains("connectTimeout", StringComparison.Ordinal));
        await _client.CreateAsync(Kinds.Namespace,
            new JsonObject { ["apiVersion"] = "v1", ["kind"] = "Namespace", ["metadata"] = new JsonObject { ["name"] = "shop" } }, Stop);
        await _client.CreateAsync(new("networking.istio.io", "v1beta1", "ProxyConfig", "proxyconfigs", true), new JsonObject
        {
            ["apiVersion"] = "networking.istio.io/v1beta1", ["kind"] = "ProxyConfig",
            ["metadata"] = new JsonObject { ["name"] = "stage", ["namespace"] = "shop" },
            ["spec"] = new JsonObject { ["environmentVariables"] = new JsonObject { ["STAGE"] = "four" } },
        }, Stop);
        await InjectedAsync("four");

        Task WriteAsync(string mesh) => _client.ApplyAsync(Kinds.ConfigMap, new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "ConfigMap", ["metadata"] = new JsonObject { ["name"] = "istio", ["namespace"] = "istio-system" },
            ["data"] = new JsonObject { ["mesh"] = mesh },
        }, Stop);

        async Task InjectedAsync(string stage)
        {
            await Eventually.TrueAsync(async () => (await InjectAsync("/inject", ""))
                .Contains($"\"name\":\"STAGE\",\"value\":\"{stage}\"", StringComparison.Ordinal));
        }
    }

    /// <summary>No webhook has seen it: it was stored while there was none.</summary>
    [Fact]
    public async Task An_object_that_is_stored_with_errors_says_so_until_it_is_put_right()
    {
        foreach (var definition in IstioCrds.All) await _client.CreateAsync(Kinds.CustomResourceDefinition, (JsonObject)definition.DeepClone(), Stop);
        await _client.CreateAsync(Kinds.Namespace,
            new JsonObject { ["apiVersion"] = "v1", ["kind"] = "Namespace", ["metadata"] = new JsonObject { ["name"] = "shop" } }, Stop);
        var kind = new ResourceKind(MeshApi.VirtualService.Group, MeshApi.VirtualService.ReadVersion, MeshApi.VirtualService.Kind,
            MeshApi.VirtualService.Plural, true);
        await UntilAsync("/ready", answer => answer.Status == HttpStatusCode.OK);
        await _client.CreateAsync(kind, JsonNode.Parse($$"""
            {"apiVersion": "{{kind.ApiVersion}}", "kind": "VirtualService", "metadata": {"name": "web", "namespace": "shop"},
             "spec": {"hosts": ["web"], "http": [{"rewrite": {"uriRegexRewrite": {"match": "(", "rewrite": "/"} }, "route": [{"destination": {"host": "web"} }]}]} }
            """)!.AsObject(), Stop);
        await Eventually.TrueAsync(async () => (await SaidAsync()).StartsWith("IST0106 spec.http[0].rewrite.uriRegexRewrite", StringComparison.Ordinal));
        await _client.PatchAsync(kind, "shop", "web",
            JsonNode.Parse("""{"spec": {"http": [{"timeout": "1s", "route": [{"destination": {"host": "web"} }]}]} }""")!.AsObject(), PatchType.Merge, Stop);
        await Eventually.TrueAsync(async () => (await SaidAsync()).Length == 0);

        async Task<string> SaidAsync() =>
            string.Concat(((await _client.FindAsync(kind, "shop", "web", Stop))!["status"]?["conditions"]?.AsArray() ?? [])
                .Select(condition => condition!["message"]));
    }

    [Fact]
    public async Task A_stored_object_of_a_kind_without_effect_says_so_while_it_is_ours()
    {
        foreach (var definition in IstioCrds.All) await _client.CreateAsync(Kinds.CustomResourceDefinition, (JsonObject)definition.DeepClone(), Stop);
        await _client.CreateAsync(Kinds.Namespace,
            new JsonObject { ["apiVersion"] = "v1", ["kind"] = "Namespace", ["metadata"] = new JsonObject { ["name"] = "shop" } }, Stop);
        var kind = new ResourceKind(MeshApi.TrafficExtension.Group, MeshApi.TrafficExtension.ReadVersion, MeshApi.TrafficExtension.Kind,
            MeshApi.TrafficExtension.Plural, true);
        await Eventually.TrueAsync(TryCreateAsync);
        await Eventually.TrueAsync(async () => (await SaidAsync()).StartsWith("IST0106 kind: TrafficExtensions are not supported", StringComparison.Ordinal));
        await _client.PatchAsync(kind, "shop", "auth", JsonNode.Parse("""{"metadata": {"labels": {"istio.io/rev": "other"} } }""")!.AsObject(), PatchType.Merge,
            Stop);
        await Eventually.TrueAsync(async () => (await SaidAsync()).Length == 0);

        // The kind is served a moment later.
        async Task<bool> TryCreateAsync()
        {
            try
            {
                await _client.CreateAsync(kind, JsonNode.Parse($$"""
                    {"apiVersion": "{{kind.ApiVersion}}", "kind": "TrafficExtension", "metadata": {"name": "auth", "namespace": "shop"}, "spec": {"wasm": {"url": "oci://registry.example/auth"} } }
                    """)!.AsObject(), Stop);
                return true;
            }
            catch (KubeException e) when (e.Code == 404)
            {
                return false;
            }
        }

        async Task<string> SaidAsync() =>
            string.Concat(((await _client.FindAsync(kind, "shop", "auth", Stop))!["status"]?["conditions"]?.AsArray() ?? [])
                .Select(condition => condition!["message"]));
    }

    /// <summary>The names of istiod: a dashboard for it finds them.</summary>
    [Fact]
    public async Task A_scrape_has_what_istiod_tells_about_itself()
    {
        foreach (var definition in IstioCrds.All) await _client.CreateAsync(Kinds.CustomResourceDefinition, (JsonObject)definition.DeepClone(), Stop);
        await InjectAsync("/inject", "");
        await AskAsync("/validate",
            JsonNode.Parse(
                """
                {"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": "a"},
                 "spec": {"selector": {"a": "b"}, "servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}]}}
                """)!);
        await AskAsync("/validate",
            JsonNode.Parse(
                """{"apiVersion": "networking.istio.io/v1beta1", "kind": "Gateway", "metadata": {"name": "a"}, "spec": {"servers": [{"hosts": ["a b"]}]}}""")!);
        await UntilAsync("/ready", answer => answer.Status == HttpStatusCode.OK);
        await _client.CreateAsync(Kinds.MutatingWebhookConfiguration, JsonNode.Parse("""
            {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
             "metadata": {"name": "injector", "labels": {"istio.io/rev": "default"} }, "webhooks": [{"name": "rev.sidecar-injector.istio.io",
             "clientConfig": {"service": {"name": "istiod", "namespace": "istio-system", "path": "/inject"} }, "sideEffects": "None",
             "admissionReviewVersions": ["v1"] }] }
            """)!.AsObject(), Stop);
        var page = "";
        await Eventually.TrueAsync(async () => (page = (await GetAsync("/metrics", _ports[4].Number)).Body)
            .Contains("kind=\"webhook CA\",object=\"MutatingWebhookConfiguration injector\"} ", StringComparison.Ordinal));
        foreach (var series in (string[])["root\",object=\"Secret istio-system/istio-ca-secret", "control plane\",object=\"Pod istio-system/istiod"])
            foreach (var metric in (string[])["expiration", "start"])
                Assert.Contains($"\nisthmus_certificate_{metric}_timestamp_seconds{{cluster=\"c1\",kind=\"{series}\"}} ", page, StringComparison.Ordinal);
        // API servers trust what it serves.
        await Eventually.TrueAsync(async () => !(page = (await GetAsync("/metrics", _ports[4].Number)).Body)
            .Contains("\nisthmus_certificate_problem{", StringComparison.Ordinal));
        foreach (var line in (string[])
        [
            "sidecar_injection_requests_total 1", "sidecar_injection_success_total 1", "sidecar_injection_failure_total 0", "citadel_server_csr_count 0",
            "citadel_server_success_cert_issuance_count 0",
            "galley_validation_passed{group=\"networking.istio.io\",version=\"v1\",resource=\"gateways\"} 1",
            "galley_validation_failed{group=\"networking.istio.io\",version=\"v1beta1\",resource=\"gateways\",reason=\"invalid_resource\"} 1",
            "pilot_destrule_subsets 0", "pilot_total_xds_internal_errors 0", "pilot_xds_push_context_errors 0",
            "pilot_jwks_resolver_network_fetch_fail_total 0",
            "pilot_proxy_convergence_time_count 0", "istiod_managed_clusters{cluster_type=\"local\"} 1",
        ]) Assert.Contains($"\n{line}\n", page, StringComparison.Ordinal);
        foreach (var start in (string[])["pilot_info{version=\"", "istio_build{component=\"pilot\",tag=\"", "pilot_services ", "pilot_virt_services 0",
            "istiod_uptime_seconds ", "citadel_server_root_cert_expiry_timestamp "])
            Assert.Contains($"\n{start}", page, StringComparison.Ordinal);
        Assert.Contains("# TYPE pilot_xds_pushes counter", page, StringComparison.Ordinal);
        Assert.DoesNotContain("citadel_server_root_cert_expiry_timestamp -", page, StringComparison.Ordinal);
        Golden.VerifyFile(ControlPlaneMetricsPage.Print(page), Repository.At("docs/reference/control-plane-metrics.md"));
    }

    [Fact]
    public void Each_reason_has_its_remedy()
    {
        (ResourceKind, Exception?)[] kinds =
        [
            (new("networking.istio.io", "v1", "Gateway", "gateways", true), Refused(HttpStatusCode.NotFound)),
            (Kinds.EndpointSlice, Refused(HttpStatusCode.NotFound)),
            (Kinds.Pod, Refused(HttpStatusCode.Forbidden)), (Kinds.Service, Refused(HttpStatusCode.Forbidden)), (Kinds.Node, null),
        ];
        var texts = UnlistedKinds.Describe("c2", kinds).ToList();
        Assert.Equal(4, texts.Count);
        Assert.StartsWith("cluster c2: gateways.networking.istio.io (v1): the API server does not serve these kinds: install Istio's CustomResourceDefinitions",
            texts[0], StringComparison.Ordinal);
        Assert.StartsWith("cluster c2: endpointslices.discovery.k8s.io (v1): the API server does not serve these kinds: upgrade", texts[1],
            StringComparison.Ordinal);
        Assert.StartsWith("cluster c2: pods (v1), services (v1): the control plane's account lacks the permission", texts[2], StringComparison.Ordinal);
        Assert.Equal("cluster c2: nodes (v1): not listed yet", texts[3]);
    }

    [Fact]
    public async Task The_log_says_once_what_readiness_waits_for()
    {
        var (clock, log) = (new ManualClock(), new Recorder());
        string[] missing = ["a"];
        var readiness = new Readiness(() => missing, clock, log);
        var logging = readiness.LogAsync(Stop);
        await TickAsync(() => log.Lines == "Not ready: a\n");
        missing = ["a", "b"];
        await TickAsync(() => log.Lines == "Not ready: a\nNot ready: b\n");
        readiness.Set();
        await TickAsync(() => logging.IsCompleted);
        Assert.Equal("Not ready: a\nNot ready: b\n", log.Lines);

        Task TickAsync(Func<bool> isDone) => Eventually.TrueAsync(() =>
        {
            if (isDone()) return true;
            clock.Advance(TimeSpan.FromSeconds(5));
            return false;
        });
    }

    private async Task<string> InjectAsync(string path, string node)
    {
        var answer = await AskAsync(path,
            JsonNode.Parse($$$"""{"metadata":{"name":"web"},"spec":{"nodeName":"{{{node}}}","containers":[{"name":"web","image":"any"}]}}""")!);
        return System.Text.Encoding.UTF8.GetString(Convert.FromBase64String(answer["patch"]!.ToString())).Replace("\\u0022", "\"", StringComparison.Ordinal)
            .Replace("\\\"", "\"", StringComparison.Ordinal);
    }

    /// <summary>What a webhook answers to an object.</summary>
    private async Task<JsonNode> AskAsync(string path, JsonNode asked)
    {
        using var client = new HttpClient(new HttpClientHandler { ServerCertificateCustomValidationCallback = (_, _, _, _) => true });
        var review = new JsonObject
        {
            ["apiVersion"] = "admission.k8s.io/v1",
            ["kind"] = "AdmissionReview",
            ["request"] = new JsonObject
            {
                ["uid"] = "1", ["namespace"] = "shop", ["operation"] = "CREATE", ["object"] = asked,
            },
        };
        return await Eventually.ValueAsync(async () =>
        {
            try
            {
                using var content = new StringContent(review.ToJsonString(), System.Text.Encoding.UTF8, "application/json");
                using var answer = await client.PostAsync($"https://127.0.0.1:{_ports[3].Number}{path}", content, Stop);
                return JsonNode.Parse(await answer.Content.ReadAsStringAsync(Stop))!["response"];
            }
            catch (HttpRequestException)
            {
                return null; // It does not listen yet, or has no certificate.
            }
        }, path);
    }

    private static KubeException Refused(HttpStatusCode code) => new(code, "", "");

    private async Task<(HttpStatusCode Status, string Body)> UntilAsync(string path, Func<(HttpStatusCode Status, string Body), bool> isDone, int? port = null)
    {
        (HttpStatusCode Status, string Body) answer = default;
        await Eventually.TrueAsync(async () =>
        {
            try
            {
                return isDone(answer = await GetAsync(path, port ?? _ports[0].Number));
            }
            catch (HttpRequestException)
            {
                return false; // It does not listen yet.
            }
        }, path);
        return answer;
    }

    private static async Task<(HttpStatusCode Status, string Body)> GetAsync(string path, int port, string? host = null, string? origin = null,
        string? site = null)
    {
        using var client = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Get, $"http://127.0.0.1:{port}{path}");
        if (host is not null) request.Headers.Host = host;
        if (origin is not null) request.Headers.Add("Origin", origin);
        if (site is not null) request.Headers.Add("Sec-Fetch-Site", site);
        using var response = await client.SendAsync(request, Stop);
        // What a page says of objects is never markup, whatever their names are.
        if (path.StartsWith("/debug/", StringComparison.Ordinal) && response.StatusCode != HttpStatusCode.NotFound)
        {
            Assert.Equal(["nosniff"], response.Headers.GetValues("x-content-type-options"));
            Assert.Contains(response.Content.Headers.ContentType!.MediaType, (string[])["application/json", "text/plain"]);
        }
        return (response.StatusCode, await response.Content.ReadAsStringAsync(Stop));
    }

    private sealed class NoNames : INameClient
    {
        public Task<NameAnswer> AskAsync(string host, CancellationToken stop) => throw new InvalidOperationException("nothing may be asked");
    }

    private sealed class Recorder : ILogger
    {
        private readonly Lock _guard = new();
        private string _lines = "";

        internal string Lines
        {
            get { lock (_guard) return _lines; }
        }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            lock (_guard) _lines += formatter(state, exception) + "\n";
        }
    }
}

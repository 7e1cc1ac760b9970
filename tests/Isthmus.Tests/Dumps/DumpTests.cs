using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Operate.Diagnose;
using Isthmus.Proxy;
using Isthmus.Proxy.Admin;
using Isthmus.Proxy.Dumps;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Transports;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.Dumps;

public sealed class DumpTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-dump").FullName;
    private readonly DataPlane _plane;
    private readonly AdminRoutes _admin;
    private readonly string _key;

    public DumpTests()
    {
        using var key = ECDsa.Create();
        _key = key.ExportPkcs8PrivateKeyPem();
        var request = new CertificateRequest("CN=own", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddUri(new Uri("spiffe://cluster.local/ns/shop/sa/own"));
        request.CertificateExtensions.Add(names.Build());
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(30));
        File.WriteAllText(Path.Combine(_directory, "cert-chain.pem"), certificate.ExportCertificatePem());
        File.WriteAllText(Path.Combine(_directory, "key.pem"), _key);
        File.WriteAllText(Path.Combine(_directory, "root-cert.pem"), certificate.ExportCertificatePem());
        File.WriteAllText(Path.Combine(_directory, "cds.json"), """
            [{"name": "fixed", "type": "STATIC", "load_balancing_policy": {}, "transport_socket": {"name": "tls", "typed_config": {
               "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", "common_tls_context": {
                 "tls_certificate_sds_secret_configs": [{"name": "default"}], "validation_context_sds_secret_config": {"name": "ROOTCA"}}}},
              "load_assignment": {"cluster_name": "fixed", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "10.1.1.1", "port_value": 80}}}}]}]}},
             {"name": "waits", "type": "EDS"},
             {"name": "odd", "type": "STATIC", "filters": [{"name": "x", "typed_config": {"@type": "type.googleapis.com/nobody.knows.This"}}]}]
            """);
        var ports = new ProxyPorts(TimeProvider.System, new Random(1), new ProcessSockets(), new SystemResolver());
        _plane = DataPlane.Build(ProxySettings.Default(ProxyIdentity.Unknown with { NodeId = "sidecar~1.2.3.4~p.n~n.svc" }, "sidecar"), ports,
            new DirectorySecrets(_directory, TimeProvider.System),
            new ProcessLogFiles(), NullLoggerFactory.Instance);
        _admin = new AdminRoutes(_plane);
        foreach (var update in DirectorySource.Read(_directory, _ => { })) Assert.Empty(_plane.State.Apply(update));
    }

    [Fact]
    public async Task The_dump_shows_everything_and_no_private_key()
    {
        var text = await GetAsync("/config_dump?include_eds");
        var dump = JsonNode.Parse(text)!["configs"]!.AsArray();
        Assert.Equal(["Bootstrap", "Clusters", "Endpoints", "Listeners", "Routes", "Secrets", "Ecds"],
            dump.Select(c => c!["@type"]!.GetValue<string>().Split('.')[^1].Replace("ConfigDump", "", StringComparison.Ordinal)));
        var clusters = dump[1]!;
        Assert.Equal(["fixed", "odd"], clusters["dynamic_active_clusters"]!.AsArray().Select(c => c!["cluster"]!["name"]!.GetValue<string>()));
        Assert.Equal("waits", clusters["dynamic_warming_clusters"]![0]!["cluster"]!["name"]!.GetValue<string>());
        Assert.Equal("load_balancing_policy is ignored", clusters["dynamic_active_clusters"]![0]!["isthmus_notes"]![0]!.GetValue<string>());
        Assert.Contains("spiffe://cluster.local/ns/shop/sa/own", await GetAsync("/certs"), StringComparison.Ordinal);
        var body = _key.Split('\n')[1];
        foreach (var path in new[] { "/config_dump", "/certs", "/clusters", "/stats", "/server_info" })
        {
            var all = await GetAsync(path);
            Assert.DoesNotContain(body, all, StringComparison.Ordinal);
            Assert.DoesNotContain(Convert.ToBase64String(Encoding.UTF8.GetBytes(_key))[..40], all, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("0")]
    [InlineData("300001")]
    [InlineData("5s")]
    [InlineData("")]
    public async Task Calls_and_connections_refuse_a_time_that_they_cannot_keep(string timeout)
    {
        foreach (var path in new[] { "/call", "/reach" })
            Assert.Equal("timeout is a number of milliseconds from 1 to 300000\n", await GetAsync($"{path}?to=127.0.0.1:1&timeout={timeout}", "POST"));
    }

    [Fact]
    public async Task A_part_of_the_dump_can_be_asked_for()
    {
        var part = JsonNode.Parse(await GetAsync("/config_dump?resource=dynamic_active_clusters"))!["configs"]!.AsArray();
        Assert.Equal(2, part.Count);
        Assert.All(part, entry => Assert.Equal("type.googleapis.com/envoy.admin.v3.ClustersConfigDump.DynamicCluster", entry!["@type"]!.ToString()));
        Assert.Contains("fixed::10.1.1.1:80::health_flags::healthy", await GetAsync("/clusters"), StringComparison.Ordinal);
        Assert.Contains("\"address\": \"10.1.1.1\"", await GetAsync("/clusters?format=json"), StringComparison.Ordinal);
        Assert.Contains("envoy_cluster_membership_total{cluster_name=\"fixed\"} 1", await GetAsync("/stats/prometheus"), StringComparison.Ordinal);
        Assert.Contains("isthmus.resource_notes: 2", await GetAsync("/stats?filter=isthmus"), StringComparison.Ordinal);
    }

    /// <summary>The whole dump of a large mesh has megabytes, and <c>analyze</c> asks hundreds of proxies.</summary>
    [Fact]
    public async Task Secrets_alone_are_read_as_from_the_whole_dump()
    {
        var (part, whole) = (JsonNode.Parse(await GetAsync($"/{ConfigDump.SecretsPath}"))!, JsonNode.Parse(await GetAsync("/config_dump"))!);
        Assert.DoesNotContain("Cluster", part.ToJsonString(), StringComparison.Ordinal);
        static IEnumerable<string> Read(JsonNode dump) =>
            new ConfigDump(dump).Secrets.Select(entry => $"{entry.Secret.ToJsonString()} {entry.State} {entry.Updated}");
        Assert.Equal(["default", "ROOTCA"],
            new ConfigDump(part).Secrets.Select(entry => entry.Secret["name"]!.ToString()).Order(StringComparer.OrdinalIgnoreCase));
        Assert.Equal(Read(whole), Read(part));
    }

    [Theory]
    [InlineData("resource=dynamic_active_clusters&name_regex=^fi",
        """[{"@type":"type.googleapis.com/envoy.admin.v3.ClustersConfigDump.DynamicCluster","cluster":{"@type":"type.googleapis.com/envoy.config.cluster.v3.Cluster","name":"fixed"}}]""",
        "&mask=cluster.name")]
    [InlineData("resource=dynamic_active_clusters",
        """[{"@type":"type.googleapis.com/envoy.admin.v3.ClustersConfigDump.DynamicCluster","version_info":""},"""
            + """{"@type":"type.googleapis.com/envoy.admin.v3.ClustersConfigDump.DynamicCluster","version_info":""}]""",
        "&mask=version_info")]
    [InlineData("resource=static_listeners", "[]", "")]
    [InlineData("mask=dynamic_warming_clusters.cluster.name,bootstrap.node.id", """
        [{"@type":"type.googleapis.com/envoy.admin.v3.BootstrapConfigDump","bootstrap":{"node":{"id":"sidecar~1.2.3.4~p.n~n.svc"}}},
        {"@type":"type.googleapis.com/envoy.admin.v3.ClustersConfigDump","dynamic_warming_clusters":[{"cluster":{"@type":"type.googleapis.com/envoy.config.cluster.v3.Cluster","name":"waits"}}]},
        {"@type":"type.googleapis.com/envoy.admin.v3.ListenersConfigDump"},{"@type":"type.googleapis.com/envoy.admin.v3.RoutesConfigDump"},
        {"@type":"type.googleapis.com/envoy.admin.v3.SecretsConfigDump"},{"@type":"type.googleapis.com/envoy.admin.v3.EcdsConfigDump"}]
        """, "")]
    public async Task Resource_mask_and_name_select_as_in_Envoy(string query, string expected, string mask)
    {
        var configs = JsonNode.Parse(await GetAsync($"/config_dump?{query}{mask}"))!["configs"]!.AsArray();
        // The version is a number of the source.
        foreach (var entry in configs.OfType<JsonObject>().Where(entry => entry.ContainsKey("version_info"))) entry["version_info"] = "";
        Assert.Equal(JsonNode.Parse(expected)!.ToJsonString(), configs.ToJsonString());
    }

    [Fact]
    public async Task The_bootstrap_alone_can_be_asked_for()
    {
        var configs = JsonNode.Parse(await GetAsync("/config_dump?mask=bootstrap"))!["configs"]!.AsArray();
        Assert.Equal("sidecar~1.2.3.4~p.n~n.svc", configs[0]!["bootstrap"]!["node"]!["id"]!.ToString());
        Assert.All(configs.Skip(1), section => Assert.Equal(["@type"], section!.AsObject().Select(field => field.Key)));
    }

    [Theory]
    [InlineData("resource=bootstrap", 400, "bootstrap is not a repeated field. Use ?mask=bootstrap to get only this field\n")]
    [InlineData("resource=nothing", 404, "nothing not found in config dump\n")]
    [InlineData("name_regex=(", 400, null)]
    public async Task A_dump_of_something_unknown_is_an_error(string query, int status, string? text)
    {
        var reply = (await HandleAsync("GET", $"/config_dump?{query}"))!;
        Assert.Equal(status, reply.Status);
        if (text is not null) Assert.Equal(text, Encoding.UTF8.GetString(reply.Body.Span));
    }

    [Fact]
    public async Task Statistics_come_as_text_and_as_JSON()
    {
        var stats = JsonNode.Parse(await GetAsync("/stats?format=json&filter=^cluster.fixed.membership"))!["stats"]!.AsArray();
        Assert.Equal(
            """[{"name":"cluster.fixed.membership_change","value":1},{"name":"cluster.fixed.membership_healthy","value":1},{"name":"cluster.fixed.membership_total","value":1}]""",
            stats.ToJsonString());
        Assert.Equal("cluster.fixed.membership_total: 1\n", await GetAsync("/stats?filter=^cluster.fixed.membership_total$"));
        Assert.Equal(400, (await HandleAsync("GET", "/stats?format=xml"))!.Status);
    }

    [Fact]
    public async Task What_changes_something_must_be_posted()
    {
        Assert.Equal(405, (await HandleAsync("GET", "/quitquitquit"))!.Status);
        Assert.False(_admin.Quit.IsCancellationRequested);
        Assert.Equal(200, (await HandleAsync("POST", "/quitquitquit"))!.Status);
        Assert.True(_admin.Quit.IsCancellationRequested);
        Assert.Equal(503, (await HandleAsync("GET", "/ready"))!.Status);
        Assert.Null(await HandleAsync("GET", "/nothing"));
    }

    [Theory]
    [InlineData("rebound.example.com:15000", null, 403)]
    [InlineData("localhost:15000", "https://example.com", 403)]
    [InlineData("localhost:15000", null, 200)]
    [InlineData("1.2.3.4:15000", null, 200)]
    public async Task A_page_in_a_browser_gets_nothing(string host, string? origin, int status)
    {
        foreach (var path in new[] { "/config_dump", "/certs", "/clusters", "/stats", "/logging?level=debug" })
        {
            var request = new RequestHead { Method = "GET", Authority = host };
            request.SetTarget(Encoding.ASCII.GetBytes(path));
            if (origin is not null) request.Headers.Add("origin"u8, origin);
            Assert.Equal(path.StartsWith("/logging", StringComparison.Ordinal) && status == 200 ? (await HandleAsync("GET", path))!.Status : status,
                (await _admin.HandleAsync(request, TestContext.Current.CancellationToken))!.Status);
        }
    }

    public void Dispose()
    {
        _plane.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    private async Task<string> GetAsync(string path, string method = "GET")
    {
        var reply = (await HandleAsync(method, path))!;
        if (reply.Stream is not { } stream) return Encoding.UTF8.GetString(reply.Body.Span);
        var body = new MemoryStream();
        await stream(piece =>
        {
            body.Write(piece.Span);
            return ValueTask.CompletedTask;
        }, TestContext.Current.CancellationToken);
        return Encoding.UTF8.GetString(body.ToArray());
    }

    private async Task<AdminReply?> HandleAsync(string method, string path)
    {
        var request = new RequestHead { Method = method };
        request.SetTarget(Encoding.ASCII.GetBytes(path));
        return await _admin.HandleAsync(request, TestContext.Current.CancellationToken);
    }
}

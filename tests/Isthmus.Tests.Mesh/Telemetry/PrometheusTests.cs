using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Testing;
using Isthmus.Tests.Mesh.Lab;
using Isthmus.Tests.Mesh.Meshes;
using Isthmus.WebConsole.Traffic;
using Xunit;

namespace Isthmus.Tests.Mesh.Telemetry;

/// <summary>A Prometheus that nobody here wrote scrapes all proxies and control planes of a mesh, through the API servers of its clusters.</summary>
[Collection(nameof(PlacedMesh))]
[Trait("shard", nameof(PlacedMesh))]
public sealed class PrometheusTests(PlacedMeshRig mesh) : IDisposable
{
    /// <summary>The labels that Kiali's graph is made of.</summary>
    private const string GraphLabels =
        "source_cluster, source_workload_namespace, source_workload, source_canonical_service, source_canonical_revision, destination_cluster, "
            + "destination_service_namespace, destination_service, "
            +
        "destination_service_name, destination_workload_namespace, destination_workload, destination_canonical_service, destination_canonical_revision, "
            + "request_protocol, response_code, response_flags";

    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-prometheus-").FullName;
    private readonly ReservedPort _port = new();
    private readonly ReservedPort _collectorPort = new();
    private Process? _prometheus;
    private Process? _collector;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_queries_of_dashboards_and_of_a_graph_have_answers()
    {
        var lab = await mesh.LabAsync();
        await StartAsync(lab);
        await MeshRig.UntilAsync(() => QueryAsync("count(up == 0) or vector(0)"), answer => Value(answer) == 0 && Results(answer).Count > 0,
            "all targets are scraped");
        await MeshRig.UntilAsync(() => QueryAsync("count(up)"), answer => Value(answer) >= 8, "proxies and control planes of both clusters are scraped");
        var graph = $"sum by ({GraphLabels}) (rate(istio_requests_total{{reporter=\"source\", destination_service=\"{Service}\"}}[1m])) > 0";
        // A counter has a rate when two scrapes saw it differ, and each proxy is scraped at a time of its own: calls go on until both reporters of the four
        // ways have one.
        await MeshRig.UntilAsync(async () =>
        {
            await CallAsync();
            return await QueryAsync(
                $"count(sum by (reporter, source_cluster, destination_cluster) (rate(istio_requests_total{{source_workload=\"sleep\", "
                    + $"destination_service=\"{Service}\"}}[1m])) > 0)");
        }, answer => Value(answer) == 8, "each cluster calls both");
        var edges = Results(await QueryAsync(graph));
        foreach (var edge in edges)
        {
            var labels = edge!["metric"]!.AsObject();
            foreach (var name in GraphLabels.Split(", "))
                Assert.True(labels[name]?.ToString() is { Length: > 0 } and not "unknown", $"{name} in {labels.ToJsonString()}");
        }

        await MeshRig.UntilAsync(async () =>
        {
            await CallAsync();
            await ReadAsConsoleAsync();
            return "";
        }, _ => true, "the console reads all ways");
        foreach (var (board, query) in Dashboards())
        {
            await AnsweredAsync(query.Replace("$service", Service, StringComparison.Ordinal), answer => Results(answer).Count > 0, board);
        }
        await AnsweredAsync(
            "sum(rate(istio_requests_total{reporter=\"destination\", connection_security_policy=\"mutual_tls\"}[1m])) / "
                + "sum(rate(istio_requests_total{reporter=\"destination\"}[1m]))",
            answer => Value(answer) == 1, "all calls arrive with mutual TLS");
        // A mesh that is well has nothing to alert of, and what is asked for is there.
        await AnsweredAsync("count(isthmus_certificate_expiration_timestamp_seconds{kind=~\"root|intermediate|control plane|webhook CA\"})",
            answer => Value(answer) >= 6, "certificates of both control planes");
        Assert.Equal("[]", JsonNode.Parse(await GetAsync("alerts", _port.Number))!["data"]!["alerts"]!.ToJsonString());
        Assert.All(JsonNode.Parse(await GetAsync("rules", _port.Number))!["data"]!["groups"]!.AsArray().SelectMany(group => group!["rules"]!.AsArray()),
            rule => Assert.Equal("ok", $"{rule!["health"]}"));
        await AnsweredAsync("count(pilot_info)", answer => Value(answer) == 2, "both control planes");
        foreach (var query in OfOthers) await AnsweredAsync(query, answer => Results(answer).Count > 0, "dashboards of others");
        await CollectAsync();
        // Each reporter of the four ways between the clusters, as the federating Prometheus has them.
        await MeshRig.UntilAsync(
            () => QueryAsync(
                $"count(count by (reporter, source_cluster, destination_cluster, cluster) (istio_requests_total{{destination_service=\"{Service}\"}}))",
            _collectorPort.Number),
            answer => Value(answer) >= 8, "the collecting Prometheus has the metrics of all clusters");
    }

    /// <summary>Waits for the answer. A scrape may take no longer than a second here: on a busy machine one of them is missing, and with it what it
    /// would have had at this moment. Rates need calls in the last minute.</summary>
    private Task<string> AnsweredAsync(string query, Func<string, bool> wanted, string what) => MeshRig.UntilAsync(async () =>
    {
        var answer = await QueryAsync(query);
        if (!wanted(answer)) await CallAsync();
        return answer;
    }, wanted, $"{what}: {query}");

    private async Task CallAsync()
    {
        foreach (var cluster in MeshRig.Clusters)
            await mesh.ScriptAsync(cluster, "sample", "deployment/sleep", "sleep",
                "for i in $(seq 10); do curl -sS -o /dev/null helloworld.sample:5000/hello; done");
    }

    /// <summary>What the dashboards of Istio and Kiali's graph select and group by, besides what the dashboards here do.</summary>
    private static readonly string[] OfOthers =
    [
        "sum by (source_canonical_service, destination_canonical_service, destination_canonical_revision) "
            + "(istio_requests_total{reporter=~\"source|waypoint\"})",
        "sum by (connection_security_policy, source_principal, destination_principal) (istio_requests_total{reporter=\"destination\"})",
        "sum by (request_protocol, response_code, grpc_response_status, response_flags, destination_service_namespace, destination_service_name) "
            + "(istio_requests_total)",
        "sum(irate(istio_requests_total{reporter=\"source\", destination_service=~\".*\", response_code!~\"5.*\"}[1m])) / "
            + "sum(irate(istio_requests_total{reporter=\"source\"}[1m]))",
        "histogram_quantile(0.95, sum by (source_workload, source_workload_namespace, le) "
            + "(irate(istio_request_duration_milliseconds_bucket{reporter=\"destination\", destination_workload=~\".+\"}[1m]))) / 1000",
        "sum by (le) (irate(istio_response_bytes_bucket{reporter=\"source\"}[1m]))", "sum by (le) (irate(istio_request_bytes_bucket{reporter=\"source\"}[1m]))",
        "sum by (tag) (istio_build{component=\"pilot\"})", "sum by (tag) (istio_build{component=\"proxy\"})",
        "envoy_server_uptime", "envoy_server_memory_allocated", "envoy_server_memory_heap_size", "envoy_listener_downstream_cx_active",
        "sum(irate(pilot_xds_pushes{type=\"cds\"}[1m]))", "sum(irate(pilot_xds_pushes{type=\"eds\"}[1m]))", "sum(irate(pilot_xds_pushes{type=\"lds\"}[1m]))",
        "sum(irate(pilot_xds_pushes{type=\"rds\"}[1m]))",
        "sum(rate(pilot_total_xds_internal_errors[1m]))", "sum(rate(pilot_xds_push_context_errors[1m]))",
        "sum by (le) (rate(pilot_proxy_convergence_time_bucket[1m]))",
        "pilot_virt_services", "pilot_services", "pilot_xds", "sum by (type, event) (pilot_k8s_cfg_events) or vector(0)",
        "sum by (type, event) (pilot_k8s_reg_events)", "sum by (type) (pilot_push_triggers)", "sum(galley_validation_passed) or vector(0)",
        "sum(rate(sidecar_injection_success_total[1m]))", "istio_agent_cert_expiry_seconds", "istio_agent_num_outgoing_requests",
        "istio_agent_num_failed_outgoing_requests", "istio_agent_dns_requests_total", "istio_agent_dns_upstream_requests_total",
        "process_virtual_memory_bytes", "process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds",
    ];

    /// <summary>A second Prometheus collects what the first has, with the settings that the page of the samples shows.</summary>
    private async Task CollectAsync()
    {
        var page = await File.ReadAllTextAsync(Path.Combine(Addons, "README.md"), Stop);
        const string Begin = "```yaml\n";
        var from = page.IndexOf(Begin, StringComparison.Ordinal) + Begin.Length;
        var config = YamlText.Parse(page[from..page.IndexOf("```", from, StringComparison.Ordinal)], "README.md")!;
        config["global"] = new JsonObject { ["scrape_interval"] = "1s" };
        config["scrape_configs"]![0]!["static_configs"] = new JsonArray(new JsonObject { ["targets"] = new JsonArray($"127.0.0.1:{_port.Number}") });
        var file = Path.Combine(_directory, "collector.yml");
        await File.WriteAllTextAsync(file, config.ToJsonString(), Stop);
        _collector = Process.Start(new ProcessStartInfo(Program,
            [$"--config.file={file}", $"--storage.tsdb.path={_directory}/collected", $"--web.listen-address=127.0.0.1:{_collectorPort.Number}",
                "--log.level=error"]))!;
    }

    /// <summary>The arrows of the console, from the same Prometheus.</summary>
    private async Task ReadAsConsoleAsync()
    {
        var (window, rates) = await PrometheusServer.At(new($"http://127.0.0.1:{_port.Number}"), PrometheusServer.Client()).ReadAsync(new PatientTime(), Stop);
        Assert.Equal("1m", window);
        var calls = rates.Where(rate => rate.Call.Source is { Name: "sleep", Namespace: "sample" }
            && rate.Call.Destination is { Name: "helloworld", Namespace: "sample" })
            .ToList();
        Assert.Equal(
            from source in MeshRig.Clusters
            from destination in MeshRig.Clusters
            from bySource in (bool[])[false, true]
            select (source, destination, bySource),
            calls.Select(rate => (rate.Call.Source.Cluster, rate.Call.Destination.Cluster, rate.Call.BySource)).Order());
        Assert.All(calls, rate =>
        {
            Assert.True(rate is { Rate: > 0, Errors: 0, P50: > 0, Call.Protocol: "http", Identity: "spiffe://cluster.local/ns/sample/sa/sleep" },
                rate.ToString());
            Assert.True(rate.P95 >= rate.P50, rate.ToString());
            Assert.True(rate.Call.BySource || rate.IsMutualTls == true, rate.ToString());
        });
    }

    private static string Program => Path.Combine(BuiltProgram.Artifacts, "guests/usr/bin/prometheus");

    [Fact]
    public async Task The_manifests_are_what_an_API_server_takes()
    {
        foreach (var file in (string[])["prometheus.yaml", "otel-collector.yaml"])
            await mesh.KubectlAsync("cluster1", $"apply --dry-run=server -f {Path.Combine(Addons, file)}");
    }

    private const string Service = "helloworld.sample.svc.cluster.local";

    private static string Addons => Path.Combine(BuiltProgram.Sources, "samples/addons");

    private static IEnumerable<(string Board, string Query)> Dashboards()
    {
        var files = Directory.GetFiles(Path.Combine(Addons, "grafana"), "*.json");
        Assert.Equal(4, files.Length);
        foreach (var file in files)
            foreach (var panel in JsonNode.Parse(File.ReadAllText(file))!["panels"]!.AsArray())
                foreach (var target in panel!["targets"]!.AsArray())
                    yield return ($"{Path.GetFileName(file)}, {panel["title"]}", target!["expr"]!.GetValue<string>());
    }

    private static string AlertRules() => YamlText.ParseAll(File.ReadAllText(Path.Combine(Addons, "prometheus.yaml")), "prometheus.yaml")
        .Select(item => item?["data"]?["alerts.yml"]).OfType<JsonNode>().Single().ToString();

    private async Task StartAsync(LabRig lab)
    {
        Assert.True(File.Exists(Program), $"{Program} is missing: ./test unpacks it");
        var access = Path.Combine(_directory, "kubeconfig");
        (await lab.IsthmusAsync("lab", "kubeconfig", "--loopback", "--kubeconfig", access)).Expect(0);
        var config = Path.Combine(_directory, "prometheus.yml");
        await File.WriteAllTextAsync(config, await ConfigAsync(YamlText.Parse(await File.ReadAllTextAsync(access, Stop), access)!), Stop);
        _prometheus = Process.Start(new ProcessStartInfo(Program,
            [$"--config.file={config}", $"--storage.tsdb.path={_directory}/data", $"--web.listen-address=127.0.0.1:{_port.Number}", "--log.level=error"]))!;
    }

    private async Task<string> ConfigAsync(JsonNode kubeconfig)
    {
        await File.WriteAllTextAsync(Path.Combine(_directory, "alerts.yml"), AlertRules(), Stop);
        var text = new StringBuilder("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [alerts.yml]\nscrape_configs:\n");
        foreach (var cluster in MeshRig.Clusters)
        {
            var context = Named(kubeconfig, "contexts", cluster)["context"]!;
            var server = Named(kubeconfig, "clusters", context["cluster"]!.ToString())["cluster"]!;
            var user = Named(kubeconfig, "users", context["user"]!.ToString())["user"]!;
            text.Append(CultureInfo.InvariantCulture, $$"""
                - job_name: {{cluster}}
                  scheme: https
                  tls_config: {ca_file: {{Decoded(cluster, server, "certificate-authority-data")}},
                    cert_file: {{Decoded(cluster, user, "client-certificate-data")}}, key_file: {{Decoded(cluster, user, "client-key-data")}} }
                  static_configs:

                """);
            foreach (var pod in JsonNode.Parse(await mesh.KubectlAsync(cluster, "get pods -A -o json"))!["items"]!.AsArray())
            {
                var (metadata, annotations) = (pod!["metadata"]!, pod["metadata"]!["annotations"]);
                // Other tests of this mesh may have left Pods, some of which have ended.
                if (annotations?["prometheus.io/scrape"]?.ToString() != "true" || metadata["namespace"]!.ToString() is not ("istio-system" or "sample"))
                    continue;
                if (metadata["deletionTimestamp"] is not null || pod["status"]!["phase"]!.ToString() is "Succeeded" or "Failed") continue;
                var path =
                    $"/api/v1/namespaces/{metadata["namespace"]}/pods/{metadata["name"]}:{annotations["prometheus.io/port"]}/proxy{annotations["prometheus.io/path"]?.ToString() ?? "/metrics"}";
                text.Append(CultureInfo.InvariantCulture,
                    $"  - {{targets: [\"{new Uri(server["server"]!.ToString()).Authority}\"], labels: {{__metrics_path__: \"{path}\", pod: {metadata["name"]}, "
                        + $"instance: {cluster}/{metadata["name"]}}} }}\n");
            }
        }
        return text.ToString();
    }

    private static JsonNode Named(JsonNode kubeconfig, string list, string name) =>
        kubeconfig[list]!.AsArray().Single(item => item!["name"]!.ToString() == name)!;

    private string Decoded(string cluster, JsonNode from, string field)
    {
        var path = Path.Combine(_directory, $"{cluster}.{field}");
        File.WriteAllBytes(path, Convert.FromBase64String(from[field]!.ToString()));
        return path;
    }

    private Task<string> QueryAsync(string query) => QueryAsync(query, _port.Number);

    private static Task<string> QueryAsync(string query, int port) => GetAsync($"query?query={Uri.EscapeDataString(query)}", port);

    private static async Task<string> GetAsync(string path, int port)
    {
        using var client = new HttpClient { Timeout = TimeSpan.FromSeconds(20) };
        try
        {
            return await client.GetStringAsync(new Uri($"http://127.0.0.1:{port}/api/v1/{path}"), Stop);
        }
        catch (HttpRequestException e)
        {
            return $$"""{"error": "{{e.HttpRequestError}}", "data": {"result": []} }""";
        }
    }

    private static JsonArray Results(string answer) => JsonNode.Parse(answer)!["data"]!["result"]!.AsArray();

    private static double Value(string answer) =>
        Results(answer) is [{ } only] ? double.Parse(only["value"]![1]!.ToString(), CultureInfo.InvariantCulture) : double.NaN;

    public void Dispose()
    {
        foreach (var process in (Process?[])[_prometheus, _collector])
        {
            if (process is null) continue;
            process.Kill();
            process.WaitForExit();
            process.Dispose();
        }
        _port.Dispose();
        _collectorPort.Dispose();
        Directory.Delete(_directory, recursive: true);
    }
}

using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Flags;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Diagnose;
using Isthmus.Testing;
using Isthmus.WebConsole.Reading;
using Isthmus.WebConsole.Traffic;
using Isthmus.WebConsole.Viewers;
using Xunit;

namespace Isthmus.Tests.WebConsole;

/// <summary>Traffic from a Prometheus: at an address, behind an API server, and none that can be used.</summary>
public sealed class PrometheusTrafficTests
{
    private const string Nothing = """{"status": "success", "data": {"resultType": "vector", "result": []}}""";

    private readonly StepTime _time = new();

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>A row for calls from buyer in c1 to orders in c2.</summary>
    private static string Row(string reporter, string value, string more = "", string protocol = "http") =>
        $$"""
        {"metric": {"reporter": "{{reporter}}", "source_workload": "buyer", "source_workload_namespace": "shop", "source_cluster": "c1",
          "destination_service_name": "orders", "destination_service_namespace": "shop", "destination_cluster": "c2",
          "request_protocol": "{{protocol}}"{{more}}}, "value": [1780000000.1, "{{value}}"]}
        """;

    private static string Vector(params string[] rows) =>
        $$$"""{"status": "success", "data": {"resultType": "vector", "result": [{{{string.Join(",", rows)}}}]}}""";

    /// <summary>Answers each question as a Prometheus with traffic of one minute does.</summary>
    private static string Answer(string question) => !question.Contains("[1m]", StringComparison.Ordinal) ? Nothing : question switch
    {
        _ when question.StartsWith("histogram_quantile(0.5,", StringComparison.Ordinal) => Vector(Row("source", "12.5")),
        _ when question.StartsWith("histogram_quantile(0.95,", StringComparison.Ordinal) => Vector(Row("source", "NaN"), Row("destination", "80")),
        _ when question.Contains("istio_requests_total", StringComparison.Ordinal) => Vector(
            Row("source", "7.5", ", \"response_code\": \"200\", \"response_flags\": \"-\", \"connection_security_policy\": \"unknown\""),
            Row("source", "2.5", ", \"response_code\": \"503\", \"response_flags\": \"UF\", \"connection_security_policy\": \"unknown\""),
            Row("destination", "7.5",
                ", \"response_code\": \"200\", \"connection_security_policy\": \"mutual_tls\", \"source_principal\": "
                    + "\"spiffe://cluster.local/ns/shop/sa/buyer\""),
            """{"metric": {"reporter": "source", "destination_service_name": "unknown"}, "value": [1, "5"]}"""),
        _ when question.Contains("istio_tcp_connections_opened_total", StringComparison.Ordinal) => Vector(Row("source", "0.5", protocol: "tcp")),
        _ => Vector(Row("source", "100", protocol: "tcp")),
    };

    private static MeshState Mesh(params ClusterState[] clusters) => new(DateTimeOffset.UnixEpoch, clusters);

    private static ClusterState Cluster(string name, Uri? server = null, params Service[] services) =>
        new(new ClusterAccess { Name = name, Server = server ?? new Uri("http://127.0.0.1:1") }, new ClusterFacts(name, name), services, [], []);

    private static Service Prometheus(string ns = "istio-system", string name = "prometheus")
    {
        var service = new Service();
        (service.Metadata.Namespace, service.Metadata.Name) = (ns, name);
        service.Spec.Ports.Add(new() { Name = "http", Port = 9090 });
        return service;
    }

    private PrometheusTraffic At(string where) =>
        new(PrometheusChoice.Read("--prometheus", where), WellKnown.SystemNamespace, _ => throw new InvalidOperationException("no API server is asked"), _time);

    private async Task<PrometheusPicture> AskAsync(string where)
    {
        using var traffic = At(where);
        await traffic.AskAsync(Mesh(Cluster("c1"), Cluster("c2")), Stop);
        return traffic.Latest;
    }

    [Fact]
    public async Task Rates_errors_latencies_and_identities_come_from_one_question_each()
    {
        await using var server = await PrometheusPage.StartAsync(http => http.Answer(200, Answer(http.Question)));
        var picture = await AskAsync(server.Address);
        var state = Assert.Single(picture.States);
        Assert.Equal((server.Address, "1m", "c1, c2", ""), (state.Name, state.Window, string.Join(", ", state.Clusters), state.Error));
        Assert.Equal(6, server.Asked.Count);
        var http = picture.Rates.Single(rate => rate.Call is { BySource: true, Protocol: "http" });
        Assert.Equal((10, 0.25, 12.5, null, "UF", null), (http.Rate, http.Errors, http.P50, http.P95, Assert.Single(http.Flags), http.IsMutualTls));
        Assert.Equal(new Call(new("buyer", "shop", "c1"), new("orders", "shop", "c2"), true, "http"), http.Call);
        var callee = picture.Rates.Single(rate => !rate.Call.BySource);
        Assert.Equal((7.5, 0.0, 80, true, "spiffe://cluster.local/ns/shop/sa/buyer"),
            (callee.Rate, callee.Errors, callee.P95, callee.IsMutualTls, callee.Identity));
        var tcp = picture.Rates.Single(rate => rate.Call.Protocol == "tcp");
        Assert.Equal((0.5, 200), (tcp.Rate, tcp.Bytes));
        Assert.Equal(3, picture.Rates.Count);
    }

    [Fact]
    public async Task What_it_does_not_scrape_is_asked_of_proxies()
    {
        await using var server = await PrometheusPage.StartAsync(http => http.Answer(200, Answer(http.Question).Replace("c2", "c1", StringComparison.Ordinal)));
        var picture = await AskAsync(server.Address);
        Assert.True(picture.Has("c1"));
        Assert.False(picture.Has("c2"));
        var own = new CallRate(new(new("pay", "shop", "c2"), new("orders", "shop", "c1"), true, "http"), 3, 0, null, null, 0);
        var known = own with { Call = own.Call with { Source = new("pay", "shop", "c1") } };
        Assert.Equal(picture.Rates.Append(own), picture.Join([own, known]));
    }

    [Fact]
    public async Task A_longer_window_is_used_when_the_scrape_interval_is_long()
    {
        await using var server = await PrometheusPage.StartAsync(http => http.Answer(200,
            Answer(http.Question.Replace("[5m]", "[1m]", StringComparison.Ordinal) is var asked && http.Question == asked ? "[2m]" : asked)));
        Assert.Equal(("5m", 3), (await AskAsync(server.Address) is var picture ? (Assert.Single(picture.States).Window, picture.Rates.Count) : default));
    }

    public static TheoryData<string, int, string, string> Unusable => new()
    {
        { "an error of the server", 500, "boom", "answers 500 Internal Server Error" },
        { "a login", 401, "", "answers 401 Unauthorized" },
        { "a redirection", 302, "", "answers 302 Found" },
        {
            "an error of Prometheus", 422, """{"status": "error", "errorType": "execution", "error": "query processing would load too many samples"}""",
            "answers: query processing would load too many samples"
        },
        { "another page", 200, "<html>", "does not answer as Prometheus does: its answer is not the JSON of an instant query" },
        { "another JSON", 200, """{"items": []}""", "does not answer as Prometheus does: its answer is not a vector" },
        { "null", 200, "null", "does not answer as Prometheus does: its answer is not a vector" },
        {
            "a matrix", 200, """{"status": "success", "data": {"resultType": "matrix", "result": []}}""",
            "does not answer as Prometheus does: its answer is not a vector"
        },
        {
            "rows without values", 200, """{"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}}]}}""",
            "does not answer as Prometheus does: its answer is not a vector"
        },
        {
            "empty rows", 200, """{"status": "success", "data": {"resultType": "vector", "result": [null]}}""",
            "does not answer as Prometheus does: its answer is not a vector"
        },
        { "a deep answer", 200, new string('[', 5_000), "does not answer as Prometheus does: its answer is not the JSON of an instant query" },
        { "a huge answer", 200, new string(' ', (8 << 20) + 1), "answers a question with more than 8 MiB" },
        {
            "too many series", 200, Vector([.. Enumerable.Repeat("""{"metric": {}, "value": [1, "1"]}""", 20_001)]),
            "answers a question with 20001 series, more than 20000"
        },
        { "no calls", 200, Nothing, "knows no calls of the last 5 minutes (istio_requests_total, istio_tcp_connections_opened_total)" },
    };

    [Theory]
    [MemberData(nameof(Unusable))]
    public async Task One_that_cannot_be_used_is_named_with_the_reason(string what, int status, string answer, string reason)
    {
        await using var server = await PrometheusPage.StartAsync(http => http.Answer(status, answer));
        var picture = await AskAsync(server.Address);
        var state = Assert.Single(picture.States);
        Assert.True(reason == state.Error, $"{what}: {state.Error}");
        Assert.NotEmpty(state.Remedy);
        Assert.Empty(picture.Rates);
        Assert.False(picture.Has("c1"));
    }

    [Fact]
    public async Task One_that_is_slow_or_gone_is_given_up_and_asked_again_later()
    {
        _time.Factor = 1;
        var release = new TaskCompletionSource();
        var server = await PrometheusPage.StartAsync(async http => await release.Task.WaitAsync(http.Ended));
        try
        {
            using var traffic = At(server.Address);
            await traffic.AskAsync(Mesh(Cluster("c1")), Stop);
            Assert.Equal("does not answer within 4 s", Assert.Single(traffic.Latest.States).Error);
            var asked = server.Asked.Count;
            await traffic.AskAsync(Mesh(Cluster("c1")), Stop);
            Assert.Equal(asked, server.Asked.Count);
            Assert.Equal("does not answer within 4 s", Assert.Single(traffic.Latest.States).Error);
            release.SetResult();
            await server.DisposeAsync();
            _time.Step(TimeSpan.FromSeconds(16));
            await traffic.AskAsync(Mesh(Cluster("c1")), Stop);
            Assert.Equal("cannot be reached: connection refused", Assert.Single(traffic.Latest.States).Error);
            // What was said long ago is not shown.
            _time.Step(TimeSpan.FromSeconds(21));
            Assert.Empty(traffic.Latest.States);
        }
        finally
        {
            release.TrySetResult();
            await server.DisposeAsync();
        }
    }

    [Fact]
    public async Task Credentials_in_a_URL_go_to_the_server_and_not_to_the_page()
    {
        var seen = "";
        await using var server = await PrometheusPage.StartAsync(http =>
        {
            seen = http.Authorization;
            return http.Answer(200, Answer(http.Question));
        });
        var picture = await AskAsync(server.Address.Replace("http://", "http://me:p%40ss@", StringComparison.Ordinal) + "/");
        Assert.Equal($"Basic {Convert.ToBase64String(Encoding.UTF8.GetBytes("me:p@ss"))}", seen);
        Assert.Equal(server.Address, Assert.Single(picture.States).Name);
    }

    [Fact]
    public async Task A_Service_beside_the_control_plane_is_found_and_read_through_the_API_server()
    {
        await using var first = await PrometheusPage.StartAsync(http => http.Answer(200, Answer(http.Question)));
        await using var second = await PrometheusPage.StartAsync(http => http.Answer(403,
            """{"kind": "Status", "message": "services \"prometheus\" is forbidden"}"""));
        var mesh = Mesh(Cluster("c1", new(first.Address), Prometheus()), Cluster("c2", new(second.Address), Prometheus()),
            Cluster("c3", null, Prometheus("monitoring")));
        using var clients = new Clients(mesh);
        using var traffic = new PrometheusTraffic(PrometheusChoice.Found, WellKnown.SystemNamespace, clients.Of, _time);
        await traffic.AskAsync(mesh, Stop);
        Assert.Equal(
        [
            "Service istio-system/prometheus in c1: c1, c2",
            "Service istio-system/prometheus in c2: you may not read it through the API server, ask for the right to get services/proxy in namespace "
                + "istio-system",
        ], traffic.Latest.States.Select(state => $"{state.Name}: {string.Join(", ", state.Error.Length == 0 ? state.Clusters : [state.Error, state.Remedy])}"));
        Assert.All(first.Asked,
            path => Assert.StartsWith("/api/v1/namespaces/istio-system/services/prometheus:9090/proxy/api/v1/query?", path, StringComparison.Ordinal));
        Assert.Equal(10, traffic.Latest.Rates.Single(rate => rate.Call is { BySource: true, Protocol: "http" }).Rate);
    }

    [Fact]
    public async Task A_named_Service_is_the_only_one_that_is_asked()
    {
        await using var server = await PrometheusPage.StartAsync(http => http.Answer(200, Answer(http.Question)));
        var mesh = Mesh(Cluster("c1", new(server.Address), Prometheus(), Prometheus("monitoring", "prom")));
        using var clients = new Clients(mesh);
        using var named = new PrometheusTraffic(PrometheusChoice.Read("--prometheus", "monitoring/prom:8080"), WellKnown.SystemNamespace, clients.Of, _time);
        await named.AskAsync(mesh, Stop);
        Assert.Equal("Service monitoring/prom in c1", Assert.Single(named.Latest.States).Name);
        Assert.All(server.Asked, path => Assert.StartsWith("/api/v1/namespaces/monitoring/services/prom:8080/proxy/", path, StringComparison.Ordinal));
        using var missing = new PrometheusTraffic(PrometheusChoice.Read("--prometheus", "monitoring/none-here"), WellKnown.SystemNamespace, clients.Of, _time);
        await missing.AskAsync(mesh, Stop);
        Assert.Equal("is in none of the clusters that are shown", Assert.Single(missing.Latest.States).Error);
        using var none = new PrometheusTraffic(PrometheusChoice.None, WellKnown.SystemNamespace, clients.Of, _time);
        await none.AskAsync(mesh, Stop);
        Assert.Empty(none.Latest.States);
    }

    [Fact]
    public void Calls_that_two_servers_know_count_once()
    {
        var rate = new CallRate(new(new("buyer", "shop", "c1"), new("orders", "shop", "c2"), true, "http"), 3, 0, null, null, 0);
        var (more, other) = (rate with { Rate = 5 }, rate with { Call = rate.Call with { BySource = false } });
        Assert.Equal([more, other], PrometheusRates.Merge([rate, more, other]));
    }

    [Theory]
    [InlineData("ftp://host", "is not the URL of a Prometheus")]
    [InlineData("http://host/?query=up", "is not the URL of a Prometheus")]
    [InlineData("prometheus", "is neither a URL nor a Service")]
    [InlineData("a/b/c", "is neither a URL nor a Service")]
    [InlineData("a/../b", "is neither a URL nor a Service")]
    [InlineData("istio-system/prometheus?x", "is neither a URL nor a Service")]
    [InlineData("istio-system/prometheus:0", "'0' is not a port number")]
    public void Another_place_is_refused(string where, string reason) =>
        Assert.Equal(reason, Assert.Throws<WrongUseException>(() => PrometheusChoice.Read("--prometheus", where)).Problem.Message);

    [Fact]
    public void In_a_cluster_an_address_is_refused()
    {
        var problem = Assert.Throws<WrongUseException>(() => ViewerSettings.Read(["--prometheus", "http://prometheus.monitoring:9090"])).Problem;
        Assert.Contains("viewers read Prometheus with their own rights", problem.Message, StringComparison.Ordinal);
        Assert.Equal(("monitoring", "prometheus"),
            ViewerSettings.Read(["--prometheus", "monitoring/prometheus"]).Prometheus is var choice ? (choice.Namespace, choice.Name) : default);
    }

    private sealed class Clients(MeshState mesh) : IDisposable
    {
        private readonly Dictionary<string, KubeClient> _clients = mesh.Clusters.ToDictionary(cluster => cluster.Context,
            cluster => new KubeClient(cluster.Access), StringComparer.Ordinal);

        public KubeClient Of(string context) => _clients[context];

        public void Dispose()
        {
            foreach (var client in _clients.Values) client.Dispose();
        }
    }

    private sealed class StepTime : PatientTime
    {
        private DateTimeOffset _now = new(2026, 6, 1, 0, 0, 0, TimeSpan.Zero);

        public override DateTimeOffset GetUtcNow() => _now;

        public void Step(TimeSpan step) => _now += step;
    }
}

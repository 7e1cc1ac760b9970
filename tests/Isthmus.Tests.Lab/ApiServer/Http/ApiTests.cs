using System.Text.Json.Nodes;
using Isthmus.Rigs.Servers;
using Xunit;

namespace Isthmus.Tests.Lab.ApiServer.Http;

/// <summary>What clients see over HTTPS. All tests share one server, and each has its own namespace.</summary>
public class ApiTests(RunningApiServer server) : IClassFixture<RunningApiServer>
{
    private const string Table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

    [Fact]
    public async Task A_write_that_changes_nothing_keeps_the_version()
    {
        var maps = await MapsAsync();
        var created = await server.SendAsync("POST", maps, """{"metadata":{"name":"a"},"data":{"k":"v"}}""");
        var again = await server.SendAsync("PATCH", $"{maps}/a", """{"data":{"k":"v"}}""", "application/merge-patch+json");
        Assert.Equal((201, 200), (created.Code, again.Code));
        Assert.Equal(Version(created.Body), Version(again.Body));
    }

    [Theory]
    [InlineData("/healthz", 405)]
    [InlineData("/api/v1/namespaces", 405)]
    public async Task Heads_have_no_body_over_HTTP2(string path, int code)
    {
        // Two requests on one connection: extra bytes would break it.
        for (var i = 0; i < 2; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Head,
                path) { Version = System.Net.HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
            using var response = await server.Admin.SendAsync(request, TestContext.Current.CancellationToken);
            Assert.Equal(code, (int)response.StatusCode);
            Assert.Empty(await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));
        }
    }

    [Fact]
    public async Task A_stale_version_is_a_conflict_and_a_dry_run_changes_nothing()
    {
        var maps = await MapsAsync();
        await server.SendAsync("POST", maps, """{"metadata":{"name":"a"}}""");
        var dry = await server.SendAsync("PUT", $"{maps}/a?dryRun=All", """{"metadata":{"name":"a"},"data":{"x":"y"}}""");
        Assert.Equal("y", (string?)dry.Body["data"]!["x"]);
        Assert.Null((await server.SendAsync("GET", $"{maps}/a")).Body["data"]);
        var stale = await server.SendAsync("PUT", $"{maps}/a", """{"metadata":{"name":"a","resourceVersion":"1"}}""");
        Assert.Equal((409, "Conflict"), (stale.Code, (string?)stale.Body["reason"]));
    }

    [Fact]
    public async Task A_version_with_an_empty_group_is_of_the_core()
    {
        var maps = await MapsAsync();
        const string map = """{"apiVersion":"/v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"k":"1"}}""";
        var answers = new[]
        {
            await server.SendAsync("POST", maps, map), await server.SendAsync("PUT", $"{maps}/a", map),
            await server.SendAsync("PATCH", $"{maps}/a", map, "application/merge-patch+json"),
            await server.SendAsync("PATCH", $"{maps}/a?fieldManager=m&force=true", map, "application/apply-patch+yaml"),
        };
        Assert.Equal([201, 200, 200, 200], answers.Select(answer => answer.Code));
        Assert.All(answers, answer => Assert.Equal("v1", (string?)answer.Body["apiVersion"]));
        Assert.Equal(400, (await server.SendAsync("PUT", $"{maps}/a", map.Replace("/v1", "/v2", StringComparison.Ordinal))).Code);
    }

    [Fact]
    public async Task A_NetworkPolicy_is_stored_with_the_warning_that_a_lab_does_not_enforce_it()
    {
        var policies = (await MapsAsync()).Replace("/api/v1/", "/apis/networking.k8s.io/v1/", StringComparison.Ordinal)
            .Replace("/configmaps", "/networkpolicies", StringComparison.Ordinal);
        using var body = new StringContent("""{"metadata":{"name":"closed"},"spec":{"podSelector":{}}}""", System.Text.Encoding.UTF8,
            "application/json");
        using var response = await server.Admin.PostAsync(new Uri(policies, UriKind.Relative), body, TestContext.Current.CancellationToken);
        Assert.Equal(201, (int)response.StatusCode);
        var warning = Assert.Single(response.Headers.GetValues("Warning"));
        Assert.Contains("does not enforce NetworkPolicies", warning, StringComparison.Ordinal);
        using var read = await server.Admin.GetAsync(new Uri($"{policies}/closed", UriKind.Relative), TestContext.Current.CancellationToken);
        Assert.False(read.Headers.Contains("Warning"));
    }

    /// <summary>A lab has no user namespaces of Pods: it says so, with the object that asks for one. What Kubernetes refuses beside them, it refuses.</summary>
    [Theory]
    [InlineData("v1", "pods", "spec", "{SPEC}")]
    [InlineData("apps/v1", "deployments", "spec.template.spec",
        """{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{SPEC}}}""")]
    [InlineData("batch/v1", "cronjobs", "spec.jobTemplate.spec.template.spec",
        """{"schedule":"* * * * *","jobTemplate":{"spec":{"template":{"spec":{SPEC}}}}}""")]
    public async Task A_Pod_with_a_user_namespace_of_its_own_is_stored_with_the_warning_that_a_lab_gives_it_none(string version, string plural, string path,
        string spec)
    {
        var url = (await MapsAsync()).Replace("/api/v1/", version == "v1" ? "/api/v1/" : $"/apis/{version}/", StringComparison.Ordinal)
            .Replace("/configmaps", $"/{plural}", StringComparison.Ordinal);
        var (code, body, warnings) = await CreateAsync("");
        Assert.True(code == 201, body);
        Assert.Contains($"{path}.hostUsers: a lab gives no Pod a user namespace of its own", Assert.Single(warnings), StringComparison.Ordinal);
        foreach (var field in (string[])["hostNetwork", "hostPID", "hostIPC"])
        {
            (code, body, _) = await CreateAsync($"\"{field}\": true,");
            Assert.Equal(422, code);
            Assert.Contains($"{path}.{field}: Forbidden: when `hostUsers` is false", body.Replace("\\u0060", "`", StringComparison.Ordinal),
                StringComparison.Ordinal);
        }

        async Task<(int Code, string Body, string[] Warnings)> CreateAsync(string more)
        {
            var pod =
                $$"""{{{more}}"hostUsers":false,"restartPolicy":"{{(plural == "cronjobs" ? "Never" : "Always")}}","containers":[{"name":"a","image":"a"}]}""";
            using var content = new StringContent($$"""{"metadata":{"generateName":"a-"},"spec":{{spec.Replace("{SPEC}", pod, StringComparison.Ordinal)}}}""",
                System.Text.Encoding.UTF8, "application/json");
            using var response = await server.Admin.PostAsync(new Uri(url, UriKind.Relative), content, TestContext.Current.CancellationToken);
            var said = response.Headers.TryGetValues("Warning", out var values) ? values.ToArray() : [];
            return ((int)response.StatusCode, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), said);
        }
    }

    [Fact]
    public async Task Chunks_of_a_list_stay_at_their_first_version()
    {
        var maps = await MapsAsync();
        foreach (var name in (string[])["a", "b", "c", "d"]) await server.SendAsync("POST", maps, $$"""{"metadata": {"name": "{{name}}" } }""");
        var first = (await server.SendAsync("GET", $"{maps}?limit=3")).Body;
        Assert.Equal(1, (int)first["metadata"]!["remainingItemCount"]!);
        await server.SendAsync("DELETE", $"{maps}/d");
        var second = (await server.SendAsync("GET", $"{maps}?limit=3&continue={first["metadata"]!["continue"]}")).Body;
        Assert.Equal("d", (string?)Assert.Single((JsonArray)second["items"]!)!["metadata"]!["name"]);
        Assert.Equal(Version(first), Version(second));
    }

    [Theory]
    [InlineData("a===b")]
    [InlineData("a in b")]
    [InlineData("a in (b")]
    [InlineData(",")]
    [InlineData("a b")]
    [InlineData("n>x")]
    public async Task A_malformed_label_selector_is_400(string selector)
    {
        var answer = await server.SendAsync("GET", $"{await MapsAsync()}?labelSelector={Uri.EscapeDataString(selector)}");
        Assert.Equal(400, answer.Code);
        Assert.StartsWith("unable to parse requirement: ", (string?)answer.Body["message"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Objects_come_into_and_go_out_of_a_selection()
    {
        var maps = await MapsAsync();
        var start = Version((await server.SendAsync("GET", maps)).Body);
        await server.SendAsync("POST", maps, """{"metadata":{"name":"a"},"data":{"k":"1"}}""");
        await server.SendAsync("PATCH", $"{maps}/a", """{"metadata":{"labels":{"in":"yes"}}}""", "application/merge-patch+json");
        var last = await server.SendAsync("PATCH", $"{maps}/a", """{"metadata":{"labels":{"in":null}},"data":{"k":"2"}}""", "application/merge-patch+json");
        var events = await server.WatchAsync($"{maps}?watch=1&timeoutSeconds=1&labelSelector=in&resourceVersion={start}");
        Assert.Equal(["ADDED", "DELETED"], events.Select(e => (string?)e["type"]));
        Assert.Equal("1", (string?)events[1]["object"]!["data"]!["k"]);
        Assert.Equal(Version(last.Body), Version((JsonObject)events[1]["object"]!));
    }

    [Fact]
    public async Task A_watch_that_asks_for_initial_events_hears_when_they_end()
    {
        var maps = await MapsAsync();
        await server.SendAsync("POST", maps, """{"metadata":{"name":"a"}}""");
        var events = await server.WatchAsync(
            $"{maps}?watch=1&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true");
        Assert.Equal(["ADDED", "BOOKMARK"], events.Take(2).Select(e => (string?)e["type"]));
        Assert.Equal("true", (string?)events[1]["object"]!["metadata"]!["annotations"]!["k8s.io/initial-events-end"]);
    }

    [Fact]
    public async Task Finalizers_hold_an_object_until_the_last_one_is_removed()
    {
        var maps = await MapsAsync();
        await server.SendAsync("POST", maps, """{"metadata":{"name":"a","finalizers":["example.com/hold"]}}""");
        var deleted = await server.SendAsync("DELETE", $"{maps}/a");
        Assert.NotNull(deleted.Body["metadata"]!["deletionTimestamp"]);
        Assert.Equal(422,
            (await server.SendAsync("PATCH", $"{maps}/a", """{"metadata":{"finalizers":["example.com/hold","example.com/more"]}}""",
                "application/merge-patch+json")).Code);
        Assert.Equal(200, (await server.SendAsync("PATCH", $"{maps}/a", """{"metadata":{"finalizers":null}}""", "application/merge-patch+json")).Code);
        Assert.Equal(404, (await server.SendAsync("GET", $"{maps}/a")).Code);
    }

    [Theory]
    [InlineData("""{"metadata":{"name":"Bad_Name"}}""", "", 422, "a lowercase RFC 1123 subdomain")]
    [InlineData("""{"metadata":{"name":"a"},"foo":1}""", "?fieldValidation=Strict", 400, "strict decoding error: unknown field \"foo\"")]
    [InlineData("""{"kind":"Secret","apiVersion":"v1","metadata":{"name":"a"}}""", "", 400, "cannot be handled as a ConfigMap")]
    [InlineData("""{"metadata":{"name":"a","namespace":"other"}}""", "", 400, "does not match the namespace sent on the request")]
    [InlineData("""{"metadata":{"name":"a"},"data":{"k":1}}""", "", 400, "cannot unmarshal number into Go struct field ConfigMap.data of type string")]
    [InlineData("{", "", 400, "the object provided is unrecognized")]
    [InlineData("""{"metadata":{"name":"a"}}""", "?dryRun=Some", 422, "dryRun: Unsupported value")]
    public async Task A_bad_object_gets_one_clear_answer(string body, string query, int code, string says)
    {
        var answer = await server.SendAsync("POST", await MapsAsync() + query, body);
        Assert.Equal(code, answer.Code);
        Assert.Contains(says, (string?)answer.Body["message"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Tables_have_cells_and_partial_objects()
    {
        var maps = await MapsAsync();
        await server.SendAsync("POST", maps, """{"metadata":{"name":"a"},"data":{"k":"v"}}""");
        var table = (await server.SendAsync("GET", maps, accept: Table)).Body;
        Assert.Equal(["Name", "Data", "Age"], ((JsonArray)table["columnDefinitions"]!).Select(column => (string?)column!["name"]));
        var row = ((JsonArray)table["rows"]!)[0]!;
        Assert.Equal(("a", 1, "PartialObjectMetadata"), ((string?)row["cells"]![0], (int)row["cells"]![1]!, (string?)row["object"]!["kind"]));
    }

    [Fact]
    public async Task Scale_has_a_table_of_its_own()
    {
        var sets = $"/apis/apps/v1/namespaces/{await server.NamespaceAsync()}/replicasets";
        await server.SendAsync("POST", sets,
            """{"metadata":{"name":"a"},"spec":{"replicas":2,"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}""");
        var table = (await server.SendAsync("GET", $"{sets}/a/scale", accept: Table)).Body;
        Assert.Equal(["Name", "Desired", "Available", "Age"], ((JsonArray)table["columnDefinitions"]!).Select(column => (string?)column!["name"]));
        var row = ((JsonArray)table["rows"]!)[0]!;
        Assert.Equal(("a", 2, 0), ((string?)row["cells"]![0], (int)row["cells"]![1]!, (int)row["cells"]![2]!));
    }

    [Theory]
    [InlineData("policy/v1", 201)]
    [InlineData("policy/v1beta1", 201)]
    [InlineData("policy/v2", 400)]
    public async Task Evictions_are_taken_in_the_version_of_older_clients_too(string version, int code)
    {
        var pods = $"/api/v1/namespaces/{await server.NamespaceAsync()}/pods";
        await server.SendAsync("POST", pods, """{"metadata":{"name":"a"},"spec":{"containers":[{"name":"c","image":"i"}]}}""");
        var body =
            $$$"""{"kind":"Eviction","apiVersion":"{{{version}}}","metadata":{"name":"a"},"deleteOptions":{"kind":"DeleteOptions","apiVersion":"v1","gracePeriodSeconds":1}}""";
        Assert.Equal(code, (await server.SendAsync("POST", $"{pods}/a/eviction?fieldValidation=Strict", body)).Code);
    }

    [Theory]
    [InlineData("""{"name":"d","image":"i","command":["sh"]}""", 200, "")]
    [InlineData("""{"name":"c","image":"i"}""", 422, "spec.ephemeralContainers[0].name: Duplicate value: \"c\"")]
    [InlineData("""{"name":"first","image":"other"}""", 422, "existing ephemeral containers \"first\" may not be changed")]
    [InlineData("""{"name":"d","image":"i","ports":[{"containerPort":1}]}""", 422, "cannot be set for an Ephemeral Container")]
    public async Task Ephemeral_containers_are_added_and_stay_as_they_are(string container, int code, string says)
    {
        var pods = $"/api/v1/namespaces/{await server.NamespaceAsync()}/pods";
        await server.SendAsync("POST", pods, """{"metadata":{"name":"a"},"spec":{"containers":[{"name":"c","image":"i"}]}}""");
        await AddAsync("""{"name":"first","image":"i"}""");
        var answer = await AddAsync(container);
        Assert.Equal(code, answer.Code);
        Assert.Contains(says, (string?)answer.Body["message"] ?? "", StringComparison.Ordinal);

        Task<(int Code, JsonObject Body)> AddAsync(string one) =>
            server.SendAsync("PATCH", $"{pods}/a/ephemeralcontainers", $$$"""{"spec":{"ephemeralContainers":[{{{one}}}]}}""",
                "application/strategic-merge-patch+json");
    }

    [Fact]
    public async Task Claims_of_a_stateful_set_say_what_they_are()
    {
        var sets = $"/apis/apps/v1/namespaces/{await server.NamespaceAsync()}/statefulsets";
        const string set =
            """{"metadata":{"name":"a"},"spec":{"serviceName":"a","selector":{"matchLabels":{"a":"b"}}"""
                + ""","template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}"""
                + ""","volumeClaimTemplates":[{"kind":"PersistentVolumeClaim","apiVersion":"v1","metadata":{"name":"d"}"""
                + ""","spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Mi"}}}}]}}""";
        Assert.Equal(201, (await server.SendAsync("POST", $"{sets}?fieldValidation=Strict", set)).Code);
        var patched = await server.SendAsync("PATCH", $"{sets}/a?fieldValidation=Strict", """{"spec":{"template":{"metadata":{"labels":{"x":"y"}}}}}""",
            "application/strategic-merge-patch+json");
        Assert.Equal((200, "PersistentVolumeClaim"), (patched.Code, (string?)patched.Body["spec"]!["volumeClaimTemplates"]![0]!["kind"]));
    }

    [Fact]
    public async Task Discovery_is_answered_from_its_tag_until_it_changes()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/apis");
        request.Headers.TryAddWithoutValidation("Accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json");
        using var first = await server.Admin.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", first.Content.Headers.NonValidated["Content-Type"].ToString());
        using var again = new HttpRequestMessage(HttpMethod.Get, "/apis");
        again.Headers.TryAddWithoutValidation("Accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json");
        again.Headers.TryAddWithoutValidation("If-None-Match", first.Headers.NonValidated["ETag"].ToString());
        using var second = await server.Admin.SendAsync(again, TestContext.Current.CancellationToken);
        Assert.Equal(304, (int)second.StatusCode);
    }

    [Theory]
    [InlineData("/version", 200)]
    [InlineData("/readyz", 200)]
    [InlineData("/api", 403)]
    [InlineData("/api/v1/pods", 403)]
    public async Task Strangers_may_ask_for_health_and_version_only(string path, int code) =>
        Assert.Equal(code, (int)(await server.Anonymous.GetAsync(path, TestContext.Current.CancellationToken)).StatusCode);

    [Theory]
    [InlineData("/apis/nosuch.io/v1/things", "")]
    [InlineData("/api/v1/nosuchs", "the server could not find the requested resource")]
    [InlineData("/api/v1/namespaces/nosuch", "namespaces \"nosuch\" not found")]
    public async Task What_does_not_exist_is_404_in_the_right_form(string path, string message)
    {
        var answer = await server.SendAsync("GET", path);
        Assert.Equal((404, message), (answer.Code, (string?)answer.Body["message"] ?? ""));
    }

    private static string? Version(JsonObject o) => (string?)o["metadata"]!["resourceVersion"];

    private async Task<string> MapsAsync() => $"/api/v1/namespaces/{await server.NamespaceAsync()}/configmaps";
}

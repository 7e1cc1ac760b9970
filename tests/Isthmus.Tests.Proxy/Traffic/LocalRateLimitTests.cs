using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Snapshot;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.NetworkFilters;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Proxy.Traffic;

/// <summary>local_ratelimit filters on the wire.</summary>
public sealed class LocalRateLimitTests
{
    private const string Type = "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit";
    private const string All = "\"default_value\": {\"numerator\": 100}";
    private const string On = $"\"filter_enabled\": {{{All}}}, \"filter_enforced\": {{{All}}}";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("")]
    [InlineData("type.googleapis.com/udpa.type.v1.TypedStruct")]
    [InlineData("type.googleapis.com/xds.type.v3.TypedStruct")]
    public async Task Requests_beyond_the_bucket_get_429(string form)
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("origin"));
        using var proxy = Proxy(origin.Port,
            Filter($"{Bucket(2)}, {On}, \"response_headers_to_add\": [{{\"header\": {{\"key\": \"x-local-rate-limit\", \"value\": \"true\"}}}}]", form));
        for (var i = 0; i < 2; i++) Assert.Equal((200, "origin"), await CallAsync(proxy));
        using var refused = await SendAsync(proxy);
        Assert.Equal((429, "local_rate_limited"), ((int)refused.StatusCode, await refused.Content.ReadAsStringAsync(Stop)));
        Assert.Equal(("true", "true"), (refused.Headers.GetValues("x-envoy-ratelimited").Single(), refused.Headers.GetValues("x-local-rate-limit").Single()));
        await LoggedAsync(proxy, "GET 429 RL local_rate_limited");
        Assert.Equal((3, 2, 1, 1), (Count(proxy, "enabled"), Count(proxy, "ok"), Count(proxy, "rate_limited"), Count(proxy, "enforced")));
    }

    [Theory]
    [InlineData("", "14")]
    [InlineData(", \"rate_limited_as_resource_exhausted\": true", "8")]
    public async Task A_call_of_gRPC_gets_a_status_of_gRPC(string field, string status)
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("origin"));
        using var proxy = Proxy(origin.Port, Filter($"{Bucket(1)}, {On}{field}"));
        using var passed = await SendAsync(proxy, content: "application/grpc");
        using var refused = await SendAsync(proxy, content: "application/grpc");
        Assert.Equal((200, status), ((int)refused.StatusCode, refused.Headers.GetValues("grpc-status").Single()));
    }

    [Theory]
    [InlineData("")]
    [InlineData(""" "filter_enabled": {"default_value": {"numerator": 0}}, "filter_enforced": {"default_value": {"numerator": 100}},""")]
    public async Task A_filter_that_is_not_enabled_counts_nothing(string share)
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("origin"));
        using var proxy = Proxy(origin.Port, Filter($"{share} {Bucket(1)}"));
        Assert.Equal([200, 200, 200], await StatusesAsync(proxy, 3));
        Assert.Equal((0, 0), (Count(proxy, "enabled"), Count(proxy, "rate_limited")));
    }

    [Fact]
    public async Task Without_being_enforced_the_server_learns_about_requests_beyond_the_bucket()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1,
            context => context.Response.WriteAsync($"{context.Request.Headers["x-too-many"]}"));
        using var proxy = Proxy(origin.Port, Filter($$"""
            {{Bucket(1)}}, "filter_enabled": { {{All}} }, "request_headers_to_add_when_not_enforced": [{"header": {"key": "x-too-many", "value": "yes"} }]
            """));
        foreach (var seen in (string[])["", "yes"]) Assert.Equal((200, seen), await CallAsync(proxy));
        Assert.Equal((2, 1, 0), (Count(proxy, "enabled"), Count(proxy, "rate_limited"), Count(proxy, "enforced")));
    }

    [Fact]
    public async Task A_route_has_a_bucket_of_its_own()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("origin"));
        using var proxy = Proxy(origin.Port, Filter($"{Bucket(1)}, {On}"), $$"""
            , "typed_per_filter_config": {"limit": {"@type": "{{Type}}", "stat_prefix": "route", {{Bucket(2)}}, {{On}}, "status": {"code": "ServiceUnavailable"} } }
            """);
        Assert.Equal([200, 200, 503], await StatusesAsync(proxy, 3));
        Assert.Equal(1, proxy.Plane.Report.Access.All.Single(item => item.Key == "route.http_local_rate_limit.enforced").Value);
        // The route may also switch the filter off.
        proxy.Route(
            $$"""{{To}}, "typed_per_filter_config": {"limit": {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": true} } """);
        Assert.Equal([200, 200, 200], await StatusesAsync(proxy, 3));
    }

    [Fact]
    public async Task Descriptors_have_buckets_of_their_own()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("origin"));
        using var proxy = Proxy(origin.Port, Filter($$"""
            {{Bucket(1000)}}, {{On}}, "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
            "descriptors": [{"entries": [{"key": "user", "value": "ann"}, {"key": "way", "value": "front"}], "token_bucket": {"max_tokens": 2, "fill_interval": "3600s"} }]
            """), route: """
            , "route": {"cluster": "o", "rate_limits": [{"actions": [{"request_headers": {"header_name": "x-user", "descriptor_key": "user"} },
                {"generic_key": {"descriptor_key": "way", "descriptor_value": "front"} }] }] }
            """);
        using var first = await SendAsync(proxy, "x-user: ann");
        Assert.Equal(["2", "1"], [first.Headers.GetValues("x-ratelimit-limit").Single(), first.Headers.GetValues("x-ratelimit-remaining").Single()]);
        Assert.InRange(int.Parse(first.Headers.GetValues("x-ratelimit-reset").Single(), System.Globalization.CultureInfo.InvariantCulture), 1, 3600);
        Assert.Equal([200, 429], await StatusesAsync(proxy, 2, "x-user: ann"));
        Assert.Equal([200, 200, 200], await StatusesAsync(proxy, 3, "x-user: bob"));
        Assert.Equal([200, 200, 200], await StatusesAsync(proxy, 3));
    }

    [Fact]
    public async Task Each_connection_may_have_a_bucket_of_its_own()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("origin"));
        using var proxy = Proxy(origin.Port, Filter($"{Bucket(1)}, {On}, \"local_rate_limit_per_downstream_connection\": true"));
        for (var i = 0; i < 2; i++)
        {
            var answers = await proxy.RawAsync("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            Assert.Equal([200, 429],
                [.. answers.Split("HTTP/1.1 ").Skip(1).Select(answer => int.Parse(answer[..3], System.Globalization.CultureInfo.InvariantCulture))]);
        }
    }

    /// <summary>As in Envoy, a filter that follows those for CORS and faults does not count what these answer.</summary>
    [Fact]
    public async Task Filters_run_in_their_order()
    {
        const string fault =
            """
            {"name": "envoy.filters.http.fault", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
              "abort": {"http_status": 418, "percentage": {"numerator": 100} } } },
            """;
        using var before = Proxy(1, Filter($"{Bucket(1)}, {On}") + fault);
        Assert.Equal([418, 429], await StatusesAsync(before, 2));
        using var after = Proxy(1, fault + Filter($"{Bucket(1)}, {On}"));
        Assert.Equal([418, 418], await StatusesAsync(after, 2));
        Assert.Equal(0, Count(after, "enabled"));
    }

    [Theory]
    [InlineData("\"stat_prefix\": \"\"", "stat_prefix is missing")]
    [InlineData("\"token_bucket\": {\"max_tokens\": 0, \"fill_interval\": \"1s\"}", "max_tokens must be greater than 0")]
    [InlineData("\"token_bucket\": {\"max_tokens\": 1, \"fill_interval\": \"0.01s\"}", "fill_interval must be at least 50ms")]
    [InlineData("\"token_bucket\": {\"max_tokens\": 1, \"tokens_per_fill\": 0, \"fill_interval\": \"1s\"}", "tokens_per_fill must be greater than 0")]
    public void A_filter_that_cannot_be_used_is_rejected(string field, string reason)
    {
        var filter = Filter(field).TrimEnd(',').Replace("\"stat_prefix\": \"in\", \"stat_prefix\"", "\"stat_prefix\"", StringComparison.Ordinal);
        var json = $$$"""{"stat_prefix": "in", "rds": {"route_config_name": "r"}, "http_filters": [{{{filter}}}]}""";
        Assert.Contains(reason, Assert.Throws<ResourceException>(() => HttpDecoder.Decode(WireTypes.Strict.Parse<HttpConnectionManager>(json), [])).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_TypedStruct_with_an_unknown_field_limits_to_nothing_and_is_named()
    {
        using var proxy = Proxy(1, Filter("\"token_buckets\": {}", "type.googleapis.com/udpa.type.v1.TypedStruct"));
        Assert.Equal([403], await StatusesAsync(proxy, 1));
        Assert.Contains("token_buckets", Assert.Single(proxy.Plane.State.Current.Listeners["in"].Notes), StringComparison.Ordinal);
        Assert.Contains("unsupported_filter[", await proxy.LoggedAsync(), StringComparison.Ordinal);
    }

    private const string To = "\"route\": {\"cluster\": \"o\"}";

    private static string Bucket(int tokens) => $"\"token_bucket\": {{\"max_tokens\": {tokens}, \"fill_interval\": \"3600s\"}}";

    private static string Filter(string fields, string form = "") => form.Length == 0
        ? $$"""{"name": "limit", "typed_config": {"@type": "{{Type}}", "stat_prefix": "in", {{fields}} } },"""
        : $$"""{"name": "limit", "typed_config": {"@type": "{{form}}", "type_url": "{{Type}}", "value": {"stat_prefix": "in", {{fields}} } } },""";

    private static LoopbackProxy Proxy(int origin, string filters, string more = "", string? route = null)
    {
        var proxy = new LoopbackProxy([LoopbackProxy.Cluster("o")], (route?.TrimStart(',', ' ', '\n') ?? To) + more, filters);
        proxy.Endpoints("o", origin);
        return proxy;
    }

    private static async Task<HttpResponseMessage> SendAsync(LoopbackProxy proxy, string header = "", string content = "")
    {
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        using var request = new HttpRequestMessage(content.Length > 0 ? HttpMethod.Post : HttpMethod.Get, $"http://127.0.0.1:{proxy.Port}/");
        if (content.Length > 0) request.Content = new ByteArrayContent([]) { Headers = { ContentType = new(content) } };
        if (header.Length > 0) request.Headers.Add(header.Split(": ")[0], header.Split(": ")[1]);
        return await client.SendAsync(request, Stop);
    }

    private static async Task<(int Status, string Body)> CallAsync(LoopbackProxy proxy, string header = "")
    {
        using var response = await SendAsync(proxy, header);
        return ((int)response.StatusCode, await response.Content.ReadAsStringAsync(Stop));
    }

    private static async Task<IEnumerable<int>> StatusesAsync(LoopbackProxy proxy, int calls, string header = "")
    {
        var statuses = new List<int>();
        for (var i = 0; i < calls; i++) statuses.Add((await CallAsync(proxy, header)).Status);
        return statuses;
    }

    private static Task LoggedAsync(LoopbackProxy proxy, string line) =>
        Eventually.TrueAsync(() => proxy.LogText.Contains(line, StringComparison.Ordinal), $"logged: {line}");

    private static long Count(LoopbackProxy proxy, string name) =>
        proxy.Plane.Report.Access.All.FirstOrDefault(item => item.Key == $"in.http_local_rate_limit.{name}").Value;
}

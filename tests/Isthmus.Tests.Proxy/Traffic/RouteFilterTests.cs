using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Proxy.Own;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Snapshot;
using Isthmus.Rigs.Proxy;
using Isthmus.Tests.Proxy.Envoys;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.HttpFilters;
using Isthmus.Wire.Envoy.Routes;
using Xunit;

namespace Isthmus.Tests.Proxy.Traffic;

/// <summary>What routes say to HTTP filters, by the filters' names.</summary>
public sealed class RouteFilterTests
{
    private const string Extensions = "type.googleapis.com/envoy.extensions.filters.http.", Status = "\"direct_response\": {\"status\": 204}";

    private const string Abort = "\"abort\": {\"http_status\": 418, \"percentage\": {\"numerator\": 100}}";

    private static readonly Dictionary<string, string> Configs = new()
    {
        ["fault"] = $$"""{"@type": "{{Extensions}}fault.v3.HTTPFault", {{Abort}}}""",
        ["wrapped fault"] =
            $$$"""{"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "config": {"@type": "{{{Extensions}}}fault.v3.HTTPFault", {{{Abort}}} } }""",
        ["struct fault"] =
            $$$"""{"@type": "type.googleapis.com/xds.type.v3.TypedStruct", "type_url": "{{{Extensions}}}fault.v3.HTTPFault", "value": { {{{Abort}}} } }""",
        ["off"] = """{"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": true}""",
        ["empty"] = """{"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig"}""",
        ["composite"] = Around(""),
        ["composite with a matcher"] = Around(""", "xds_matcher": {"on_no_match": {"action": {"name": "a"} } }"""),
        ["composed rbac"] = Composed($$$"""{"@type": "{{{Extensions}}}rbac.v3.RBAC"}"""),
        ["sampled check"] = Composed(Check, """, "sample_percent": {"default_value": {"numerator": 100} }"""),
        ["matched check"] = Composed(Check).Replace("\"xds_matcher\": {", "\"xds_matcher\": {\"matcher_list\": {}, ", StringComparison.Ordinal),
        ["composed check"] = Composed(Check),
        ["rbac"] = $$$"""{"@type": "{{{Extensions}}}rbac.v3.RBACPerRoute", "rbac": {"rules": {} } }""",
        ["optional rbac"] = $$$"""
            {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "is_optional": true, "config": {"@type": "{{{Extensions}}}rbac.v3.RBACPerRoute"} }
            """,
        ["limit"] = Limit,
    };

    private const string Limit =
        $$$"""
        {"@type": "{{{Extensions}}}local_ratelimit.v3.LocalRateLimit", "stat_prefix": "l", "token_bucket": {"max_tokens": 1, "fill_interval": "3600s"},
         "filter_enabled": {"default_value": {"numerator": 100} }, "filter_enforced": {"default_value": {"numerator": 100} } }
        """;

    /// <summary>An authorizer at a cluster that is not there.</summary>
    private static string Check => $$$"""
        {"@type": "{{{Extensions}}}ext_authz.v3.ExtAuthz", "http_service": {"server_uri": {"uri": "http://a", "cluster": "nowhere", "timeout": "1s"} } }
        """;

    private static string Around(string more) => $$"""
        {"@type": "type.googleapis.com/envoy.extensions.common.matching.v3.ExtensionWithMatcher",
         "extension_config": {"name": "c", "typed_config": {"@type": "{{Extensions}}composite.v3.Composite"} }{{more}} }
        """;

    private static string Composed(string filter, string more = "") => $$"""
        {"@type": "type.googleapis.com/envoy.extensions.common.matching.v3.ExtensionWithMatcherPerRoute", "xds_matcher": {"on_no_match": {"action": {"name": "a",
         "typed_config": {"@type": "{{Extensions}}composite.v3.ExecuteFilterAction", "typed_config": {"name": "f", "typed_config": {{filter}} }{{more}} } } } } }
        """;

    private static string Filter(string name, string config, bool isDisabled = false) =>
        $$"""{"name": "{{name}}", "disabled": {{(isDisabled ? "true" : "false")}}, "typed_config": {{config}} },""";

    private static string Open => $$"""{"@type": "{{Extensions}}rbac.v3.RBAC"}""";

    /// <summary>The filter is on as the listener configures it.</summary>
    private static Any On => Any.Pack(new FilterConfig { Config = new() });

    private static string Every => $$"""{"match": {"prefix": "/"}, {{Status}} }""";

    private static string Closed => $$$"""{"@type": "{{{Extensions}}}rbac.v3.RBAC", "rules": {} }""";

    private static string Unknown => """{"@type": "type.googleapis.com/xds.type.v3.TypedStruct", "type_url": "type.googleapis.com/future.Filter"}""";

    private static string NoFault => $$"""{"@type": "{{Extensions}}fault.v3.HTTPFault"}""";

    /// <param name="filter">The filter, and whether it is disabled in the listener.</param>
    /// <param name="route">What the route says to the filter <c>it</c>; empty: nothing.</param>
    [Theory]
    [InlineData("fault", "", 418)]
    [InlineData("fault", "off", 204)]
    [InlineData("no fault", "fault", 418)]
    [InlineData("no fault", "wrapped fault", 418)]
    [InlineData("no fault", "struct fault", 418)]
    [InlineData("disabled fault", "", 204)]
    [InlineData("disabled fault", "fault", 418)]
    [InlineData("rbac", "", 204)]
    [InlineData("rbac", "rbac", 403)]
    [InlineData("rbac", "empty", 403)]
    [InlineData("rbac", "on", 204)]
    [InlineData("rbac", "off", 204)]
    [InlineData("closed", "", 403)]
    [InlineData("closed", "on", 403)]
    [InlineData("closed", "off", 204)]
    [InlineData("disabled closed", "", 204)]
    [InlineData("disabled closed", "on", 403)]
    [InlineData("disabled closed", "off", 204)]
    [InlineData("unknown", "", 403)]
    [InlineData("unknown", "off", 204)]
    [InlineData("disabled unknown", "", 204)]
    [InlineData("disabled unknown", "on", 403)]
    [InlineData("disabled fault", "on", 418)]
    [InlineData("disabled limit", "on", 429)]
    [InlineData("disabled rbac", "", 204)]
    [InlineData("disabled rbac", "rbac", 403)]
    [InlineData("disabled rbac", "empty", 403)]
    [InlineData("disabled rbac", "on", 204)]
    [InlineData("disabled limit", "", 204)]
    [InlineData("disabled limit", "limit", 429)]
    [InlineData("limit", "off", 204)]
    [InlineData("rbac", "optional rbac", 204)]
    [InlineData("", "rbac", 204)]
    [InlineData("composite", "", 204)]
    [InlineData("disabled composite", "", 204)]
    [InlineData("disabled composite", "composed rbac", 403)]
    [InlineData("disabled composite", "sampled check", 403)]
    [InlineData("disabled composite", "matched check", 403)]
    [InlineData("composite with a matcher", "", 403)]
    [InlineData("", "composed check", 204)]
    public async Task A_filter_does_what_the_route_says_or_refuses(string filter, string route, int second)
    {
        var isDisabled = filter.StartsWith("disabled ", StringComparison.Ordinal);
        var kind = isDisabled ? filter["disabled ".Length..] : filter;
        var config = kind switch { "" => "", "rbac" => Open, "closed" => Closed, "unknown" => Unknown, "no fault" => NoFault, _ => Configs[kind] };
        var filters = kind.Length == 0 ? "" : Filter("it", config, isDisabled);
        using var proxy = new LoopbackProxy([],
            route is "" or "on" ? Status : $$"""{{Status}}, "typed_per_filter_config": {"it": {{Configs[route]}} }""", filters);
        if (route == "on") proxy.Routes(Every, table => table.VirtualHosts[0].Routes[0].TypedPerFilterConfig["it"] = On);
        var answers = await proxy.RawAsync("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        Assert.StartsWith($"{second} ", answers.Split("HTTP/1.1 ")[^1], StringComparison.Ordinal);
        if (second == 403)
            Assert.Contains(kind == "closed" ? "rbac_access_denied" : "unsupported_filter[it]", await proxy.LoggedAsync(), StringComparison.Ordinal);
    }

    /// <summary>The route, its virtual host or the table: the most specific one that names the filter counts.</summary>
    [Theory]
    [InlineData("off", "", 204)]
    [InlineData("off", "on", 403)]
    [InlineData("on", "off", 204)]
    [InlineData("on", "", 403)]
    public async Task The_most_specific_level_switches(string host, string route, int status)
    {
        using var proxy = new LoopbackProxy([], Status, Filter("it", Closed));
        proxy.Routes(Every, table =>
        {
            At(table.VirtualHosts[0].TypedPerFilterConfig, host);
            At(table.VirtualHosts[0].Routes[0].TypedPerFilterConfig, route);
        });
        Assert.StartsWith($"HTTP/1.1 {status} ", await proxy.RawAsync("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), StringComparison.Ordinal);
    }

    /// <summary>Connections outlive listeners: without the filter that asks for the route, nobody would decide about its requests.</summary>
    [Theory]
    [InlineData("isthmus.route_ext_authz", false, 403)]
    [InlineData("isthmus.route_ext_authz", true, 204)]
    [InlineData("isthmus.route_ext_authz.http", false, 403)]
    [InlineData("other", false, 204)]
    public async Task A_route_that_asks_an_authorizer_is_not_served_where_the_filter_is_missing(string name, bool isOff, int status)
    {
        using var proxy = new LoopbackProxy([], Status);
        proxy.Routes(Every, table => table.VirtualHosts[0].Routes[0].TypedPerFilterConfig[name] = TypeNames.Pack(isOff ? new FilterConfig { Disabled = true }
            : new ExtAuthzPerRoute { CheckSettings = new() { DisableRequestBodyBuffering = true } }));
        Assert.StartsWith($"HTTP/1.1 {status} ", await proxy.RawAsync("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_a_composite_filter_runs_is_what_the_route_says(bool isDisabled)
    {
        using var proxy = new LoopbackProxy([], $$"""{{Status}}, "typed_per_filter_config": {"it": {{Configs["composed check"]}} }""",
            Filter("it", Configs["composite"], isDisabled));
        Assert.StartsWith("HTTP/1.1 403 ", await proxy.RawAsync("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), StringComparison.Ordinal);
        Assert.Contains("ext_authz_error", await proxy.LoggedAsync(), StringComparison.Ordinal);
    }

    /// <summary>A later filter changes the route: the first one asked nobody, and the last one must not be served unasked.</summary>
    [Theory]
    [InlineData(false, "unsupported_filter[it]")]
    [InlineData(true, "ext_authz_error")]
    public async Task A_route_that_asks_is_not_served_to_requests_that_got_it_too_late(bool isComposedLast, string details)
    {
        var keys = PeerSettings.Keys.Replace("\"", "\\\"", StringComparison.Ordinal);
        var composite = Filter("it", Configs["composite"]);
        var changes = Filter("edit", $$$"""
                {"@type": "{{{Extensions}}}header_mutation.v3.HeaderMutation",
                 "mutations": {"request_mutations": [{"append": {"header": {"key": "x-late", "value": "1"} } }] } }
                """)
            + Filter("tokens", $$$"""
                {"@type": "{{{Extensions}}}jwt_authn.v3.JwtAuthentication",
                 "providers": {"p": {"issuer": "i", "clear_route_cache": true, "local_jwks": {"inline_string": "{{{keys}}}"} } },
                 "rules": [{"match": {"prefix": "/"}, "requires": {"requires_any": {"requirements": [{"provider_name": "p"}, {"allow_missing": {} }] } } }] }
                """);
        using var proxy = new LoopbackProxy([], Status, isComposedLast ? changes + composite : composite + changes);
        proxy.Routes($$"""
            {"match": {"prefix": "/", "headers": [{"name": "x-late", "present_match": true}]}, {{Status}}, "typed_per_filter_config": {"it": {{Configs["composed check"]}} } },
            {{Every}}
            """);
        Assert.StartsWith("HTTP/1.1 403 ", await proxy.RawAsync("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), StringComparison.Ordinal);
        Assert.Contains(details, await proxy.LoggedAsync(), StringComparison.Ordinal);
    }

    private static void At(IDictionary<string, Any> level, string config)
    {
        if (config.Length > 0) level["it"] = config == "on" ? On : Any.Pack(new FilterConfig { Disabled = true });
    }

    /// <summary>What cannot be read for a filter that does not run is nothing that requests lack.</summary>
    [Theory]
    [InlineData("off", 204)]
    [InlineData("on", 403)]
    [InlineData("", 403)]
    public async Task A_route_that_switches_a_filter_off_does_not_need_what_its_table_says(string route, int status)
    {
        using var proxy = new LoopbackProxy([], Status, Filter("it", Open));
        proxy.Routes(Every, table =>
        {
            table.TypedPerFilterConfig["it"] = WireTypes.Strict.Parse<Any>(Configs["rbac"]);
            At(table.VirtualHosts[0].Routes[0].TypedPerFilterConfig, route);
        });
        Assert.StartsWith($"HTTP/1.1 {status} ", await proxy.RawAsync("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), StringComparison.Ordinal);
    }

    /// <summary>One cluster of several has no settings of its own: those of the route are kept, and a policy refuses.</summary>
    [Theory]
    [InlineData("no fault", "fault", 418)]
    [InlineData("rbac", "rbac", 403)]
    [InlineData("rbac that the route switches off", "rbac", 403)]
    public async Task What_a_share_of_a_route_says_does_not_delete_what_the_route_says(string filter, string config, int status)
    {
        var per = $$""" "typed_per_filter_config": {"it": {{Configs[config]}} }""";
        var ofRoute = filter switch
        {
            "rbac" => "",
            "no fault" => $", {per}",
            _ => """ , "typed_per_filter_config": {"it": {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": true} }""",
        };
        using var proxy = new LoopbackProxy([],
            $$""" "route": {"weighted_clusters": {"clusters": [{"name": "none", "weight": 1, {{per}} }] } } {{ofRoute}} """,
            Filter("it", filter == "no fault" ? NoFault : Open));
        Assert.StartsWith($"HTTP/1.1 {status} ", await proxy.RawAsync("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), StringComparison.Ordinal);
    }

    /// <summary>A fault filter that an EnvoyFilter added does not inject the faults of a VirtualService once more.</summary>
    [Fact]
    public async Task A_filter_of_another_name_has_its_own_settings()
    {
        using var proxy = new LoopbackProxy([],
            $$"""{{Status}}, "typed_per_filter_config": {"other": {{Configs["fault"]}} }""", Filter("it", NoFault));
        Assert.StartsWith("HTTP/1.1 204 ", await proxy.RawAsync("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), StringComparison.Ordinal);
    }

    /// <summary>A route that only redirects to https has no settings for filters.</summary>
    [Fact]
    public async Task A_redirect_to_https_comes_before_cors_and_faults_of_the_route()
    {
        using var proxy = new LoopbackProxy([], $$"""
            {{Status}}, "typed_per_filter_config": {"fault": {{Configs["fault"]}}, "cors": {"@type": "{{Extensions}}cors.v3.CorsPolicy",
              "allow_origin_string_match": [{"exact": "https://a"}]} } }], "require_tls": "ALL", "response_headers_to_add": [{"header": {"key": "x-a", "value": "b"}
            """, Filter("cors", $$"""{"@type": "{{Extensions}}cors.v3.Cors"}""") + Filter("fault", NoFault));
        Assert.StartsWith("HTTP/1.1 301 ", await proxy.RawAsync(
            "OPTIONS / HTTP/1.1\r\nHost: a\r\nOrigin: https://a\r\nAccess-Control-Request-Method: GET\r\nConnection: close\r\n\r\n"), StringComparison.Ordinal);
    }

    /// <summary>A load balancer in front of a port of plain HTTP may end TLS.</summary>
    [Theory]
    [InlineData(80, "", "http://h/x")]
    [InlineData(80, "https", "https://h/x")]
    [InlineData(8080, "https", "https://h:8080/x")]
    [InlineData(443, "https", "https://h/x")]
    public async Task A_redirect_leaves_out_the_port_that_its_listener_has_by_default(int port, string proto, string location)
    {
        using var proxy = new LoopbackProxy([], $$"""  "redirect": {"port_redirect": {{port}}, "path_redirect": "/x"} """);
        var forwarded = proto.Length > 0 ? $"X-Forwarded-Proto: {proto}\r\n" : "";
        var head = await proxy.RawAsync($"GET / HTTP/1.1\r\nHost: h:9\r\n{forwarded}Connection: close\r\n\r\n");
        Assert.Contains($"location: {location}\r\n", head, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public void A_raw_value_keeps_its_bytes()
    {
        var option = new HeaderValueOption { Header = new() { Key = "x-raw", RawValue = ByteString.CopyFrom(0xff, 0xfe) } };
        Assert.Equal([0xff, 0xfe], HeadDecoder.Edits([], [], [option], [], []).Response.Single().Value);
        Assert.True(GrpcMessages.IsValid(option.Header));
        Assert.Equal([0xff, 0xfe], GrpcMessages.ValueOf(option.Header));
    }
}

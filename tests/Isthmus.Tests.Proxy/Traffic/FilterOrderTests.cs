using Isthmus.Rigs.Proxy;
using Xunit;

namespace Isthmus.Tests.Proxy.Traffic;

/// <summary>HTTP filters answer in the order of the configuration, before the route does.</summary>
public sealed class FilterOrderTests
{
    private const string Extensions = "type.googleapis.com/envoy.extensions.filters.http.";

    private const string Route = $$$"""
        "direct_response": {"status": 204}, "typed_per_filter_config": {"envoy.filters.http.cors": {"@type": "{{{Extensions}}}cors.v3.CorsPolicy",
          "allow_origin_string_match": [{"exact": "https://a"}], "allow_methods": "GET"} }
        """;

    private static readonly Dictionary<string, string> Filters = new()
    {
        ["cors"] = $$$"""{"name": "envoy.filters.http.cors", "typed_config": {"@type": "{{{Extensions}}}cors.v3.Cors"}},""",
        ["fault"] =
            $$$"""{"name": "envoy.filters.http.fault", "typed_config": {"@type": "{{{Extensions}}}fault.v3.HTTPFault", "abort": {"http_status": 418, "percentage": {"numerator": 100} } } },""",
        ["deny"] = $$$"""{"name": "envoy.filters.http.rbac", "typed_config": {"@type": "{{{Extensions}}}rbac.v3.RBAC", "rules": {} } },""",
    };

    [Theory]
    [InlineData("cors", 200, 204)]
    [InlineData("cors deny", 200, 403)]
    [InlineData("deny cors", 403, 403)]
    [InlineData("cors fault", 200, 418)]
    [InlineData("fault cors", 418, 418)]
    [InlineData("cors fault deny", 200, 418)]
    [InlineData("cors deny fault", 200, 403)]
    [InlineData("fault deny cors", 418, 418)]
    public async Task Each_filter_answers_before_those_after_it(string order, int preflight, int get)
    {
        using var proxy = new LoopbackProxy([], Route, string.Concat(order.Split(' ').Select(name => Filters[name])));
        Assert.StartsWith($"HTTP/1.1 {preflight} ", await proxy.RawAsync(
            "OPTIONS / HTTP/1.1\r\nHost: a\r\nOrigin: https://a\r\nAccess-Control-Request-Method: GET\r\nConnection: close\r\n\r\n"), StringComparison.Ordinal);
        Assert.StartsWith($"HTTP/1.1 {get} ", await proxy.RawAsync("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), StringComparison.Ordinal);
    }

    /// <summary>Only the router answers that there is no route.</summary>
    [Theory]
    [InlineData("deny", 403)]
    [InlineData("cors deny", 403)]
    [InlineData("fault deny", 418)]
    [InlineData("cors", 404)]
    public async Task Filters_answer_requests_without_a_route_too(string order, int status)
    {
        using var proxy = new LoopbackProxy([], Route, string.Concat(order.Split(' ').Select(name => Filters[name])));
        Assert.StartsWith($"HTTP/1.1 {status} ", await proxy.RawAsync("OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), StringComparison.Ordinal);
    }
}

using System.Text;
using Isthmus.Proxy.Http;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Upstreams;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Routes;
using Xunit;

namespace Isthmus.Tests.Proxy.Http;

public sealed class RoutingTests
{
    [Theory]
    [InlineData("shop.example", "exact")]
    [InlineData("SHOP.example", "exact")]
    [InlineData("a.shop.example", "longer")]
    [InlineData("a.example", "suffix")]
    [InlineData("api.other", "prefix")]
    [InlineData("other", "any")]
    public void The_most_specific_domain_wins(string authority, string expected)
    {
        var table = Table("""
            {"name": "r", "virtual_hosts": [{"name": "any", "domains": ["*"]}, {"name": "suffix", "domains": ["*.example"]},
              {"name": "longer", "domains": ["*.shop.example"]},
              {"name": "prefix", "domains": ["api.*"]}, {"name": "exact", "domains": ["shop.example"]}]}
            """);
        Assert.Equal(expected, table.Find(authority)?.Name);
    }

    [Theory]
    [InlineData("GET /one HTTP/1.1\r\nhost: a\r\n\r\n", "exact")]
    [InlineData("GET /one/ HTTP/1.1\r\nhost: a\r\n\r\n", "rest")]
    [InlineData("GET /API/x HTTP/1.1\r\nhost: a\r\n\r\n", "insensitive")]
    [InlineData("GET /item/42?x HTTP/1.1\r\nhost: a\r\n\r\n", "regex")]
    [InlineData("GET /item/42x HTTP/1.1\r\nhost: a\r\n\r\n", "rest")]
    [InlineData("PUT / HTTP/1.1\r\nhost: a\r\n\r\n", "method")]
    [InlineData("GET / HTTP/1.1\r\nhost: a\r\nuser: jason\r\n\r\n", "header")]
    [InlineData("GET /?v=2&w HTTP/1.1\r\nhost: a\r\n\r\n", "query")]
    public void Routes_match_path_method_headers_and_query_in_order(string request, string expected)
    {
        var table = Table("""
            {"name": "r", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
              {"name": "exact", "match": {"path": "/one"}, "route": {"cluster": "c"}},
              {"name": "insensitive", "match": {"prefix": "/api", "case_sensitive": false}, "route": {"cluster": "c"}},
              {"name": "regex", "match": {"safe_regex": {"regex": "/item/[0-9]+"}}, "route": {"cluster": "c"}},
              {"name": "method", "match": {"prefix": "/", "headers": [{"name": ":method", "exact_match": "PUT"}]}, "route": {"cluster": "c"}},
              {"name": "header", "match": {"prefix": "/", "headers": [{"name": "user", "string_match": {"exact": "jason"}}]}, "route": {"cluster": "c"}},
              {"name": "query", "match": {"prefix": "/", "query_parameters": [{"name": "v", "string_match": {"exact": "2"}}]}, "route": {"cluster": "c"}},
              {"name": "rest", "match": {"prefix": "/"}, "route": {"cluster": "c"}}]}]}
            """);
        Assert.Equal(expected, RouteDecision.For(table, Head(request), "http", new Random(1), null).Route?.Name);
    }

    [Fact]
    public void Weights_share_the_requests()
    {
        var table = Table("""
            {"name": "r", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"},
              "route": {"weighted_clusters": {"clusters": [{"name": "a", "weight": 90}, {"name": "b", "weight": 10}]}}}]}]}
            """);
        var random = new Random(7);
        var request = Head("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        var act = (ForwardAct)RouteDecision.For(table, request, "http", random, null).Route!.Act;
        var b = Enumerable.Range(0, 10_000).Count(_ => RouteDecision.Choose(act, request, random.NextInt64()).Cluster == "b");
        Assert.InRange(b, 900, 1100);
    }

    [Theory]
    [InlineData("/a/b?q=1", "/a", "/z", "/z/b?q=1")]
    [InlineData("/a", "/a", "/", "/")]
    public void A_prefix_is_rewritten_and_the_query_stays(string target, string prefix, string rewrite, string expected) =>
        Assert.Equal(expected,
            Encoding.ASCII.GetString(HeaderEditing.RewritePath(Encoding.ASCII.GetBytes(target), new PathMatch(PathMatchKind.Prefix, prefix, true, null),
                rewrite, null)!));

    [Theory]
    [InlineData("/a/./b/../c", "/a/c")]
    [InlineData("/a%2Fb", "/a%2Fb")]
    [InlineData("/%61%7e", "/a~")]
    [InlineData("/a\\b", "/a/b")]
    [InlineData("/a/..", "/")]
    [InlineData("/..", null)]
    [InlineData("/%00", null)]
    [InlineData("/%4", null)]
    public void Paths_are_normalised_or_refused(string path, string? expected)
    {
        var bytes = Encoding.ASCII.GetBytes(path);
        var normal = Paths.NeedsWork(bytes) ? Paths.Normalize(bytes) : bytes;
        Assert.Equal(expected, normal is null ? null : Encoding.ASCII.GetString(normal));
        if (normal is not null) Assert.Equal(normal, Paths.Normalize(normal));
    }

    [Fact]
    public void Two_hosts_with_one_domain_are_refused() =>
        Assert.Contains("unique values for domains", Assert.Throws<ResourceException>(() => Table("""
            {"name": "r", "virtual_hosts": [{"name": "a", "domains": ["x"]}, {"name": "b", "domains": ["X"]}]}
            """)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData(AttemptEnd.ConnectFailed, "POST", false, true)]
    [InlineData(AttemptEnd.Reset, "POST", false, false)]
    [InlineData(AttemptEnd.Reset, "POST", true, false)]
    [InlineData(AttemptEnd.Reset, "GET", false, true)]
    [InlineData(AttemptEnd.Timeout, "GET", false, false)]
    public void Requests_are_sent_again_only_where_that_is_safe(AttemptEnd end, string method, bool wasReused, bool expected)
    {
        var retry = ((ForwardAct)Table("""
            {"name": "r", "virtual_hosts": [{"name": "a", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "c",
              "retry_policy": {"retry_on": "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes", "num_retries": 2,
                "retriable_status_codes": [503]}}}]}]}
            """).Find("x")!.Routes[0].Act).Retry!;
        Assert.Equal(expected, RetryDecision.IsRetriable(retry, end, Head($"{method} / HTTP/1.1\r\nhost: a\r\n\r\n"), new ResponseHead(), wasReused));
        Assert.True(RetryDecision.IsRetriable(retry, AttemptEnd.Answered, Head("POST / HTTP/1.1\r\nhost: a\r\n\r\n"), new ResponseHead { Status = 503 },
            false));
        Assert.False(RetryDecision.IsRetriable(retry, AttemptEnd.Answered, Head("GET / HTTP/1.1\r\nhost: a\r\n\r\n"), new ResponseHead { Status = 500 },
            false));
    }

    private static RouteTable Table(string json) => RouteDecoder.Decode(WireTypes.Strict.Parse<RouteConfiguration>(json));

    private static RequestHead Head(string text)
    {
        var head = new RequestHead();
        HeadParser.ParseRequest(Encoding.Latin1.GetBytes(text), head, HttpLimits.Default);
        return head;
    }
}

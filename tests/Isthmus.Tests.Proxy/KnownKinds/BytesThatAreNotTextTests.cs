using System.Net;
using System.Text;
using Isthmus.Proxy.Http2;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Upstreams;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Routes;
using Xunit;

namespace Isthmus.Tests.Proxy.KnownKinds;

/// <summary>Bytes that are not UTF-8 do not become the same text as others, and no negation lets them pass.</summary>
public sealed class BytesThatAreNotTextTests
{
    private const string Replacement = "\uFFFD";

    [Theory]
    [InlineData("exact", "/a" + Replacement)]
    [InlineData("prefix", "/a" + Replacement)]
    [InlineData("suffix", Replacement)]
    [InlineData("contains", "a" + Replacement)]
    public void Only_the_bytes_of_a_text_match_it(string kind, string text)
    {
        var match = TextMatch.From(WireTypes.Strict.Parse<StringMatcher>($$"""{"{{kind}}": "{{text}}"}"""));
        Assert.True(match.IsMatch(Encoding.UTF8.GetBytes("/a" + Replacement), Reading.All));
        for (var b = 0x80; b <= 0xff; b++)
            foreach (var reading in (Reading[])[Reading.All, Reading.Any]) Assert.False(match.IsMatch([(byte)'/', (byte)'a', (byte)b], reading));
    }

    [Theory]
    [InlineData("DENY", "", false)]
    [InlineData("DENY", "not", false)]
    [InlineData("ALLOW", "", false)]
    [InlineData("ALLOW", "not", false)]
    public void No_regular_expression_lets_them_pass(string action, string not, bool allowed)
    {
        foreach (var header in (bool[])[true, false])
        {
            const string Pattern = """{"safe_regex": {"regex": "/a.*"}}""";
            var rule = header ? $$$"""{"header": {"name": "x", "string_match": {{{Pattern}}} } }""" : $$$"""{"url_path": {"path": {{{Pattern}}} } }""";
            if (not.Length > 0) rule = $$"""{"not_rule": {{rule}} }""";
            var policy = RbacPolicy.From(
                WireTypes.Strict.Parse<Isthmus.Wire.Envoy.Rbac.RBAC>(
                    $$$"""{"action": "{{{action}}}", "policies": {"p": {"principals": [{"any": true}], "permissions": [{{{rule}}}] } } }"""))!;
            for (var b = 0x80; b <= 0xff; b++)
            {
                var request = Request([(byte)'/', (byte)'a', (byte)b]);
                request.Headers.Add("x"u8, [(byte)'/', (byte)'a', (byte)b]);
                Assert.Equal(allowed, policy.Decide(Facts(request)).IsAllowed);
            }
        }
    }

    [Fact]
    public void No_pattern_of_a_route_matches_them_and_no_rewrite_changes_them()
    {
        byte[] path = [(byte)'/', (byte)'a', 0x80, (byte)'?', 0xff];
        var regex = MatchDecoder.Path(WireTypes.Strict.Parse<RouteMatch>("""{"safe_regex": {"regex": "/.*"}}"""));
        Assert.False(regex.IsMatch(path.AsSpan(0, 3)));
        var header = MatchDecoder.Header(
            WireTypes.Strict.Parse<HeaderMatcher>("""{"name": "x", "string_match": {"safe_regex": {"regex": "b"}}, "invert_match": true}"""));
        var request = Request(path);
        request.Headers.Add("x"u8, [0x80]);
        Assert.False(header.IsMatch(request, "http"));
        Assert.Null(HeaderEditing.RewritePath(path, regex, null, new(TextMatch.CompileRegex("/", whole: false), "//")));
        var prefix = MatchDecoder.Path(WireTypes.Strict.Parse<RouteMatch>("""{"prefix": "/a"}"""));
        Assert.Equal([(byte)'/', (byte)'b', 0x80, (byte)'?', 0xff], HeaderEditing.RewritePath(path, prefix, "/b", null)!);
    }

    [Fact]
    public void Case_is_ignored_beside_other_bytes()
    {
        var match = MatchDecoder.Path(WireTypes.Strict.Parse<RouteMatch>("""{"path": "/Ä/b", "case_sensitive": false}"""));
        Assert.True(match.IsMatch("/Ä/B"u8));
        Assert.False(match.IsMatch("/ä/b"u8));
    }

    [Theory]
    [InlineData("caf\u00e9.example")]
    [InlineData("a\u0080")]
    [InlineData("a\u007f")]
    [InlineData("a,b")]
    [InlineData("a@b")]
    [InlineData("a\\b")]
    public void Hosts_have_no_such_bytes_in_any_version_and_form(string host)
    {
        foreach (var head in (string[])[$"GET / HTTP/1.1\r\nhost: {host}\r\n\r\n", $"GET http://{host}/ HTTP/1.1\r\nhost: x\r\n\r\n"])
            Assert.Equal(400,
                Assert.Throws<HttpMessageException>(() => HeadParser.ParseRequest(Encoding.Latin1.GetBytes(head), new(), HttpLimits.Default)).Status);
        var fields = new H2HeadFields();
        fields.Begin(1);
        foreach (var (name, value) in ((string, string)[])[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", host)])
            fields.Take(Encoding.ASCII.GetBytes(name), Encoding.Latin1.GetBytes(value));
        Assert.Throws<H2StreamException>(() => fields.ToRequest(new(), isLast: true));
    }

    private static RequestHead Request(byte[] target)
    {
        var request = new RequestHead { Method = "GET", Authority = "a" };
        request.SetTarget(target);
        return request;
    }

    private static PolicyFacts Facts(RequestHead request) =>
        new(request, "http", null, new(IPAddress.Loopback, 1), IPAddress.Loopback, new(IPAddress.Loopback, 8080), "");
}

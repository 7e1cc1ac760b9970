using System.Net;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Telemetry;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Isthmus.Wire.Cel;
using Xunit;

namespace Isthmus.Tests.Proxy.Telemetry;

/// <summary>CEL over what is known of a request.</summary>
public sealed class ExpressionTests
{
    [Theory]
    [InlineData("response.code >= 400", true)]
    [InlineData("response.code >= 500 && request.url_path.startsWith('/pay')", false)]
    [InlineData("response.code in [200, 503] && request.method in ['GET', 'POST']", true)]
    [InlineData("request.url_path == '/orders' && request.query == 'a=b' && request.path == '/orders?a=b'", true)]
    [InlineData("request.headers['user-agent'] == 'curl/8' && request.headers['User-Agent'] != 'x'", true)]
    [InlineData("'x' in request.headers || has(request.headers.x)", false)]
    [InlineData("'accept' in request.headers && has(request.useragent) && !has(request.referer)", true)]
    [InlineData("request.headers['x'] == 'a'", false)]
    [InlineData("!(request.headers['x'] == 'a')", false)] // no value is not the opposite of a value
    [InlineData("request.headers['x'] == 'a' || response.code == 503", true)]
    [InlineData("response.code == 503 || request.headers['x'] == 'a'", true)]
    [InlineData("request.headers['x'] == 'a' && false || true", true)]
    [InlineData("request.useragent.matches('^curl/[0-9]+$') && !request.useragent.matches('wget')", true)]
    [InlineData("request.useragent.contains('rl/') && request.useragent.endsWith('8') && size(request.useragent) == 6", true)]
    [InlineData("request.host < 'shop:81' && request.host > 'shop:8'", true)]
    [InlineData("request.duration > duration('12ms') && request.duration < duration('1s') + duration('-0.5s')", true)]
    [InlineData("response.code / 100 == 5 && response.code % 100 == 3 && response.code * 2 - 6 == 1000", true)]
    [InlineData("response.code / 0 == 1", false)]
    [InlineData("response.code > 502.5 && double(response.code) == 503.0 && int('7') == 7 && -response.code < 0", true)]
    [InlineData("connection.mtls && connection.uri_san_peer_certificate == 'spiffe://a/1' && connection.dns_san_peer_certificate == 'a.example'", true)]
    [InlineData("connection.requested_server_name == ''", true)]
    [InlineData("upstream.address == '10.0.0.1:80'", false)]
    [InlineData("xds.cluster_name == 'outbound|80||shop' ? response.flags == 32800 : false", true)]
    [InlineData("source.port == 4711 && destination.address == '10.96.0.1:80' && response.grpc_status == 4", true)]
    [InlineData("string(response.code) + request.method == '503GET' && string(connection.mtls) == 'true' && string(1.5) == '1.5'", true)]
    [InlineData("request['method'] == 'GET' && request.headers.accept == 'a,b'", true)]
    public void A_condition_holds_as_CEL_says(string expression, bool expected) =>
        Assert.Equal(expected, Expression.Condition(expression)(SampleRecord.Make()));

    [Theory]
    [InlineData("response.code >= ", "1:18: Syntax error")]
    [InlineData("response.code", "an expression that is neither true nor false is not supported")]
    [InlineData("response.code == 'a'", "== between int and string is not supported")]
    [InlineData("request.methods == 'GET'", "the attribute request.methods (did you mean request.method?) is not supported")]
    [InlineData("metadata.filter_metadata['a'] == 'b'", "the attribute metadata.filter_metadata.a is not supported")]
    [InlineData("request.headers.exists(h, h == 'a')", "the macro exists is not supported")]
    [InlineData("request.method.lowerAscii() == 'get'", "the function lowerAscii is not supported")]
    [InlineData("request.path.matches('(a')", "the regular expression '(a' is not supported")]
    [InlineData("request.path.matches(request.host)", "matches(string, string) is not supported")]
    [InlineData("request.headers[request.method] == 'a'", "an index that is not a text is not supported")]
    [InlineData("has(response.code) && null", "null is not supported")]
    public void What_cannot_be_evaluated_is_refused(string expression, string why)
    {
        Assert.Contains(why, TrafficExpression.Problem(expression, isCondition: true), StringComparison.Ordinal);
        Assert.Contains(why, Assert.Throws<ResourceException>(() => Expression.Condition(expression)).Message, StringComparison.Ordinal);
    }

    /// <summary>None is missing in the proxy, and each works without a request, too.</summary>
    [Fact]
    public void Every_attribute_has_a_value_or_none()
    {
        var connection = new TrafficRecord { DownstreamRemote = IPEndPoint.Parse("10.1.0.2:4711") };
        foreach (var (name, type) in TrafficExpression.Attributes)
        {
            var condition = Expression.Condition($"has({name}{(type == CelType.Texts ? ".a" : "")})");
            Assert.False(condition(SampleRecord.Make()) && condition(connection) && name.StartsWith("response.headers", StringComparison.Ordinal));
        }
    }

    [Fact]
    public void A_condition_creates_no_objects()
    {
        var record = SampleRecord.Make();
        var condition = Expression.Condition(
            "request.headers['user-agent'].startsWith('curl') && request.url_path.matches('^/ord') && (response.code >= 500 || has(request.referer)) && "
                + "request.host == 'shop:80'");
        Assert.True(condition(record));
        Assert.Equal(0, Allocations.Least(() => condition(record)));
    }
}

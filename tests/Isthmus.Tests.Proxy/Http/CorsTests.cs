using Isthmus.Proxy.Filters;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Messages;
using Xunit;

namespace Isthmus.Tests.Proxy.Http;

/// <summary>Answers to preflight requests.</summary>
public sealed class CorsTests
{
    [Theory]
    [InlineData("*", "*", false, "*", "*")]
    [InlineData("*", "*", true, "PUT", "x-a, x-b")]
    [InlineData("GET,PUT", "x-c", true, "GET,PUT", "x-c")]
    public void With_credentials_an_asterisk_becomes_what_was_asked_for(string methods, string headers, bool credentials, string allowedMethods,
        string allowedHeaders)
    {
        var answer = Preflight(new([TextMatch.Exact("http://a.example")], methods, headers, "x-d", "60", credentials));
        Assert.Equal(
            ("http://a.example", allowedMethods, allowedHeaders, "x-d", "60"),
            (Field(answer, "origin"), Field(answer, "methods"), Field(answer, "headers"), answer.Headers.GetString("access-control-expose-headers"u8),
                answer.Headers.GetString("access-control-max-age"u8)));
    }

    [Fact]
    public void What_a_route_does_not_allow_is_not_named()
    {
        var answer = Preflight(new([TextMatch.Exact("http://a.example")], "", "", "", "", true));
        Assert.Equal((null, null, null), (Field(answer, "methods"), Field(answer, "headers"), answer.Headers.GetString("access-control-expose-headers"u8)));
    }

    private static string? Field(ResponseHead answer, string name) =>
        answer.Headers.GetString(System.Text.Encoding.ASCII.GetBytes($"access-control-allow-{name}"));

    private static ResponseHead Preflight(CorsSettings cors)
    {
        var request = new RequestHead { Method = "OPTIONS" };
        request.Headers.Add("origin"u8, "http://a.example"u8);
        request.Headers.Add("access-control-request-method"u8, "PUT"u8);
        request.Headers.Add("access-control-request-headers"u8, "x-a, x-b"u8);
        var answer = new ResponseHead();
        Assert.True(CorsFilter.TryPreflight(request, cors, answer));
        return answer;
    }
}

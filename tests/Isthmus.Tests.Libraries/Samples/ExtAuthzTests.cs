using Isthmus.Samples;
using Isthmus.Samples.Http;
using Isthmus.Wire.Envoy.Auth;
using Xunit;

namespace Isthmus.Tests.Libraries.Samples;

public sealed class ExtAuthzTests
{
    [Theory]
    [InlineData("X-Ext-Authz: allow", 200, "")]
    [InlineData("x-ext-authz: deny", 403, "denied by ext_authz for not found header `x-ext-authz: allow` in the request")]
    [InlineData("x-other: allow", 403, "denied by ext_authz for not found header `x-ext-authz: allow` in the request")]
    public void Over_HTTP_the_header_decides(string header, int status, string body)
    {
        var (name, value) = header.Split(": ") is [var left, var right] ? (left, right) : ("", "");
        var reply = ExtAuthzProgram.Answer(new HttpRequest("GET", "/headers", "HTTP/1.1", [new(name, value)], default, "127.0.0.1"));
        Assert.Equal((status, body), (reply.Status, System.Text.Encoding.UTF8.GetString(reply.Body.Span)));
        Assert.Equal(new("x-ext-authz-check-result", status == 200 ? "allowed" : "denied"), reply.Headers.Single());
    }

    [Theory]
    [InlineData("allow", "", true)]
    [InlineData("deny", "spiffe://cluster.local/ns/sample/sa/sleep", false)]
    [InlineData(null, "spiffe://cluster.local/ns/sample/sa/sleep", true)]
    [InlineData(null, "spiffe://cluster.local/ns/sample/sa/oversleep", false)]
    [InlineData(null, "", false)]
    public void Over_gRPC_the_header_decides_and_without_one_the_account_of_the_caller(string? header, string principal, bool allowed)
    {
        var request = new CheckRequest { Attributes = new() { Source = new() { Principal = principal } } };
        if (header is not null) request.Attributes.Request = new() { Http = new() { Headers = { ["x-ext-authz"] = header } } };
        var response = ExtAuthzProgram.Answer(request, "sleep");
        Assert.Equal(allowed ? 0 : 7, response.Status.Code);
        Assert.Equal(allowed, response.OkResponse is not null);
        Assert.Equal(!allowed, response.DeniedResponse is { Body.Length: > 0 });
    }

    [Fact]
    public void A_connection_that_is_not_HTTP_is_judged_by_its_caller() =>
        Assert.NotNull(ExtAuthzProgram.Answer(new CheckRequest
        {
            Attributes = new() { Source = new() { Principal = "spiffe://cluster.local/ns/sample/sa/a" } }
        },
            "a").OkResponse);
}

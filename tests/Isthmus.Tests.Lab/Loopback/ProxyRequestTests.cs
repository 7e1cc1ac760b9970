using FsCheck;
using FsCheck.Fluent;
using Isthmus.Lab.Loopback;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Lab.Loopback;

public sealed class ProxyRequestTests
{
    [Fact]
    public void A_tunnel_is_asked_for_by_host_and_port()
    {
        var request = ProxyRequest.Parse("CONNECT 172.18.0.2:6443 HTTP/1.1\r\nHost: 172.18.0.2:6443\r\n\r\n");
        Assert.Equal((true, "172.18.0.2", 6443, (string?)null), (request.IsConnect, request.Host, request.Port, request.Problem));
    }

    [Fact]
    public void An_absolute_form_request_is_forwarded_in_origin_form_for_one_exchange()
    {
        var request = ProxyRequest.Parse(
            "GET http://172.18.201.5:8080/a?b=c HTTP/1.1\r\nHost: 172.18.201.5:8080\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: x\r\nX-Mine: "
                + "1\r\n\r\n");
        Assert.Equal(("172.18.201.5", 8080), (request.Host, request.Port));
        Assert.Equal("GET /a?b=c HTTP/1.1\r\nHost: 172.18.201.5:8080\r\nX-Mine: 1\r\nConnection: close\r\n\r\n", request.ForwardedHead);
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\n\r\n")]
    [InlineData("CONNECT nowhere HTTP/1.1\r\n\r\n")]
    [InlineData("CONNECT a:99999 HTTP/1.1\r\n\r\n")]
    [InlineData("GET https://172.18.0.2/ HTTP/1.1\r\n\r\n")]
    [InlineData("nonsense\r\n\r\n")]
    public void What_no_proxy_can_serve_is_refused_with_the_reason(string head) => Assert.NotNull(ProxyRequest.Parse(head).Problem);

    [Fact]
    public void Any_text_is_answered_or_refused() =>
        Prop.ForAll(ArbMap.Default.ArbFor<string>(), text => ProxyRequest.Parse(text ?? "") is not null).MustHold();
}

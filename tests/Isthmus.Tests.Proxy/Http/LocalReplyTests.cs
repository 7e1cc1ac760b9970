using System.Text;
using Isthmus.Proxy.Http;
using Isthmus.Proxy.Messages;
using Xunit;

namespace Isthmus.Tests.Proxy.Http;

/// <summary>Responses of the proxy itself, in the form that the client reads.</summary>
public sealed class LocalReplyTests
{
    [Theory]
    [InlineData("application/grpc")]
    [InlineData("application/grpc+proto")]
    [InlineData("application/grpc; charset=utf-8")]
    public void Calls_of_gRPC_get_a_gRPC_status(string type)
    {
        var (head, body) = Reply(type);
        Assert.Equal(200, head.Status);
        Assert.Equal("14", head.Headers.GetString("grpc-status"u8));
        Assert.Equal("no healthy upstream", head.Headers.GetString("grpc-message"u8));
        Assert.Equal("", body);
    }

    /// <summary>Their clients read HTTP's status.</summary>
    [Theory]
    [InlineData("application/grpc-web+proto")]
    [InlineData("application/grpcurl")]
    [InlineData("application/json")]
    [InlineData("")]
    public void Other_requests_get_the_status_of_HTTP(string type)
    {
        var (head, body) = Reply(type);
        Assert.Equal(503, head.Status);
        Assert.False(head.Headers.Contains("grpc-status"u8));
        Assert.Equal("no healthy upstream", body);
    }

    [Theory]
    [InlineData("no healthy upstream: <a> [b] \"c\" d/e?f=g&h", "no healthy upstream: <a> [b] \"c\" d/e?f=g&h")]
    [InlineData("100%\r\n\u007fé", "100%25%0D%0A%7F%C3%A9")]
    public void Messages_of_gRPC_escape_only_what_a_field_cannot_hold(string text, string message)
    {
        var request = new RequestHead { Method = "POST" };
        request.Headers.Add("content-type"u8, "application/grpc"u8);
        var head = new ResponseHead();
        LocalReply.Prepare(head, request, 503, text);
        Assert.Equal(message, head.Headers.GetString("grpc-message"u8));
    }

    private static (ResponseHead Head, string Body) Reply(string type)
    {
        var request = new RequestHead { Method = "POST" };
        if (type.Length > 0) request.Headers.Add("content-type"u8, Encoding.UTF8.GetBytes(type));
        var head = new ResponseHead();
        var body = LocalReply.Prepare(head, request, 503, LocalReply.NoHealthyUpstream);
        return (head, Encoding.UTF8.GetString(body.Span));
    }
}

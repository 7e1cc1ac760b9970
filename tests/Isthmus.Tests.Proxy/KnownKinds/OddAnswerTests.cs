using System.Net;
using System.Net.Sockets;
using System.Text;
using Isthmus.Rigs.Proxy;
using Xunit;

namespace Isthmus.Tests.Proxy.KnownKinds;

/// <summary>Servers whose answers are not as they should be: they are taken or refused at once, whatever comes after.</summary>
public sealed class OddAnswerTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("HTTP/1.1 200 OK\ncontent-length: 0\n\n", 502)]
    [InlineData("HTTP/1.1 200 OK\r\ncontent-length: 0\n\n", 502)]
    [InlineData("\n", 502)]
    [InlineData("220 mail.example ESMTP\r\n", 502)]
    [InlineData("HTTP/2.0 200 OK\r\n", 502)]
    [InlineData("HTTP/1.9 204 No Content\r\nx: y\r\n\r\n", 204)]
    [InlineData("HTTP/1.x 204 No Content\r\n\r\n", 502)]
    public async Task The_client_gets_an_answer_though_the_server_neither_sends_more_nor_closes(string answer, int status)
    {
        using var server = new TcpListener(IPAddress.Loopback, 0);
        server.Start();
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], """ "route": {"cluster": "up", "timeout": "0s"} """);
        proxy.Endpoints("up", ((IPEndPoint)server.LocalEndpoint).Port);
        using var client = new HttpClient { Timeout = Timeout.InfiniteTimeSpan };
        var response = client.PostAsync($"http://127.0.0.1:{proxy.Port}/", new ByteArrayContent([1]), Stop);
        using var connection = await server.AcceptTcpClientAsync(Stop);
        var buffer = new byte[4096];
        Assert.NotEqual(0, await connection.GetStream().ReadAsync(buffer, Stop));
        await connection.GetStream().WriteAsync(Encoding.ASCII.GetBytes(answer), Stop);
        Assert.Equal(status, (int)(await response).StatusCode);
    }
}

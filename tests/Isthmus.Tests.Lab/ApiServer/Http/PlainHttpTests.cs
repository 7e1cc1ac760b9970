using System.Net.Sockets;
using System.Text;
using Isthmus.Rigs.Servers;
using Xunit;

namespace Isthmus.Tests.Lab.ApiServer.Http;

public sealed class PlainHttpTests(RunningApiServer server) : IClassFixture<RunningApiServer>
{
    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\n\r\n")]
    [InlineData("DELETE")]
    public async Task HTTP_is_refused_as_Go_does(string sent)
    {
        using var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", server.Access.Server.Port, TestContext.Current.CancellationToken);
        await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(sent), TestContext.Current.CancellationToken);
        using var reader = new StreamReader(client.GetStream());
        Assert.Equal("HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
            await reader.ReadToEndAsync(TestContext.Current.CancellationToken));
        Assert.Equal("ok", await server.Admin.GetStringAsync(new Uri("/readyz", UriKind.Relative), TestContext.Current.CancellationToken));
    }
}

using System.Net;
using System.Text;
using Isthmus.Proxy.Admin;
using Isthmus.Proxy.Agent;
using Isthmus.Proxy.Http;
using Xunit;

namespace Isthmus.Tests.Proxy.Agent;

public sealed class StatusRoutesTests
{
    [Theory]
    [InlineData("/drain", "POST", "127.0.0.1", 200, "drain")]
    [InlineData("/quitquitquit", "POST", "127.0.0.1", 200, "quit")]
    [InlineData("/drain", "GET", "127.0.0.1", 405, "")]
    [InlineData("/drain", "POST", "10.0.0.9", 403, "")]
    [InlineData("/quitquitquit", "POST", "10.0.0.9", 403, "")]
    public async Task Only_the_Pod_itself_drains_and_ends_its_proxy(string path, string method, string peer, int status, string done)
    {
        var seen = "";
        using var prober = new AppProber("127.0.0.1");
        var routes = new StatusRoutes(AppProbe.ReadAll(""), prober, null, () => ValueTask.FromResult<AdminReply?>(null), () => seen += "drain", () => seen += "quit");
        var request = new RequestHead { Method = method, Peer = IPAddress.Parse(peer) };
        request.SetTarget(Encoding.ASCII.GetBytes(path));
        Assert.Equal(status, (await routes.HandleAsync(request, TestContext.Current.CancellationToken))!.Status);
        Assert.Equal(done, seen);
    }
}

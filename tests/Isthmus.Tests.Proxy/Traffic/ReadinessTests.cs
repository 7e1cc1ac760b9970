using System.Text;
using Isthmus.Proxy.Admin;
using Isthmus.Proxy.Dns;
using Isthmus.Proxy.Messages;
using Isthmus.Rigs.Proxy;
using Xunit;

namespace Isthmus.Tests.Proxy.Traffic;

/// <summary>When a Pod may get requests and its application may start.</summary>
public sealed class ReadinessTests
{
    /// <summary>The application's first lookup of a name of the mesh must not fail.</summary>
    [Fact]
    public async Task A_proxy_that_captures_DNS_is_ready_once_it_has_names()
    {
        using var proxy = new LoopbackProxy([], """ "direct_response": {"status": 200} """);
        Assert.Equal(200, await AskAsync(new(proxy.Plane)));
        NameTables? names = null;
        var capturing = new AdminRoutes(proxy.Plane) { Names = () => names };
        Assert.Equal(503, await AskAsync(capturing));
        names = NameTables.Build(new(), "sample", "sample.svc.cluster.local", []);
        Assert.Equal(200, await AskAsync(capturing));
    }

    private static async Task<int> AskAsync(AdminRoutes admin)
    {
        var request = new RequestHead { Method = "GET" };
        request.SetTarget(Encoding.ASCII.GetBytes("/healthz/ready"));
        return (await admin.HandleReadyAsync(request, TestContext.Current.CancellationToken))!.Status;
    }
}

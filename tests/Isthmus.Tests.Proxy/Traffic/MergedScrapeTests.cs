using System.Text;
using Isthmus.Proxy.Admin;
using Isthmus.Proxy.Telemetry;
using Isthmus.Rigs.Proxy;
using Isthmus.Tests.Proxy.Telemetry;
using Xunit;

namespace Isthmus.Tests.Proxy.Traffic;

public sealed class MergedScrapeTests
{
    /// <summary>The agent gets the body once, when it starts, and writes it for each scrape.</summary>
    [Fact]
    public async Task A_body_that_was_made_before_a_request_counts_it()
    {
        using var proxy = new LoopbackProxy([], """ "direct_response": {"status": 204} """);
        var body = new AdminRoutes(proxy.Plane).MetricsBody;
        proxy.Plane.MeshMetrics.Request(Direction.Inbound, SampleRecord.Make());
        var text = new StringBuilder();
        await body(piece =>
        {
            text.Append(Encoding.UTF8.GetString(piece.Span));
            return ValueTask.CompletedTask;
        }, TestContext.Current.CancellationToken);
        Assert.Contains("istio_requests_total{", text.ToString(), StringComparison.Ordinal);
    }
}

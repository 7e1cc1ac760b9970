using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Judgement;
using Isthmus.Explain.Tracing.Reading;
using Xunit;

namespace Isthmus.Tests.Tracing;

public sealed class CallReadingTests
{
    private static readonly PodRef Gateway = new("c2", "istio-system", "gw"), Callee = new("c2", "shop", "orders-b");

    /// <summary>One port of the gateway may have connections to several destinations.</summary>
    [Theory]
    [InlineData("10.1.0.5", "10.1.0.5:8080")]
    [InlineData("", "10.1.0.15:8000 10.1.0.5:8080")]
    public void Connections_to_other_destinations_belong_to_other_calls(string address, string related)
    {
        var all = new[] { Passed("10.1.0.15:8000", "10.1.0.2:1"), Passed("10.1.0.5:8080", "10.1.0.2:2"), Passed("10.1.0.5:8080", "10.1.0.2:3") with
            { UpstreamLocal = "10.1.0.9:4" }, Request };
        var found = CallReading.Related(all, new(), pod => pod == Callee ? address : "");
        Assert.Equal(related, string.Join(' ', found.Where(one => !one.IsRequest).Select(one => one.Upstream)));
    }

    private static Sighting Request => new(Callee, true, 2, 1, 200, "-", "via_upstream", "", "127.0.0.1:8080", "", "10.1.0.9:40000", "");

    private static Sighting Passed(string upstream, string from) => new(Gateway, false, 2, null, 0, "-", "", "", upstream, "10.1.0.9:40000", from, "");
}

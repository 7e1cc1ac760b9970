using Isthmus.Quickstart;
using Xunit;

namespace Isthmus.Tests.Commands;

public sealed class CallEvidenceTests
{
    private const string Gateway = "10.244.0.5:40000";

    /// <summary>The proxies' logs still contain the calls of an earlier quickstart.</summary>
    [Fact]
    public void Only_calls_of_this_run_are_counted()
    {
        var earlier = Enumerable.Repeat(Call(CallEvidence.Agent("cluster1", 1)), 18);
        var now = Enumerable.Repeat(Call(CallEvidence.Agent("cluster1", 2)), 7);
        var logs = new ClusterLogs("cluster2", [.. earlier.Concat(now).Select(line => ("v2", line))],
            [Call("-") with { UpstreamLocal = Gateway, Sni = "outbound" }], "172.18.202.1");
        var row = Assert.Single(CallEvidence.Rows("cluster1", 2, [logs]));
        Assert.Equal(new CallRow("cluster1", "v2", "cluster2", 7, "gateway of cluster2 172.18.202.1, SNI outbound", "spiffe://caller"), row);
    }

    private static AccessLogLine Call(string agent) => new("GET /hello HTTP/1.1", "200", "-", agent, "", "", "", Gateway, "", "spiffe://caller");
}

using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Commands;
using Isthmus.Operate.Diagnose;
using Isthmus.Reports;
using Xunit;

namespace Isthmus.Tests.Commands;

public sealed class RemoteClustersCommandTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    [Fact]
    public void A_row_says_which_revision_watches_the_cluster()
    {
        var line = new WatchedReport
        {
            Id = "c2", SecretName = "istio-system/remote", SyncStatus = "synced", Revision = "canary", Source = "live",
            LastContact = Now.AddSeconds(-5), Confirmed = Now.AddSeconds(-5),
        };
        Assert.Equal(["c2", "istio-system/remote", "synced", "istiod-1", "canary", "5s ago", "live", ""],
            RemoteClustersCommand.Row(new("istiod-1", "", null), line, Now));
    }

    [Fact]
    public void A_cluster_that_was_never_reached_is_not_one_of_which_nothing_is_known() =>
        Assert.Equal(["c2", "istio-system/remote", "timeout", "istiod-1", "", "never", "nothing", ""],
            RemoteClustersCommand.Row(new("istiod-1", "", null),
                new() { Id = "c2", SecretName = "istio-system/remote", SyncStatus = "timeout", Revision = "", Source = "nothing" }, Now));

    [Fact]
    public void What_a_control_plane_of_Istio_cannot_tell_is_unknown()
    {
        var line = new JsonObject { ["id"] = "c2", ["secretName"] = "istio-system/remote", ["syncStatus"] = "synced" };
        Assert.Equal(["c2", "istio-system/remote", "synced", "istiod-1", "unknown", "unknown", "unknown", ""],
            RemoteClustersCommand.Row(new("istiod-1", "", null), line.Deserialize(ControlPlaneReports.Default.WatchedReport), Now));
        Assert.Equal(
            """{"id":"c2","secretName":"istio-system/remote","syncStatus":"synced","istiod":"istiod-1","unknown":["revision","source","lastContact","confirmed"]}""",
            RemoteClustersCommand.Tree(new("istiod-1", "", null), line).ToJsonString());
    }

    [Theory]
    [InlineData("is a control plane that is not of Isthmus, or an older one (revision r, version 1.24.0)",
        "is a control plane that is not of Isthmus, or an older one (revision r, version 1.24.0), and does not answer /debug/clusterz on port 8080")]
    [InlineData("does not respond to GET /debug/clusterz on port 8080: connection refused",
        "does not respond to GET /debug/clusterz on port 8080: connection refused")]
    public void A_control_plane_that_does_not_tell_is_a_row_with_the_reason(string why, string shown)
    {
        var silent = new PlaneAnswer("istiod-1", "revision r, version 1.24.0", null, why);
        Assert.Equal(["unknown", "unknown", "unknown", "istiod-1", "unknown", "unknown", "unknown", shown], RemoteClustersCommand.Row(silent, null, Now));
        var tree = RemoteClustersCommand.Tree(silent, null);
        Assert.Equal(("istiod-1", shown), (tree["istiod"]!.ToString(), tree["message"]!.ToString()));
    }
}

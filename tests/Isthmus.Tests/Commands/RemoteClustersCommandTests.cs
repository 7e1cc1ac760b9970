using System.Text.Json.Nodes;
using Isthmus.Commands;
using Xunit;

namespace Isthmus.Tests.Commands;

public sealed class RemoteClustersCommandTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    [Fact]
    public void A_row_says_which_revision_watches_the_cluster()
    {
        var line = new JsonObject
        {
            ["id"] = "c2", ["secretName"] = "istio-system/remote", ["syncStatus"] = "synced", ["revision"] = "canary", ["source"] = "live",
            ["lastContact"] = Now.AddSeconds(-5).ToString("O"), ["confirmed"] = Now.AddSeconds(-5).ToString("O"),
        };
        Assert.Equal(["c2", "istio-system/remote", "synced", "istiod-1", "canary", "5s ago", "live", ""], RemoteClustersCommand.Row("istiod-1", line, Now));
    }

    [Fact]
    public void A_cluster_that_was_never_reached_is_not_one_of_which_nothing_is_known() =>
        Assert.Equal(["c2", "istio-system/remote", "timeout", "istiod-1", "", "never", "nothing", ""],
            RemoteClustersCommand.Row("istiod-1", new() { ["id"] = "c2", ["secretName"] = "istio-system/remote", ["syncStatus"] = "timeout", ["revision"] = "", ["source"] = "nothing" }, Now));

    [Fact]
    public void What_a_control_plane_of_Istio_cannot_tell_is_unknown()
    {
        var line = new JsonObject { ["id"] = "c2", ["secretName"] = "istio-system/remote", ["syncStatus"] = "synced" };
        Assert.Equal(["c2", "istio-system/remote", "synced", "istiod-1", "unknown", "unknown", "unknown", ""], RemoteClustersCommand.Row("istiod-1", line, Now));
        Assert.Equal("""{"id":"c2","secretName":"istio-system/remote","syncStatus":"synced","istiod":"istiod-1","unknown":["revision","source","lastContact","confirmed"]}""",
            RemoteClustersCommand.Tree("istiod-1", line).ToJsonString());
    }

    [Fact]
    public void A_control_plane_without_the_page_is_a_row()
    {
        var row = RemoteClustersCommand.Row("istiod-1", null, Now);
        Assert.Equal(["unknown", "unknown", "unknown", "istiod-1", "unknown", "unknown", "unknown"], row[..^1]);
        Assert.EndsWith("does not answer /debug/clusterz on port 8080", row[^1], StringComparison.Ordinal);
        Assert.Equal(("istiod-1", row[^1]), (RemoteClustersCommand.Tree("istiod-1", null)["istiod"]!.ToString(), RemoteClustersCommand.Tree("istiod-1", null)["message"]!.ToString()));
    }
}

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
    public void Control_planes_that_name_no_revision_leave_the_column_empty() =>
        Assert.Equal("", RemoteClustersCommand.Row("istiod-1", new() { ["id"] = "c2" }, Now)[Array.IndexOf(RemoteClustersCommand.Header, "REVISION")]);
}

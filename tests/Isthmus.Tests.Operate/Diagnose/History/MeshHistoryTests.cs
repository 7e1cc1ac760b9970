using Isthmus.Core.Json;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Operate.Diagnose.History;
using Isthmus.Reports;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose.History;

/// <summary>What the lines of a history say.</summary>
public sealed class MeshHistoryTests
{
    private static MeshChange Read(string line, string cluster = "c2") => 
        MeshChange.Read(StrictJson.Parse(line, ControlPlaneReports.Default.ChangeReport), "istiod-1", cluster);

    private static MeshChange Endpoints(int before, int fewest, int after) => Read(
        $$$"""{"cluster": "c1", "kind": "Endpoints", "name": "orders", "verb": "changed", "endpoints": {"before": {"ready": {{{before}}} }, "fewest": {"ready": {{{fewest}}} }, "after": {"ready": {{{after}}} } } }""");

    /// <summary>Only a control plane that is not of Isthmus keeps none. What another one remembers is missing.</summary>
    [Fact]
    public async Task A_control_plane_that_is_out_of_reach_is_not_one_without_a_history()
    {
        using var client = new AnsweringPlanes(["istiod-1", "istiod-2", "istiod-3"], (pod, _) => pod switch
        {
            "istiod-1" => StandInAnswer.Ok("""{"cluster": "c1", "since": "2026-11-22T08:00:00Z", "changes": []}"""),
            "istiod-2" => null,
            _ => AnsweringPlanes.NoPage,
        }).Client();
        var history = await MeshHistory.AskAsync([(client, "istio-system")], new("", "", TimeSpan.FromHours(1)), TestContext.Current.CancellationToken);
        Assert.Equal("istiod-1", Assert.Single(history.ControlPlanes).Pod);
        Assert.Equal("istiod-3", Assert.Single(history.WithoutHistory).Pod);
        var silent = Assert.Single(history.Silent);
        Assert.Equal(("Pod istio-system/istiod-2", Severity.Error), (silent.Object, silent.Severity));
        Assert.EndsWith("which changes it saw is not known", silent.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_cluster_that_left_names_its_secret_where_that_was_and_what_is_lost()
    {
        var left = Read(
            """{"cluster": "c1", "kind": "Cluster", "name": "c1", "verb": "left", "secret": "istio-system/istio-remote-secret-c1", "services": 5, "proxies": 0}""");
        Assert.Equal(("connection to c1", "c2", "Secret istio-system/istio-remote-secret-c1 is gone, so 5 services of c1 are no longer known"),
            (left.Object, left.Cluster, left.Effect));
        Assert.Equal(("istio-system/istio-remote-secret-c1", 5), (HistoryTree.Of(left)["secret"]!.ToString(), (int)HistoryTree.Of(left)["services"]!));
    }

    [Theory]
    [InlineData(1, 1, 1, "")]
    [InlineData(1, 0, 1, "1 → 1 ready, meanwhile 0")]
    [InlineData(2, 1, 1, "2 → 1 ready")]
    [InlineData(1, 1, 2, "1 → 2 ready")]
    public void Endpoints_are_a_line_if_their_number_changed(int before, int fewest, int after, string effect)
    {
        var lines = MeshHistory.Merge([Endpoints(before, fewest, after)]);
        Assert.Equal(effect, string.Join("; ", lines.Select(line => line.Effect)));
        Assert.All(lines, line => Assert.Equal("c1", line.Cluster));
    }
}

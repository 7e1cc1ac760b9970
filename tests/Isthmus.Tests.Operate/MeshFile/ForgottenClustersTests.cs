using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.MeshFile;
using Isthmus.Tests.Operate.Diagnose;
using Xunit;

namespace Isthmus.Tests.Operate.MeshFile;

/// <summary>When the control planes that stay have forgotten the cluster c2, of which the second one is out of reach, late or not of Isthmus.</summary>
public sealed class ForgottenClustersTests
{
    private const string Forgotten = """[{"id": "c1", "syncStatus": "synced"}]""",
        Watching = """[{"id": "c1", "syncStatus": "synced"}, {"id": "c2", "syncStatus": "synced"}]""";

    private static readonly TimeSpan Long = TimeSpan.FromHours(1);

    private int _asked;

    [Fact]
    public async Task One_that_is_out_of_reach_is_asked_until_it_tells()
    {
        Assert.Empty(await AwaitAsync(Long, null, StandInAnswer.Ok(Watching), null, StandInAnswer.Ok(Forgotten)));
        Assert.Equal(4, _asked);
    }

    [Fact]
    public async Task One_that_stays_out_of_reach_is_named_at_the_limit()
    {
        var silent = Assert.Single(await AwaitAsync(TimeSpan.Zero, (StandInAnswer?)null));
        Assert.Contains("istiod-2", silent.Object, StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_that_never_tells_is_not_asked_again()
    {
        Assert.Single(await AwaitAsync(Long, AnsweringPlanes.NoPage));
        Assert.Equal(1, _asked);
    }

    /// <summary>A control plane written in Go that watches nothing.</summary>
    [Fact]
    public async Task A_page_of_null_is_an_empty_one()
    {
        Assert.Empty(await AwaitAsync(Long, StandInAnswer.Ok("null")));
        Assert.Equal(1, _asked);
    }

    [Fact]
    public async Task One_that_tells_a_line_in_another_form_is_named_and_not_asked_again()
    {
        var odd = Assert.Single(await AwaitAsync(Long, StandInAnswer.Ok("""[{"id": 7}, {"id": "c1", "syncStatus": "synced"}]""")));
        Assert.Contains("answers 1 item in a form that this program does not read (item 0: ", odd.Message, StringComparison.Ordinal);
        Assert.Equal(1, _asked);
    }

    [Fact]
    public async Task One_that_still_watches_at_the_limit_is_a_fault()
    {
        var fault = await Assert.ThrowsAsync<ProblemException>(() => AwaitAsync(TimeSpan.Zero, StandInAnswer.Ok(Watching)));
        Assert.Equal("control plane of c1: still watches c2 after 0 s (see remote-clusters)", fault.Message);
    }

    /// <param name="answers">Those of the second control plane; the last one stays.</param>
    private async Task<IReadOnlyList<Problem>> AwaitAsync(TimeSpan limit, params StandInAnswer?[] answers)
    {
        using var client = new AnsweringPlanes(["istiod-1", "istiod-2"],
            (pod, _) => pod == "istiod-1" ? StandInAnswer.Ok(Forgotten) : answers[Math.Min(_asked++, answers.Length - 1)]).Client();
        return await new ForgottenClusters(new MeshQuery(client, "istio-system"), limit, TimeProvider.System)
            .AwaitAsync(["c2"], "control plane of c1", "see remote-clusters", TestContext.Current.CancellationToken);
    }
}
